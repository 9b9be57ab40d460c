"""Pillow without limits and warnings of its own, where ours hold, and with one that it lacks."""

import os
import re
import warnings
from contextlib import ContextDecorator
from threading import Lock
from typing import IO, cast

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_LOAD_EXIF, _LOAD_DIRECTORY = Image.Exif.load, ImageFileDirectory_v2.load
_PREFIXES = re.compile(rb"\A(?:Exif\0\0)*")
_MOST_NAMED = 2  # bytes that are read for a directory, by those of the file


class _Rationed:
    """A file of which no more is read than a directory needs: few bytes can be the values of thousands of tags."""

    def __init__(self, file: IO[bytes]) -> None:
        at = file.tell()
        self._file, self._left = file, _MOST_NAMED * file.seek(0, os.SEEK_END)
        file.seek(at)
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        """See `io.BufferedIOBase.read`. Raises OSError, on which Pillow leaves out what follows."""
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise OSError("more values than directories have")
        return data


def _load_directory(self: ImageFileDirectory_v2, fp: IO[bytes]) -> None:
    _LOAD_DIRECTORY(self, cast(IO[bytes], _Rationed(fp)))


def _load_exif(self: Image.Exif, data: bytes) -> None:
    """Without the prefix, which Pillow takes away as often as it is there, with a copy of all the rest each time."""
    _LOAD_EXIF(self, _PREFIXES.sub(b"", data, count=1))


class _AtEase(ContextDecorator):
    """While anybody is inside, Pillow opens pictures of any size, does not warn of odd files, nor takes long for EXIF.

    For files whose size is looked at before they are decoded, and those that are made here. All change the whole
    process and must not overlap between threads, hence the count: the first to come changes them, the last to leave
    restores them. So whoever has this package in a program of his own keeps Pillow's limit for what he opens himself,
    and other modules' warnings pass all the while.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()
        self._most = Image.MAX_IMAGE_PIXELS

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
                Image.Exif.load, ImageFileDirectory_v2.load = _load_exif, _load_directory

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)
                Image.MAX_IMAGE_PIXELS = self._most
                Image.Exif.load, ImageFileDirectory_v2.load = _LOAD_EXIF, _LOAD_DIRECTORY


PILLOW_AT_EASE = _AtEase()
