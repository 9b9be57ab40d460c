"""Paths as people write them, whatever that is."""

import os
import re
from pathlib import Path


def path_of(given: str | Path) -> Path:
    """The path that is meant. One that begins like a home folder, of nobody known here, is taken as it stands."""
    try:
        return Path(given).expanduser()
    except RuntimeError:
        return Path(given)


def plain_name(text: str) -> str:
    """What of a text may be a file's name anywhere: letters, digits, dots, dashes and underscores; perhaps nothing."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")


def exists(path: Path) -> bool:
    """Whether something is there; of a name that no file can have, being too long for one, it is said too: no."""
    return os.path.exists(path)  # noqa: PTH110 (`Path.exists` raises then)
