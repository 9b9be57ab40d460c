"""A glimpse before a long run: its most telling piece, enlarged within two seconds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hpinet.errors import HPINetError
from hpinet.images import Picture, save_picture
from hpinet.images.compression import Compression
from hpinet.plan import Plan, Size, TargetSize
from hpinet.ui.jobs import previews, tiles, zerogpu
from hpinet.ui.jobs.enlarge import Wanted, enlarge
from hpinet.ui.jobs.models import Choice, expected_seconds
from hpinet.ui.jobs.running import Reporter, StopFlag

LONG_SECONDS = 10
"""Runs that should take less need no glimpse."""

_PIECE_SECONDS = 1.0  # expected; the picture is opened and shown besides
_SIDES = (384, 320, 256, 192, 128, 96, 64, 48, 32)  # pixels of the picture
_GRID = 16  # pixels: the blocks of a JPEG stay where the treatment looks for them
_SEARCHED_PIXELS = 1e6


@dataclass(frozen=True)
class Glimpse:
    """A piece of a picture, enlarged."""

    view: tiles.View
    corner: tuple[int, int]  # of the piece, in pixels of the picture


def side_of(choice: Choice, wanted: Wanted, plan: Plan, *, rounds: int) -> int | None:
    """The side of the square to show, None where no glimpse is due: runs that are short, or would fetch a model first.

    None too on ZeroGPU, where the visitor's own seconds would pay for it.
    """
    if zerogpu.IS_HERE or not choice.is_installed(plan):
        return None
    if expected_seconds(choice, plan, rounds=rounds) <= LONG_SECONDS:
        return None
    for side in _SIDES:
        if side <= min(plan.source) and _seconds(choice, wanted, plan, side, rounds) <= _PIECE_SECONDS:
            return side
    return None


def _seconds(choice: Choice, wanted: Wanted, plan: Plan, side: int, rounds: int) -> float:
    try:
        return expected_seconds(choice, of_piece(wanted, plan, side).plan((side, side), choice), rounds=rounds)
    except HPINetError:
        return float("inf")


def of_piece(wanted: Wanted, plan: Plan, side: int) -> Wanted:
    """The same enlargement, of a square piece."""
    size = wanted.size
    if size.scale is None:
        size = TargetSize(longest_side=round(side * plan.target[0] / plan.source[0]))
    return replace(wanted, size=size, format="PNG", metadata="drop")


def glimpse(
    source: Path,
    wanted: Wanted,
    plan: Plan,
    side: int,
    *,
    found: Compression | None,
    stop: StopFlag,
    new_folder: Callable[[], Path],
) -> Glimpse:
    """The most detailed square of the picture, enlarged as ``plan`` will. Raises HPINetError.

    ``found`` is what losses the picture went through.
    """
    picture = previews.open_sent(source)
    left, top = corner_of(picture, side)
    folder, views = new_folder(), list[tiles.View]()
    piece = folder / "piece.png"
    save_picture(previews.cropped(picture, left, top, side, side), piece)
    del picture  # the work on its piece may wait for its turn
    enlarge(
        piece,
        of_piece(wanted, plan, side),
        target=lambda _: folder / "result.png",
        stop=stop,
        reporter=Reporter("First a piece of it", stop),
        found=found,
        show=lambda done: views.append(tiles.keep(done.source, done.result, folder, upload=piece)),
    )
    return Glimpse(views[0], (left, top))


def corner_of(picture: Picture, side: int) -> Size:
    """The upper left corner of the square with most detail, on the grid of a JPEG's blocks."""
    step = max(1, round((picture.width * picture.height / _SEARCHED_PIXELS) ** 0.5))
    samples = np.atleast_3d(np.asarray(picture.to_8_bit().to_pil().reduce(step)))
    shares = tiles.most_detailed(samples, (max(1, side // step), max(1, side // step)))
    corner = [
        min(max(0, round((share * length - side / 2) / _GRID) * _GRID), (length - side) // _GRID * _GRID)
        for share, length in zip(shares, (picture.width, picture.height), strict=True)
    ]
    return corner[0], corner[1]
