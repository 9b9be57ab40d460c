"""The one progress protocol of the package.

Long work calls `progress(done, total)` with integers in units of its own choosing, as proportional to time as it can,
starting with ``done == 0`` and ending with ``done == total``. A callback that raises `hpinet.errors.Cancelled`
stops the work. tqdm, rich and `gr.Progress` are adapted to this outside the core.
"""

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


def ignore(done: int, total: int) -> None:
    """The callback that does nothing."""
