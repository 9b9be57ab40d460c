"""Progress of an engine in units of work, and what it teaches about the speed of the machine."""

import time

from hpinet.progress import Progress


class WorkMeter:
    """Adds up work done and tells the progress callback; keeps the time."""

    STEPS = 10_000  # progress is reported in ten-thousandths

    def __init__(self, progress: Progress, total: float) -> None:
        self._progress, self._total, self._done = progress, total, 0.0
        self._start = time.perf_counter()
        progress(0, self.STEPS)

    def add(self, units: float) -> None:
        """That many units more are done."""
        self._done += units
        self._progress(min(self.STEPS - 1, int(self.STEPS * self._done / self._total)), self.STEPS)

    def finish(self) -> None:
        """Everything is done."""
        self._progress(self.STEPS, self.STEPS)
        self.seconds_per_unit = (time.perf_counter() - self._start) / self._total
