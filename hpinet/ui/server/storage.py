"""Where uploads and results lie while they are needed, and how they disappear."""

import asyncio
import errno
import os
import secrets
import shutil
import stat
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import psutil
from gradio.context import LocalContext
from gradio.utils import get_upload_folder

from hpinet.errors import OptionError
from hpinet.settings import settings
from hpinet.ui.server.visitors import cookie_of

SWEEP_EVERY_SECONDS = 600
KEPT_WHEN_FULL_SECONDS = 300
_JUMP_SECONDS = 60.0

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
    _shown.update((name, path.resolve()) for path in pictures for name in (path, path.resolve(), as_served(path)))


def as_served(picture: Path) -> Path:
    """How the page names a picture of the server's own: without saying where, if it is served from there."""
    return picture.relative_to(Path.cwd()) if picture.is_relative_to(Path.cwd()) else picture


def is_shown(path: Path) -> bool:
    """Whether that is the name of one of the server's own pictures."""
    return path in _shown


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
        _note(sent.parent)  # the folder that an upload has to itself
        return sent
    raise OptionError(NOT_SENT_HERE)


def given_name(value: object) -> object:
    """What a description from outside says the file was called where it came from, unread."""
    return value.get("orig_name") if isinstance(value, dict) else None


def given_path(value: object) -> str | None:
    """What a description from outside calls its file, whether or not there is one: for telling it back alone."""
    path = value.get("path") if isinstance(value, dict) else None
    return path if isinstance(path, str) else None


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
    _note(folder)
    return folder


@dataclass
class _Visit:
    """What is known of a browser that visits, or of a program."""

    folders: set[Path] = field(default_factory=set)  # with pictures of it
    pages: set[str] = field(default_factory=set)  # sessions that are open
    sessions: set[str] = field(default_factory=set)  # all that it has had


_Name = tuple[str, str]
_visits: OrderedDict[_Name, _Visit] = OrderedDict()
_noting = threading.Lock()  # many visitors are heard at once
_VISITS_NOTED = 10_000


def _note(folder: Path) -> None:
    """Remembers that a folder holds pictures of the visit whose work this is, for `delete_of`.

    Only one that an upload or a result has to itself: what others send and get lies in the folders above.
    """
    session, name = _named(LocalContext.request.get(None))
    shared = (Path(get_upload_folder()).resolve(), results_root().resolve())
    folder = folder.resolve()
    if session and folder not in shared and folder.parent in shared:
        with _noting:
            visit = _visits.setdefault(name, _Visit())
            visit.folders.add(folder)
            visit.pages.add(session)
            visit.sessions.add(session)
            _visits.move_to_end(name)
            if len(_visits) > _VISITS_NOTED:
                _visits.popitem(last=False)


def _named(request: gr.Request | None) -> tuple[str, _Name]:
    """A request's session, empty if there is none, and the name of its visit, which outlasts a page."""
    session, cookie = getattr(request, "session_hash", None) or "", cookie_of(request)
    return session, (cookie, "" if cookie else session)


def leave(request: gr.Request | None) -> None:
    """A page was closed, or a program has its answer: what it sent stays for as long as all else.

    Or until somebody deletes the same picture.
    """
    session, name = _named(request)
    with _noting:
        if visit := _visits.get(name):
            visit.pages.discard(session)


def sessions_of(request: gr.Request | None) -> set[str]:
    """This session, and all others in which that browser has sent or got pictures that `delete_of` would delete."""
    session, name = _named(request)
    with _noting:
        return {session} | _visits.get(name, _Visit()).sessions


def delete_of(request: gr.Request | None) -> int:
    """Deletes all pictures that a browser has sent and got, on whatever page; returns how many folders there were.

    Gradio keeps a picture once that several send: it stays while another of their pages is open.
    """
    _, name = _named(request)
    with _noting:
        own = _visits.pop(name, _Visit()).folders
        gone = own.difference(*(visit.folders for visit in _visits.values() if visit.pages))
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)
    return len(gone)


def _forget_what_is_gone() -> None:
    """Drops the folders that are no more from the visits, and visits that are over and have none left."""
    with _noting:
        for name, visit in list(_visits.items()):
            visit.folders = {folder for folder in visit.folders if folder.is_dir()}
            if not visit.folders and not visit.pages:
                del _visits[name]


def sweep(older_than: float | None = None) -> int:
    """Deletes files not changed for that many seconds, and empty folders, but for those in use; returns how many files.

    By default for as many as the settings say, and then the oldest until no more is kept than they say. Gradio itself
    deletes at the end of the server alone.
    """
    _heed_the_clock()
    if older_than is None:
        deleted = sweep(settings().keep_hours * 3600) + _trim(settings().keep_mb * 1_000_000)
        _forget_what_is_gone()
        return deleted
    deadline, deleted = time.time() - older_than, 0
    for path in sorted(Path(get_upload_folder()).resolve().rglob("*"), reverse=True):  # contents before their folder
        try:
            if path.lstat().st_mtime > deadline or _is_used(path):
                continue
            if path.is_dir() and not path.is_symlink():
                path.rmdir()  # fails unless empty
            else:
                path.unlink()
                deleted += 1
        except OSError:
            continue  # in use, not empty, or already gone
    return deleted


_used = Counter[Path]()  # files and folders of work that is under way, and by how much of it each is used
_using = threading.Lock()


@contextmanager
def in_use(*paths: Path) -> Iterator[None]:
    """Within this, the files, and whatever lies in the folders, are kept however old they are and full the disk is."""
    resolved = [path.resolve() for path in paths]
    with _using:
        _used.update(resolved)
    try:
        yield
    finally:
        with _using:
            for path in resolved:
                _used[path] -= 1
                if not _used[path]:
                    del _used[path]


def _is_used(path: Path) -> bool:
    return any(each in _used for each in (path, *path.parents))


class _Clock:
    """Tells whether the clock was set while the process ran."""

    def __init__(self) -> None:
        self._ahead = self._now()

    def was_set(self) -> bool:
        """Since this was asked last."""
        before, self._ahead = self._ahead, self._now()
        return abs(self._ahead - before) > _JUMP_SECONDS

    def _now(self) -> float:
        return time.time() - time.monotonic()


_CLOCK = _Clock()


def _heed_the_clock() -> None:
    """Lets every file be as good as new once the clock was set: else it would look too old, or not come of age."""
    if _CLOCK.was_set():
        now = time.time()
        for path in Path(get_upload_folder()).rglob("*"):
            with suppress(OSError):
                os.utime(path, (now, now), follow_symlinks=False)


def is_full(error: BaseException | None) -> bool:
    """Whether this says that the disk has no room left, or was raised because of what does."""
    if not isinstance(error, OSError):
        return error is not None and is_full(error.__cause__)
    cut_short = error.errno is None and "written" in str(error)  # as NumPy says it
    return cut_short or error.errno in (errno.ENOSPC, errno.EDQUOT)


FULL = "This server's disk is full: try again in a minute."


def make_room() -> int:
    """Deletes what is older than a few minutes, and torn uploads; returns how many files."""
    return sweep(KEPT_WHEN_FULL_SECONDS) + drop_torn()


def drop_torn(older_than: float = 0) -> int:
    """Deletes uploads that ended before they were whole; returns how many.

    Gradio writes an upload beside the folders of whole ones, and leaves it there if the visitor goes or the disk is
    full. Whatever lies there and is not open has ended, or is moved to its folder this moment.
    """
    root, being_written, deleted = Path(get_upload_folder()).resolve(), set[str](), 0
    with suppress(psutil.Error):
        being_written = {file.path for file in psutil.Process().open_files()}
    for path in root.glob("tmp*"):
        with suppress(OSError):
            if path.is_file() and str(path) not in being_written and path.stat().st_mtime <= time.time() - older_than:
                path.unlink()
                deleted += 1
    return deleted


def _trim(most: int) -> int:
    """Deletes the oldest files not in use until all have no more than so many bytes; returns how many files.

    A file with several names, as results on offer have, counts once, and is gone with the last of them.
    """
    names: list[tuple[float, tuple[int, int], Path]] = []
    sizes: dict[tuple[int, int], int] = {}
    for path in Path(get_upload_folder()).resolve().rglob("*"):
        with suppress(OSError):  # gone since
            status = path.lstat()
            if not stat.S_ISDIR(status.st_mode):
                file = (status.st_dev, status.st_ino)
                names.append((status.st_mtime, file, path))
                sizes[file] = status.st_size
    remaining = Counter(file for _, file, _ in names)
    left, deleted = sum(sizes.values()), 0
    for _, file, path in sorted(names):
        if left <= most:
            break
        if _is_used(path):
            continue
        with suppress(OSError):
            path.unlink()
            deleted += 1
            remaining[file] -= 1
            left -= 0 if remaining[file] else sizes[file]
    return deleted


def _drop_gone(lists: Iterable[set[str]]) -> None:
    """Drops the files that are no more from lists of what Gradio deletes at the end, which it only adds to."""
    for files in lists:
        files.difference_update([file for file in tuple(files) if not Path(file).exists()])


@asynccontextmanager
async def sweeping(app: Any) -> AsyncIterator[None]:
    """Sweeps regularly while the server of an app of Gradio's runs (a lifespan of Starlette)."""

    async def regularly() -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_SECONDS)
            await asyncio.to_thread(sweep)
            await asyncio.to_thread(_drop_gone, app.get_blocks().temp_file_sets)

    task = asyncio.create_task(regularly())
    try:
        yield
    finally:
        task.cancel()
