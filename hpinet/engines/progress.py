"""Progress of an engine in units of work, and what it teaches about the speed of the machine."""

import time

from hpinet.progress import Progress


class WorkMeter:
    """Adds up work done and tells the progress callback; keeps the time."""

    STEPS = 10_000  # progress is reported in ten-thousandths

    def __init__(self, progress: Progress, total: float) -> None:
        self._progress, self._total, self._done = progress, total, 0.0
        self._elsewhere = 0.0  # seconds within the callback, where the work may have to wait for other work
        self._start = time.perf_counter()
        self._tell(0)

    def add(self, units: float) -> None:
        """That many units more are done."""
        self._done += units
        self._tell(min(self.STEPS - 1, int(self.STEPS * self._done / self._total)))

    def finish(self) -> None:
        """Everything is done."""
        self._tell(self.STEPS)
        self.seconds_per_unit = (time.perf_counter() - self._start - self._elsewhere) / self._total

    def _tell(self, steps: int) -> None:
        began = time.perf_counter()
        self._progress(steps, self.STEPS)
        self._elsewhere += time.perf_counter() - began
