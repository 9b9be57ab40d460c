"""Files that appear complete or not at all, whoever reads or writes at the same time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, beside ``path``, which becomes it when the block ends well. Raises OSError."""
    temporary = path.with_name(f".{token_hex(8)}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Puts ``data`` where ``path`` is, all or nothing. Raises OSError."""
    with replacing(path) as file:
        file.write_bytes(data)
