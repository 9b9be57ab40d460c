"""Pictures for the page: previews a browser can show, crops, file names, and what a file will weigh."""

import re
from pathlib import Path

from hpinet.errors import OptionError
from hpinet.files import Enlarged, result_label
from hpinet.images import (
    Limits,
    Picture,
    encode_picture,
    open_picture,
    resize_bicubic,
    resize_nearest,
    save_picture,
)
from hpinet.images.formats import BY_NAME, WRITABLE
from hpinet.plan import Plan, Size
from hpinet.settings import settings
from hpinet.ui.server.storage import new_folder

PREVIEW_SIDE = 3000
"""Results larger than this are shown reduced; the download is complete."""

FORMATS = {format.label: format.suffixes[0] for format in WRITABLE if format.in_browsers}
"""Kinds of results on offer, and their suffixes."""

ENLARGERS = {"Bicubic": resize_bicubic, "Nearest": resize_nearest}

_SAMPLE_SIDE = 96


def shown_instead(path: Path, picture: Picture) -> Path:
    """The file itself if browsers show its kind, else a stand-in of the same size, upright and with 8 bits."""
    if BY_NAME[picture.format].in_browsers:
        return path
    stand_in = new_folder() / f"{path.stem}.jpg"
    save_picture(picture.to_8_bit(), stand_in, format="JPEG", quality=90)
    return stand_in


def check_result_size(plan: Plan) -> Plan:
    """The plan, if a visitor may have its result. Raises OptionError otherwise."""
    megapixels = plan.reached[0] * plan.reached[1] / 1e6
    limit = settings().max_result_megapixels
    if megapixels > limit:
        raise OptionError(
            f"That would take {megapixels:.0f} megapixels; this page goes up to {limit:g}. "
            "Choose a smaller size, or use the command line."
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


def before_and_after(source: Path, result: Path, target: Size, kind: str, folder: Path) -> tuple[str, str]:
    """Two pictures of equal size for the slider: ``source`` enlarged by ``kind``, and ``result`` of size ``target``."""
    before, after = _slides(result, target, kind, folder)
    if not after.exists():
        _write_after(open_result(result), after)
    if not before.exists():
        _write_before(open_picture(source), target, kind, before)
    return str(before), str(after)


def write_slides(done: Enlarged, kind: str, folder: Path) -> None:
    """The files that `before_and_after` needs, while both pictures are in memory."""
    before, after = _slides(done.target, done.plan.target, kind, folder)
    _write_before(done.source, done.plan.target, kind, before)
    if after != done.target:
        _write_after(done.result, after)


def _slides(result: Path, target: Size, kind: str, folder: Path) -> tuple[Path, Path]:
    is_whole = _fitted(target, PREVIEW_SIDE) == target
    return folder / f"before-{kind.lower()}.png", result if is_whole else folder / "preview.png"


def _write_before(source: Picture, target: Size, kind: str, path: Path) -> None:
    save_picture(ENLARGERS[kind](source, *_fitted(target, PREVIEW_SIDE)), path)


def _write_after(result: Picture, path: Path) -> None:
    save_picture(fitting(result, PREVIEW_SIDE).to_8_bit(), path)


def open_result(path: Path) -> Picture:
    """A picture of our own making: the limits on uploads do not apply."""
    return open_picture(path, limits=Limits(megapixels=settings().max_result_megapixels, megabytes=4000))


def around(picture: Picture, x: int, y: int, side: int) -> Picture:
    """The ``side`` sized square around a point, moved inside the picture where it would stick out."""
    width, height = min(side, picture.width), min(side, picture.height)
    left = min(max(0, x - width // 2), picture.width - width)
    top = min(max(0, y - height // 2), picture.height - height)
    return cropped(picture, left, top, width, height)


def cropped(picture: Picture, left: int, top: int, width: int, height: int) -> Picture:
    """A part of the picture."""
    rows, columns = slice(top, top + height), slice(left, left + width)
    alpha = None if picture.alpha is None else picture.alpha[rows, columns]
    return Picture(picture.colour[rows, columns], alpha, picture.icc_profile, picture.format)


def sample_of(picture: Picture) -> Picture:
    """A small piece from the middle, to guess file sizes by."""
    return around(picture, picture.width // 2, picture.height // 2, _SAMPLE_SIDE)


def expected_bytes(sample: Picture, plan: Plan, format: str, quality: int) -> float:
    """About how large the result's file will be: a sample enlarged by bicubic and encoded, then scaled by area.

    Results are sharper than bicubic, so files come out somewhat larger.
    """
    factor = plan.target[0] / plan.source[0]
    width, height = (max(1, round(length * factor)) for length in (sample.width, sample.height))
    encoded = len(encode_picture(resize_bicubic(sample, width, height), format, quality=quality))
    return encoded * (plan.target[0] * plan.target[1]) / (width * height)


def result_name(upload: str, plan: Plan, checkpoint: str, format: str) -> str:
    """Name of a download: ``<upload>_x4_hpinet-t.png``, or ``<upload>_1920x1280_hpinet-t.png`` for a size in pixels."""
    stem = re.sub(r"[^\w.-]+", "-", Path(upload).stem).strip("-.")[:80] or "picture"
    return f"{stem}_{result_label(plan, checkpoint)}{FORMATS[format]}"


def save_as(result: Path, path: Path, format: str, quality: int) -> Path:
    """The lossless ``result`` as a file of another format, or linked under another name."""
    if path.exists():
        return path
    if format == "PNG":
        path.hardlink_to(result)
    else:
        save_picture(open_result(result), path, format=format, quality=quality)
    return path
