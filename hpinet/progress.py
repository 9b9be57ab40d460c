"""The one progress protocol of the package.

Long work calls `progress(done, total)` with integers in units of its own choosing, as proportional to time as it can,
starting with ``done == 0`` and ending with ``done == total``. A callback that raises `hpinet.errors.Cancelled`
stops the work. tqdm, rich and `gr.Progress` are adapted to this outside the core.
"""

import time
from collections.abc import Callable

Progress = Callable[[int, int], None]


def part(progress: Progress, before: int, share: int, whole: int) -> Progress:
    """Progress of a piece of work that is ``share`` of ``whole``, begun when ``before`` of it were done."""

    def overall(done: int, total: int) -> None:
        progress(before + share * done // max(1, total), whole)

    return overall


def nth(progress: Progress, number: int, count: int) -> Progress:
    """Progress of the piece ``number``, from 0, of ``count`` like ones."""
    return part(progress, _FINE * number, _FINE, _FINE * count)


_FINE = 1000  # steps of a piece whose own are not known


class Stopwatch:
    """A progress callback that passes on to another one, and stands still while that does what it does.

    Where work takes turns with other work, it waits for its own in there: that is none of the seconds that it takes.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress, self._began, self._told = progress, time.perf_counter(), 0.0

    def __call__(self, done: int, total: int) -> None:
        """See `Progress`."""
        began = time.perf_counter()
        self._progress(done, total)
        self._told += time.perf_counter() - began

    @property
    def seconds(self) -> float:
        """Of work since it was made."""
        return time.perf_counter() - self._began - self._told


def ignore(done: int, total: int) -> None:
    """The callback that does nothing."""
