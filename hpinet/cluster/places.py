"""Folders, on a disk that every machine sees or behind an address such as ``s3://bucket/scans``, through fsspec."""

# pyright: reportMissingImports=false
# ruff: noqa: PLC0415 (fsspec comes with the extra)

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import Any, NamedTuple

from hpinet.atomic import write_atomically
from hpinet.errors import OptionError
from hpinet.files import Failure
from hpinet.paths import path_of

READ_ONLY = ("hf", "http", "https")
"""Protocols that only sources can have. On the Hub every file would be a commit: `hf upload` sends a folder as one."""

UNCHANGED_SECONDS = 60
"""A file under a temporary name that has not changed for so long is nobody's: writers have their bytes at hand."""

_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.part")  # as `hpinet.atomic` calls them too

_STAMPS = ("ETag", "etag", "blob_id", "LastModified", "last_modified", "updated", "mtime", "modified", "created")
"""What file systems call that which another file in a file's place has not: its tag, or else its time."""


class File(NamedTuple):
    """A file as it was listed."""

    name: str
    bytes: int
    stamp: str  # another of the same size has another; empty where nothing is told


@dataclass(frozen=True)
class Place:
    """A folder. Names in it are relative, with slashes. It can be sent to other machines."""

    address: str

    @classmethod
    def of(cls, text: str) -> "Place":
        """The folder of that path or address. Raises OptionError if nothing here can open such addresses."""
        text = text.removeprefix("file://")  # one folder has one address, or it would not be known again
        place = cls(text.rstrip("/") if "://" in text else path_of(text).resolve().as_posix())
        place._open()
        return place

    @property
    def folder(self) -> Path | None:
        """Where it is on this machine's disks; None behind an address."""
        return None if "://" in self.address else Path(self.address)

    @property
    def prefix(self) -> str:
        """What the addresses of all that lies in it begin with."""
        return f"{self.address.rstrip('/')}/"  # the root of a disk ends in a slash already

    @property
    def protocol(self) -> str:
        """Such as "s3"; "file" on a disk."""
        return self.address.partition("://")[0] if "://" in self.address else "file"

    def exists(self) -> bool:
        """Whether there is such a folder."""
        system, root = self._open()
        return bool(system.isdir(root))

    def files(self, locked: Callable[[Failure], None] | None = None) -> Iterator[File]:
        """Each file below, folder by folder as they are listed; none if there is no such folder.

        ``locked`` hears of folders that cannot be listed. Without it, what went wrong with the first is raised: OSError
        or, behind an address, any other.
        """
        system, root = self._open()
        waiting = [(root, PurePosixPath())]
        while waiting:
            folder, inside = waiting.pop()
            try:
                folders, files = _listed(system, folder)
            except Exception as error:  # fsspec's own walk passes over some of them and does not say so
                if folder == root and isinstance(error, FileNotFoundError):
                    return
                if locked is None:
                    raise
                locked(Failure(self.below(str(inside)).address if inside.name else self.address, why(error)))
                continue
            for name, size, stamp in sorted(files):
                yield File(str(inside / name), size, stamp)
            waiting += [(folders[name], inside / name) for name in sorted(folders, reverse=True)]

    def read(self, name: str, *, most: int | None = None) -> bytes:
        """The bytes of a file, or the first ``most`` of them. Raises OSError."""
        system, root = self._open()
        with system.open(f"{root}/{name}", "rb") as file:
            return file.read(-1 if most is None else most)

    def write(self, name: str, data: bytes) -> None:
        """Puts a file there, whole or not at all, under a temporary name first. Raises OSError."""
        if self.folder is not None:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)
            return
        system, root = self._open()
        path = PurePosixPath(root) / name
        system.makedirs(str(path.parent), exist_ok=True)
        temporary = str(path.with_name(f".{token_hex(8)}.part"))
        try:
            system.pipe_file(temporary, data)
            system.mv(temporary, str(path))
        except BaseException:
            if system.exists(temporary):
                system.rm_file(temporary)
            raise

    def delete(self, name: str) -> None:
        """Removes a file, if another has not yet. Raises OSError."""
        system, root = self._open()
        with suppress(FileNotFoundError):
            system.rm_file(f"{root}/{name}")

    def tidy(self) -> None:
        """Removes what writers left that were killed. Others may be at work: if anything is there, it waits a while."""
        if left := self._temporary():
            time.sleep(UNCHANGED_SECONDS)
            for file in left & self._temporary():
                self.delete(file.name)

    def below(self, name: str) -> "Place":
        """A folder in it."""
        return Place(f"{self.prefix}{name}")

    def _temporary(self) -> set[File]:
        return {file for file in self.files(pass_over) if _TEMPORARY.fullmatch(PurePosixPath(file.name).name)}

    def _open(self) -> tuple[Any, str]:
        """The file system and the folder's path in it."""
        import fsspec

        try:
            system, root = fsspec.url_to_fs(self.address)
        except (ImportError, ValueError) as error:
            raise OptionError(f"{self.address} cannot be opened: {error}.") from error
        system.invalidate_cache()  # listings that fsspec remembers would hide what others wrote meanwhile
        return system, str(root).rstrip("/")


def pass_over(_folder: Failure) -> None:
    """For `Place.files`, where a folder that cannot be listed changes nothing."""


def _listed(system: Any, folder: str) -> tuple[dict[str, str], list[File]]:
    """The paths of the folders directly in one by name, and the files."""
    folders: dict[str, str] = {}
    files: list[File] = []
    for entry in system.ls(folder, detail=True):
        path = str(entry["name"]).rstrip("/")
        name = path.rpartition("/")[2]
        if path == folder:  # buckets can hold an empty object that stands for the folder
            continue
        if entry["type"] == "directory":
            folders[name] = path
        else:
            stamp = next((str(entry[key]) for key in _STAMPS if entry.get(key)), "")
            files.append(File(name, int(entry.get("size") or 0), stamp))
    return folders, files


def why(error: Exception) -> str:
    """What went wrong with a file or folder, as the local command says it."""
    told = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0] or type(error).__name__
    return f"{told}."
