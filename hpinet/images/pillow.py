"""Pillow without limits and warnings of its own, where ours hold."""

import warnings
from contextlib import ContextDecorator
from threading import Lock

from PIL import Image


class _AtEase(ContextDecorator):
    """While anybody is inside, Pillow opens pictures of any size, and does not warn of odd files.

    For files whose size is looked at before they are decoded, and those that are made here. Both change the whole
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

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)
                Image.MAX_IMAGE_PIXELS = self._most


PILLOW_AT_EASE = _AtEase()
