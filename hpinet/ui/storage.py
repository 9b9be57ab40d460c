"""Where uploads and results lie while they are needed, and how they disappear."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gradio.utils import get_upload_folder

KEEP_SECONDS = 3 * 3600
"""How long a file may lie: longer than anybody works on one picture."""

SWEEP_EVERY_SECONDS = 600


def results_root() -> Path:
    """Where everything of ours lies. Gradio serves files below its temporary folder, to those who know their names."""
    folder = Path(get_upload_folder()) / "results"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def is_upload(path: Path) -> bool:
    """Whether this is a file that a visitor has sent here, or was given here; never one of the server's own."""
    return path.resolve().is_relative_to(Path(get_upload_folder()).resolve()) and path.is_file()


def new_folder() -> Path:
    """A new folder whose address nobody can guess."""
    folder = results_root() / secrets.token_urlsafe(16)
    folder.mkdir()
    return folder


def sweep(older_than: float = KEEP_SECONDS) -> int:
    """Deletes files not changed for that many seconds, and empty folders; returns how many files.

    Gradio does so for files it knows of, and forgets some.
    """
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
