"""The errors people can cause, each with a message fit to show to them.

Front ends catch `HPINetError` alone: the page turns it into a notice, the command line into one line and exit code 2,
as it does with what the system says of files. Anything else that is raised is a defect of ours.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager


class HPINetError(Exception):
    """Base of every error a user can cause; `str(error)` says in a sentence what happened and what to do."""


class ImageError(HPINetError):
    """A picture cannot be read or written: unknown format, damaged, or over a limit."""


class CheckpointError(HPINetError):
    """Weights are missing, damaged, of another architecture, or cannot be fetched."""


class OptionError(HPINetError):
    """A value somebody chose (scale, model, format, environment variable, ...) is not one of those possible."""


class MemoryShortageError(HPINetError):
    """The machine gave no more memory; what is smaller may still work, or the same a little later."""


class Cancelled(HPINetError):
    """Raised by a progress callback to stop the work under way; nothing is kept of the unfinished result."""

    def __init__(self, message: str = "Stopped.") -> None:
        super().__init__(message)


_MEMORY = re.compile(
    "allocate .*memory|out of memory|bad_alloc|alloc_cpu|could not create a (primitive|memory)", re.IGNORECASE
)
"""What PyTorch, oneDNN, OpenVINO and CUDA say when they get none."""


def is_of_memory(error: Exception) -> bool:
    """Whether memory was refused. Libraries say so by various classes and words."""
    return isinstance(error, MemoryError) or _MEMORY.search(str(error)) is not None


@contextmanager
def where_memory_is_refused(shortage: MemoryShortageError) -> Iterator[None]:
    """Raises ``shortage`` for whatever says inside that memory was refused."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_of_memory(error):
            raise
        raise shortage from error


def telling_of_memory() -> AbstractContextManager[None]:
    """Raises MemoryShortageError where memory is refused inside."""
    return where_memory_is_refused(
        MemoryShortageError(
            "This machine has not enough memory left for that: choose a smaller scale or picture, or try later."
        )
    )


def needs_extra(what: str, missing: Iterable[str], extra: str) -> str:
    """The sentence for packages of an extra that are not there; the project itself is on no index, only in clones."""
    return f'{what} needs {", ".join(missing)}: run `pip install ".[{extra}]"` in a clone of this project.'
