"""The one progress protocol of the package.

Long work calls `progress(done, total)` with integers in units of its own choosing, as proportional to time as it can,
starting with ``done == 0`` and ending with ``done == total``. A callback that raises `hpinet.errors.Cancelled`
stops the work. tqdm, rich and `gr.Progress` are adapted to this outside the core.
"""

from collections.abc import Callable

Progress = Callable[[int, int], None]


def ignore(done: int, total: int) -> None:
    """The callback that does nothing."""
