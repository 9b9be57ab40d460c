"""Where uploads and results lie while they are needed, and how they disappear."""

import asyncio
import secrets
import stat
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from gradio.utils import get_upload_folder

from hpinet.errors import OptionError
from hpinet.settings import settings

SWEEP_EVERY_SECONDS = 600

NOT_SENT_HERE = "That file was not uploaded here, or is gone by now: choose it again."
"""Of any file from outside that may not be opened; it does not tell whether there is anything."""


def results_root() -> Path:
    """Where everything of ours lies. Gradio serves files below its temporary folder, to those who know their names."""
    folder = Path(get_upload_folder()) / "results"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


_shown: dict[Path, Path] = {}  # the pictures of the galleries, as they are named and where they really lie


def show(pictures: Iterable[Path]) -> None:
    """Lets visitors name these pictures, the only files of the server's own, besides what they sent themselves."""
    _shown.update((name, path.resolve()) for path in pictures for name in (path, path.resolve()))


def received(value: object) -> Path:
    """The file that a description from outside, ``{"path": ...}``, means. Every file from outside comes through here.

    Gradio checks only descriptions that call themselves such, and handlers with ``preprocess=False`` get the others
    as they were sent. Raises OptionError unless it is a file sent here or one of the shown pictures, without links on
    the way; the message does not tell whether anything else exists.
    """
    told = value.get("path") if isinstance(value, dict) else None
    if isinstance(told, str) and (shown := _shown.get(Path(told))):
        return shown
    if isinstance(told, str) and (sent := _sent(Path(told))):
        return sent
    raise OptionError(NOT_SENT_HERE)


def given_name(value: object) -> object:
    """What a description from outside says the file was called where it came from, unread."""
    return value.get("orig_name") if isinstance(value, dict) else None


def _sent(path: Path) -> Path | None:
    """The real path of a file in the upload folder; None for anything else."""
    folder = Path(get_upload_folder())
    try:
        inside = folder.resolve() / path.relative_to(folder)
        return inside if inside.resolve(strict=True) == inside and inside.is_file() else None
    except (OSError, ValueError, RuntimeError):  # nothing there, not in the folder, no name at all, links in a circle
        return None


def new_folder() -> Path:
    """A new folder whose address nobody can guess."""
    folder = results_root() / secrets.token_urlsafe(16)
    folder.mkdir()
    return folder


def sweep(older_than: float | None = None) -> int:
    """Deletes files not changed for that many seconds, and empty folders; returns how many files.

    By default for as many as the settings say, and then the oldest until no more is kept than they say. Gradio deletes
    files it knows of, and forgets some.
    """
    if older_than is None:
        return sweep(settings().keep_hours * 3600) + _trim(settings().keep_mb * 1_000_000)
    root, deadline, deleted = Path(get_upload_folder()), time.time() - older_than, 0
    for path in sorted(root.rglob("*"), reverse=True):  # contents before their folder
        try:
            if path.lstat().st_mtime > deadline:
                continue
            if path.is_dir() and not path.is_symlink():
                path.rmdir()  # fails unless empty
            else:
                path.unlink()
                deleted += 1
        except OSError:
            continue  # in use, not empty, or already gone
    return deleted


def _trim(most: int) -> int:
    """Deletes the oldest files until what lies there has no more than so many bytes; returns how many files."""
    files: list[tuple[float, int, Path]] = []
    for path in Path(get_upload_folder()).rglob("*"):
        with suppress(OSError):  # gone since
            status = path.lstat()
            if not stat.S_ISDIR(status.st_mode):
                files.append((status.st_mtime, status.st_size, path))
    left, deleted = sum(size for _, size, _ in files), 0
    for _, size, path in sorted(files):
        if left <= most:
            break
        with suppress(OSError):
            path.unlink()
            deleted += 1
            left -= size
    return deleted


@asynccontextmanager
async def sweeping(_app: object) -> AsyncIterator[None]:
    """Sweeps regularly while the server runs (a lifespan of Starlette)."""

    async def regularly() -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_SECONDS)
            await asyncio.to_thread(sweep)

    task = asyncio.create_task(regularly())
    try:
        yield
    finally:
        task.cancel()
