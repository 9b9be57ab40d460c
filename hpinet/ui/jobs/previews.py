"""Pictures for the page: previews a browser can show, crops, file names, and what a file will weigh."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from threading import BoundedSemaphore

from hpinet.errors import ImageError, OptionError
from hpinet.files import result_label
from hpinet.images import (
    Limits,
    Picture,
    encode_picture,
    open_picture,
    picture_size,
    resize_bicubic,
    save_picture,
)
from hpinet.images.compression import Compression, compression_of_webp
from hpinet.images.formats import BY_NAME, WRITABLE
from hpinet.paths import plain_name
from hpinet.plan import Plan, Size
from hpinet.settings import settings
from hpinet.ui.server.storage import NOT_SENT_HERE

FORMATS = {format.label: format.suffixes[0] for format in WRITABLE if format.in_browsers}
"""Kinds of results on offer, and their suffixes."""

_DECODING = BoundedSemaphore(4)  # no bound on jobs counts a picture before it is open
_STAND_IN = ".shown.jpg"
_SAMPLE_SIDE = 96
_ENLARGED_SIDE = 384  # of a sample that is encoded to guess by: a moment for every format
_MOST_STEM = 200  # bytes; with what is added to them a name stays below the 255 that file systems take


def open_sent(path: Path) -> Picture:
    """A picture that a visitor has sent. Raises OptionError once it is gone, and what `open_picture` raises."""
    with told_if_gone(), _DECODING:
        return open_picture(path)


def with_losses(picture: Picture, found: Compression | None) -> Picture:
    """The picture, of which losses were ``found`` that its file, or a part of it, does not tell of."""
    return picture if found is None else replace(picture, compression=found)


@lru_cache(maxsize=4096)
def size_of_sent(path: Path) -> Size:
    """Its width and height, by its header alone; kept, for it is asked again whenever a field changes.

    Raises as `open_sent` for what a header shows.
    """
    with told_if_gone():
        return picture_size(path)


@lru_cache(maxsize=4096)
def is_lossy_webp(path: Path) -> bool:
    """Whether a WebP that a visitor has sent has losses, without decoding it. Raises OptionError once it is gone."""
    with told_if_gone(), path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        return compression_of_webp(data) is not None


@contextmanager
def told_if_gone() -> Iterator[None]:
    """Turns the error of a file that is there no more, perhaps deleted by its visitor, into one that says so."""
    try:
        yield
    except FileNotFoundError as error:
        raise OptionError(NOT_SENT_HERE) from error
    except ImageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise OptionError(NOT_SENT_HERE) from error
        raise


def shown_instead(path: Path, picture: Picture) -> Path:
    """The file itself if browsers show its kind, else a stand-in of the same size, upright and with 8 bits.

    It lies beside the file, so that `original_of` finds back however many handlers have asked for it at once.
    """
    if BY_NAME[picture.format].in_browsers:
        return path
    stand_in = path.with_name(path.name + _STAND_IN)
    if not stand_in.exists():
        save_picture(picture.to_8_bit(), stand_in, format="JPEG", quality=90)
    return stand_in


def original_of(path: Path) -> Path:
    """The file that a stand-in is shown for; any other file is its own original."""
    original = path.parent / path.name.removesuffix(_STAND_IN)  # the folder, where nothing is left of the name
    return original if original.is_file() else path


def check_result_size(plan: Plan) -> Plan:
    """The plan, if a visitor may have its result. Raises OptionError otherwise."""
    megapixels = plan.reached[0] * plan.reached[1] / 1e6
    limit = settings().max_result_megapixels
    if megapixels > limit:
        raise OptionError(
            f"That would take {megapixels:.0f} megapixels, and this page goes up to {limit:g}: choose a smaller size."
        )
    return plan


def fitting(picture: Picture, side: int) -> Picture:
    """The picture reduced, if need be, so that no side is longer."""
    size = _fitted((picture.width, picture.height), side)
    return picture if size == (picture.width, picture.height) else resize_bicubic(picture, *size)


def _fitted(size: Size, side: int) -> Size:
    """A size reduced, if need be, so that no side is longer."""
    longest = max(size)
    return (
        size if longest <= side else (max(1, round(size[0] * side / longest)), max(1, round(size[1] * side / longest)))
    )


def open_result(path: Path) -> Picture:
    """A picture of our own making: the limits on uploads do not apply."""
    most = settings().max_result_megapixels
    return open_picture(path, limits=Limits(megapixels=most, megabytes=4000, side=2**31 - 1))


def around(picture: Picture, x: int, y: int, side: int) -> Picture:
    """The ``side`` sized square around a point, moved inside the picture where it would stick out."""
    width, height = min(side, picture.width), min(side, picture.height)
    left = min(max(0, x - width // 2), picture.width - width)
    top = min(max(0, y - height // 2), picture.height - height)
    return cropped(picture, left, top, width, height)


def cropped(picture: Picture, left: int, top: int, width: int, height: int) -> Picture:
    """A part of the picture, copied: whoever keeps it does not keep the whole."""
    rows, columns = slice(top, top + height), slice(left, left + width)
    alpha = None if picture.alpha is None else picture.alpha[rows, columns].copy()
    return Picture(picture.colour[rows, columns].copy(), alpha, picture.icc_profile, picture.format)


def sample_of(picture: Picture) -> Picture:
    """A small piece from the middle, to guess file sizes by."""
    return around(picture, picture.width // 2, picture.height // 2, _SAMPLE_SIDE)


def expected_bytes(sample: Picture, plan: Plan, format: str, quality: int) -> float:
    """About how large the result's file will be: a sample enlarged by bicubic and encoded, then scaled by area.

    Results are sharper than bicubic, so files come out somewhat larger.
    """
    factor = plan.target[0] / plan.source[0]
    side = max(16, round(_ENLARGED_SIDE / factor))
    sample = around(sample, sample.width // 2, sample.height // 2, side)
    width, height = (max(1, round(length * factor)) for length in (sample.width, sample.height))
    encoded = len(encode_picture(resize_bicubic(sample, width, height), format, quality=quality))
    return encoded * (plan.target[0] * plan.target[1]) / (width * height)


def result_name(upload: str, plan: Plan, checkpoint: str, format: str) -> str:
    """Name of a download: ``<upload>_x4_hpinet-t.png``, or ``<upload>_1920x1280_hpinet-t.png`` for a size in pixels."""
    stem = plain_name(Path(upload).stem)[:80]
    stem = stem.encode()[:_MOST_STEM].decode(errors="ignore") or "picture"
    return f"{stem}_{result_label(plan, checkpoint)}{FORMATS[format]}"
