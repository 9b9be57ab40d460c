"""What the viewer shows: a result and what it is compared with, cut into tiles that are made when they are asked for.

While both pictures are in memory, they and their reductions by 2, 4, 8… are written as plain arrays. A tile then reads
the few rows it needs, so that a picture of any size opens at once, and no memory of ours is held for it.
"""

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import numpy as np

from hpinet.errors import ImageError, OptionError
from hpinet.images import Picture, encode_picture, resize_bicubic
from hpinet.images import colour as colours
from hpinet.plan import Size
from hpinet.ui.jobs.previews import open_result, open_sent

SIDE = 512
"""Pixels of a tile, each way; less at the right and at the bottom."""

RESULT, UPLOAD, BICUBIC, NEAREST = LAYERS = ("result", "upload", "bicubic", "nearest")
"""What there is to see. The upload has its own size, the other three that of the result."""

QUALITY = 95  # of tiles in JPEG
_EXACT_PIXELS = 2_000_000  # results up to here are shown without any loss
_VIEWS_KEPT = 50_000  # a kilobyte each, and more than can be made in the hours that their files are kept
_DETAIL_PIXELS = 12e6  # detail is looked for in the first reduction with no more than these
_DETAIL_BLOCK = 16
_DETAIL_WINDOW = 480, 320  # pixels of the result: about what is seen at 100 %
_SUPPORT = 2  # of the bicubic kernel, in pixels of whichever picture is the smaller


@dataclass(frozen=True)
class View:
    """A result with its upload, ready to be looked at."""

    folder: Path
    upload: Size
    result: Size
    picture: str  # tells uploads apart and says nothing of them
    spot: tuple[float, float]  # the most detailed place, as shares of width and height
    has_alpha: bool

    def size(self, layer: str) -> Size:
        """Width and height of a layer in full."""
        return self.upload if layer == UPLOAD else self.result

    @property
    def is_exact(self) -> bool:
        """Whether tiles lose nothing. Large opaque pictures come as JPEG of a high quality."""
        return self.has_alpha or self.result[0] * self.result[1] <= _EXACT_PIXELS

    def samples(self, layer: str, level: int) -> np.ndarray:
        """(H, W, C) uint8 of a layer that is kept, see `_read`."""
        return _read(self.folder, layer, self.size(layer), level)

    @property
    def is_there(self) -> bool:
        """Whether its files are, of which the largest go first."""
        return _file(self.folder, UPLOAD, 0).is_file()


def levels(size: Size) -> int:
    """How many reductions there are of a picture, itself included: the last one is a single tile."""
    return max(1, ceil(np.log2(max(size) / SIDE)) + 1)


def level_size(size: Size, level: int) -> Size:
    """The size of a picture reduced by 2 ``level`` times."""
    return -(-size[0] // 2**level), -(-size[1] // 2**level)


# ----------------------------------------------------------------------------------------------------------- writing


def keep(source: Picture, result: Picture, folder: Path, *, upload: Path) -> View:
    """Writes what tiles are made of into ``folder``; ``upload`` tells this source from others."""
    own = _with_upload(source, folder)
    _write(result, own, RESULT)
    size = result.width, result.height
    known = hashlib.sha256(str(upload).encode()).hexdigest()[:16]
    return View(own, (source.width, source.height), size, known, _detailed_spot(own, size), result.alpha is not None)


def keep_upload(source: Picture, folder: Path, *, upload: Path) -> View:
    """An upload alone, to choose a part of it: a view without a result, whose size is the upload's."""
    own = _with_upload(source, folder)
    size = source.width, source.height
    known = hashlib.sha256(f"{upload} alone".encode()).hexdigest()[:16]
    return View(own, size, size, known, (0.5, 0.5), source.alpha is not None)


def _with_upload(source: Picture, folder: Path) -> Path:
    """A view's own folder, with the upload and its profile in it."""
    own = folder / "view"
    own.mkdir(exist_ok=True)
    if source.icc_profile:
        (own / "profile.icc").write_bytes(source.icc_profile)
    _write(source, own, UPLOAD)
    return own


def keep_files(source: Path, result: Path, folder: Path) -> View:
    """The same of pictures that lie in files."""
    return keep(open_sent(source), open_result(result), folder, upload=source)


def _write(picture: Picture, folder: Path, layer: str) -> None:
    image = picture.to_8_bit().to_pil()
    for level in range(levels((picture.width, picture.height))):
        if level:
            image = image.reduce(2)  # by opacity where there is alpha
        _file(folder, layer, level).write_bytes(image.tobytes())


def _file(folder: Path, layer: str, level: int) -> Path:
    return folder / f"{layer}-{level}.samples"


def _read(folder: Path, layer: str, size: Size, level: int) -> np.ndarray:
    """(H, W, C) uint8 of a layer of ``size`` in full, read from the file where it is looked at.

    Without a header to parse: NumPy's is a Python expression, and Python 3.11 cannot parse two at once
    (``SystemError``, https://github.com/python/cpython/issues/106905). Raises ImageError if the file is gone.
    """
    width, height = level_size(size, level)
    try:
        return np.memmap(_file(folder, layer, level), np.uint8, "r").reshape(height, width, -1)
    except OSError as error:
        raise ImageError("The picture is gone from the server by now: enlarge it again.") from error


def _detailed_spot(folder: Path, size: Size) -> tuple[float, float]:
    """Where brightness changes most within a window, as shares of width and height."""
    level = 0
    while level < levels(size) - 1 and np.prod(level_size(size, level)) > _DETAIL_PIXELS:
        level += 1
    width, height = (max(1, window // 2**level) for window in _DETAIL_WINDOW)
    return most_detailed(_read(folder, RESULT, size, level), (width, height))


def most_detailed(samples: np.ndarray, window: Size) -> tuple[float, float]:
    """Where brightness changes most within a window of ``samples``, (H, W, C) uint8.

    Returns the middle of it, as shares of width and height.
    """
    channels = samples.shape[2]
    values = samples[..., 0 if channels < 3 else 1].astype(np.int16)  # grey, or green
    if channels in (2, 4):
        values = values * (samples[..., -1] > 127)
    change: np.ndarray = np.zeros(values.shape, np.float32)
    change[:, 1:] += np.abs(np.diff(values, axis=1))
    change[1:] += np.abs(np.diff(values, axis=0))
    steps = [min(_DETAIL_BLOCK, side, length) for side, length in zip(window, change.shape[::-1], strict=True)]
    blocks = _summed(_summed(change, steps[1], 0), steps[0], 1)
    windows = [
        max(1, min(round(side / step), count))
        for side, step, count in zip(window, steps, blocks.shape[::-1], strict=True)
    ]
    seen = _sliding(_sliding(blocks, windows[1], 0), windows[0], 1)
    row, column = np.unravel_index(int(seen.argmax()), seen.shape)
    x = (column + windows[0] / 2) * steps[0] / change.shape[1]
    y = (row + windows[1] / 2) * steps[1] / change.shape[0]
    return round(min(float(x), 1.0), 5), round(min(float(y), 1.0), 5)


def _summed(array: np.ndarray, step: int, axis: int) -> np.ndarray:
    """Sums of ``step`` rows or columns each; the last may be of fewer."""
    return np.add.reduceat(array, np.arange(0, array.shape[axis], step), axis=axis)


def _sliding(array: np.ndarray, window: int, axis: int) -> np.ndarray:
    """Sums of every ``window`` neighbours."""
    sums = np.cumsum(np.insert(array.astype(np.float64), 0, 0, axis=axis), axis=axis)
    count = array.shape[axis] + 1
    return np.take(sums, range(window, count), axis=axis) - np.take(sums, range(count - window), axis=axis)


# ------------------------------------------------------------------------------------------------------------- tiles


def tile(view: View, layer: str, level: int, column: int, row: int) -> tuple[bytes, str]:
    """A tile's file and its media type, in sRGB.

    Raises OptionError if there is no such tile, ImageError if the picture is gone.
    """
    if layer not in LAYERS or not 0 <= level < levels(view.size(layer)):
        raise OptionError("There is no such layer of the picture.")
    width, height = level_size(view.size(layer), level)
    left, top = column * SIDE, row * SIDE
    if not (0 <= left < width and 0 <= top < height):
        raise OptionError("There is no such part of the picture.")
    box = left, top, min(left + SIDE, width), min(top + SIDE, height)
    samples = np.array(_MAKERS[layer](view, level, box))
    picture = _in_srgb(Picture.from_array(samples), view.folder / "profile.icc")
    if view.is_exact:
        return encode_picture(picture), "image/png"
    return encode_picture(picture, "JPEG", quality=QUALITY), "image/jpeg"


Box = tuple[int, int, int, int]  # left, top, right, bottom


def _in_srgb(picture: Picture, profile: Path) -> Picture:
    if not profile.exists():
        return picture
    return Picture(colours.to_srgb(picture.colour, profile.read_bytes()), picture.alpha)


def _of_result(view: View, level: int, box: Box) -> np.ndarray:
    return view.samples(RESULT, level)[box[1] : box[3], box[0] : box[2]]


def _of_upload(view: View, level: int, box: Box) -> np.ndarray:
    return view.samples(UPLOAD, level)[box[1] : box[3], box[0] : box[2]]


def _of_nearest(view: View, level: int, box: Box) -> np.ndarray:
    """Each pixel a copy of the one of the upload that its centre falls on."""
    if level_size(view.result, level) < view.upload:
        return _of_bicubic(view, level, box)  # nothing is left to copy
    columns, rows = (
        np.minimum((2 * np.arange(begin, stop) + 1) * 2**level * source // (2 * target), source - 1)
        for begin, stop, source, target in zip(box[:2], box[2:], view.upload, view.result, strict=True)
    )
    part = view.samples(UPLOAD, 0)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return part[np.ix_(rows - rows[0], columns - columns[0])]


def _of_bicubic(view: View, level: int, box: Box) -> np.ndarray:
    """A part of the upload at the result's size, from the reduction of it that is just large enough."""
    wanted = level_size(view.result, level)
    known = max(
        (
            known
            for known in range(levels(view.upload))
            if all(have >= want for have, want in zip(level_size(view.upload, known), wanted, strict=True))
        ),
        default=0,
    )
    samples = view.samples(UPLOAD, known)
    across, down = (
        _Stretch.of(begin, stop, scale=2.0 ** (level - known) * source / target, length=length)
        for begin, stop, source, target, length in zip(
            box[:2], box[2:], view.upload, view.result, samples.shape[1::-1], strict=True
        )
    )
    near = np.array(samples[down.first : down.last, across.first : across.last])
    return resize_bicubic(
        Picture.from_array(near),
        box[2] - box[0],
        box[3] - box[1],
        part=(across.start, down.start, across.end, down.end),
    ).samples


@dataclass(frozen=True)
class _Stretch:
    """What of a row, or column, of the upload a tile is made of."""

    first: int  # pixels that are read: with neighbours, so that tiles fit together
    last: int
    start: float  # where the tile lies within them
    end: float

    @classmethod
    def of(cls, begin: int, stop: int, *, scale: float, length: int) -> "_Stretch":
        """Of pixels ``begin`` to ``stop``, each ``scale`` of the ``length`` pixels that there are."""
        start, end = begin * scale, min(stop * scale, float(length))
        reach = _SUPPORT * max(1.0, scale) + 1
        first, last = max(0, floor(start - reach)), min(length, ceil(end + reach))
        return cls(first, last, start - first, end - first)


_MAKERS: dict[str, Callable[[View, int, Box], np.ndarray]] = {
    RESULT: _of_result,
    UPLOAD: _of_upload,
    BICUBIC: _of_bicubic,
    NEAREST: _of_nearest,
}


# ---------------------------------------------------------------------------------------------------- who may see what


class Views:
    """The views of this process under names that nobody can guess, each for the visitor it was made for alone."""

    def __init__(self, most: int = _VIEWS_KEPT) -> None:
        self._most = most
        self._known: OrderedDict[str, tuple[str, View]] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, view: View, visitor: str) -> str:
        """A name for the view. ``visitor`` is the cookie of who may see it."""
        name = secrets.token_urlsafe(16)
        self.renew(name, view, visitor)
        return name

    def renew(self, name: str, view: View, visitor: str) -> None:
        """Lets the view be seen under the name that it had, which may have been forgotten since."""
        with self._lock:
            self._known[name] = visitor, view
            self._known.move_to_end(name)
            if len(self._known) > self._most:
                self._known.popitem(last=False)

    def close(self, name: str) -> None:
        """Forgets a name that nobody uses any more."""
        with self._lock:
            self._known.pop(name, None)

    def of(self, name: str, visitor: str) -> View | None:
        """The view of that name if it is this visitor's."""
        with self._lock:
            owner, view = self._known.get(name, ("", None))
            if view is None or not secrets.compare_digest(owner.encode(), visitor.encode()):
                return None
            self._known.move_to_end(name)
            return view


VIEWS = Views()
