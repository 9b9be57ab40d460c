"""ZIP files from strangers, unpacked without trusting a word they say about themselves."""

import stat
import zipfile
from pathlib import Path, PurePosixPath

from hpinet.errors import ImageError

MAX_ENTRIES = 500
MAX_UNPACKED_BYTES = 1_000_000_000
_CHUNK = 1 << 20


def unpack(archive: Path, folder: Path, *, max_file_bytes: int) -> list[tuple[str, Path]]:
    """Unpacks the files of a ZIP into ``folder`` under names of our own; (name in the archive, path) of each.

    Folders, hidden files and the extras of macOS are left out. Raises ImageError, and keeps nothing, if the archive
    is damaged, encrypted, too large, or names places outside of itself.
    """
    unpacked: list[tuple[str, Path]] = []
    total = 0
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [entry for entry in file.infolist() if not entry.is_dir()]
            if len(entries) > MAX_ENTRIES:
                raise ImageError(f"{archive.name} holds {len(entries)} files; the limit is {MAX_ENTRIES}.")
            for entry in entries:
                _check(entry, archive.name)
            for number, entry in enumerate(entry for entry in entries if not is_extra(entry.filename)):
                path = folder / f"{number:04d}"
                with file.open(entry) as source, path.open("wb") as target:
                    size = 0
                    while chunk := source.read(_CHUNK):  # the header's own sizes may lie
                        size += len(chunk)
                        total += len(chunk)
                        if size > max_file_bytes or total > MAX_UNPACKED_BYTES:
                            raise ImageError(f"{archive.name} unpacks to more than this page accepts.")
                        target.write(chunk)
                unpacked.append((entry.filename, path))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        _discard(folder)
        raise ImageError(f"{archive.name} is damaged, encrypted, or packed in an unusual way.") from error
    except ImageError:
        _discard(folder)
        raise
    return unpacked


def _check(entry: zipfile.ZipInfo, archive: str) -> None:
    if leads_outside(entry.filename) or stat.S_ISLNK(entry.external_attr >> 16):
        raise ImageError(f"{archive} names places outside of itself, so nothing of it was unpacked.")
    if entry.flag_bits & 1:
        raise ImageError(f"{archive} is encrypted.")


def leads_outside(name: str) -> bool:
    """Whether a file's name with its folders, from a stranger, is none or would leave the folder it is put in."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return not parts or parts[0] == "/" or ".." in parts or ":" in parts[0]


def is_extra(name: str) -> bool:
    """Whether this is something that systems put beside pictures: hidden, or macOS's own."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _discard(folder: Path) -> None:
    for path in folder.glob("[0-9]*"):
        path.unlink(missing_ok=True)
