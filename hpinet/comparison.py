"""Honest numbers on one picture: shrink it, restore it by several models, and compare with what it was.

`hpinet.evaluation` does this for benchmark sets; here one picture of anybody's is looked at closely.
"""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

from hpinet import markdown
from hpinet.errors import ImageError
from hpinet.images import Picture, resize_bicubic
from hpinet.images.coefficients import read_coefficients
from hpinet.images.degradations import degrade
from hpinet.metrics import SSIM_WINDOW, luminance, psnr_y, ssim_y
from hpinet.plan import Enlarges
from hpinet.progress import Progress, Stopwatch, ignore, nth

BICUBIC = "bicubic"


@dataclass(frozen=True)
class Attempt:
    """What one method made of the small picture."""

    name: str
    picture: Picture
    seconds: float | None  # None for bicubic, which takes no time worth telling


@dataclass(frozen=True)
class Restored:
    """One method's attempt."""

    name: str
    pixels: np.ndarray  # (H, W, 3) uint8 RGB, as large as the truth
    psnr_y: float  # dB
    ssim_y: float
    seconds: float | None  # as of `Attempt`


@dataclass(frozen=True)
class Comparison:
    """A picture taken for the truth, and its restorations from 1/scale of its size; bicubic comes first."""

    truth: np.ndarray  # (H, W, 3) uint8 RGB, sides multiples of the scale
    small: np.ndarray  # what the methods were given
    scale: int
    restored: tuple[Restored, ...]

    def error_maps(self) -> Iterator[np.ndarray]:
        """(H, W) float32 for each attempt: how far the luminance is off, in grey levels, locally averaged."""
        truth = luminance(self.truth)
        for one in self.restored:
            levels = luminance(one.pixels)
            yield _smooth(np.maximum(levels, truth) - np.minimum(levels, truth))

    def telling_spots(self, *, count: int, side: int) -> list[tuple[int, int]]:
        """Top left corners (x, y) of the ``side`` sized crops where the attempts differ most, none overlapping.

        They are looked for in steps of an eighth of a side.
        """
        height, width = self.truth.shape[:2]
        side = min(side, height, width)
        step = max(1, side // 8)
        blocks = np.stack([self._spread(top, step) for top in range(0, height - step + 1, step)])
        sums = np.lib.stride_tricks.sliding_window_view(blocks, (side // step, side // step)).sum(axis=(2, 3))
        sums = sums[: (height - side) // step + 1, : (width - side) // step + 1]
        apart = math.ceil(side / step)
        spots = []
        for _ in range(count):
            row, column = (int(i) for i in np.unravel_index(np.argmax(sums), sums.shape))
            if not np.isfinite(sums[row, column]):
                break
            spots.append((column * step, row * step))
            sums[max(0, row - apart + 1) : row + apart, max(0, column - apart + 1) : column + apart] = -np.inf
        return spots

    def _spread(self, top: int, side: int) -> np.ndarray:
        """How much the attempts differ in each of the squares of that side in a row, which begins at ``top``."""
        columns = self.truth.shape[1] // side
        parts = [luminance(one.pixels[top : top + side, : columns * side]) for one in self.restored]
        return np.std(parts, axis=0, dtype=np.float32).reshape(side, columns, side).sum(axis=(0, 2))


def compare(
    picture: Picture,
    scale: int,
    upscalers: Mapping[str, Enlarges],
    *,
    degradation: str | None = None,
    progress: Progress = ignore,
) -> Comparison:
    """Takes ``picture`` for the truth, reduces it by antialiased bicubic and lets each upscaler (by name) restore it.

    The small picture may be degraded first, such as by "jpeg-75"; what is done about that is the upscalers' business.
    Colours are compared in 8 bits; alpha is left out. Raises ImageError for a picture too small to score, OptionError
    for a degradation that `hpinet.images.degradations.NAMED` has not.
    """
    small = reduced(picture, scale, degradation=degradation)
    return score(picture, small, scale, restore(small, upscalers, progress=progress))


def reduced(picture: Picture, scale: int, *, degradation: str | None = None) -> Picture:
    """The first step of `compare`: the small picture that the methods are given."""
    truth = _truth(picture, scale)
    small = resize_bicubic(truth, truth.width // scale, truth.height // scale)
    return small if degradation is None else degrade(small.colour, degradation)


def restore(small: Picture, upscalers: Mapping[str, Enlarges], *, progress: Progress = ignore) -> list[Attempt]:
    """The second step of `compare`, the only one that needs the networks."""
    attempts = []
    for number, (name, upscaler) in enumerate(upscalers.items()):
        watch = Stopwatch(nth(progress, number, len(upscalers)))
        picture = upscaler(small, progress=watch)
        attempts.append(Attempt(name, picture, watch.seconds))
    return attempts


def score(
    picture: Picture, small: Picture, scale: int, attempts: Sequence[Attempt], *, progress: Progress = ignore
) -> Comparison:
    """The last step of `compare`: bicubic and the attempts at ``picture`` beside it."""
    truth = _truth(picture, scale)
    bicubic = Attempt(BICUBIC, resize_bicubic(small, truth.width, truth.height), None)
    restored = []
    for number, attempt in enumerate((bicubic, *attempts)):
        pixels, told = attempt.picture.colour, nth(progress, number, 1 + len(attempts))
        psnr = psnr_y(pixels, truth.colour, scale=scale)
        ssim = ssim_y(pixels, truth.colour, scale=scale, progress=told)
        restored.append(Restored(attempt.name, pixels, psnr, ssim, attempt.seconds))
    return Comparison(truth.colour, small.colour, scale, tuple(restored))


def _truth(picture: Picture, scale: int) -> Picture:
    """What counts of a picture: 8-bit RGB, sides multiples of the scale."""
    height, width = (side - side % scale for side in (picture.height, picture.width))
    if min(height, width) < SSIM_WINDOW + 2 * scale:
        raise ImageError(
            f"To be measured at ×{scale} a picture needs at least {SSIM_WINDOW + 3 * scale} pixels a side."
        )
    return Picture.from_array(picture.to_8_bit_rgb()[:height, :width])


def consistency(result: Picture, source: Picture) -> float:
    """How faithful an enlargement is: PSNR-Y in dB between its bicubic reduction and the picture it came from.

    High (above 40 dB) means that nothing the source shows was changed; it says nothing about invented detail. Infinite
    when the reduction gives the source exactly. What is transparent counts as far as it shows.
    """
    result, source = result.on(0.5), source.on(0.5)
    reduced = resize_bicubic(result, source.width, source.height)
    return psnr_y(reduced.to_8_bit_rgb(), source.to_8_bit_rgb(), scale=0)


def explained(result: Picture, file: Path) -> float | None:
    """How much of a JPEG an enlargement explains: the share, 0 to 1, of its coefficients, reduced to the file's size.

    At 1, saving the reduction as the file was saved gives the file again. That is the honest measure for a JPEG, whose
    decoded pixels `consistency` compares with, blocks and all. None where it cannot be told: for other files, unusual
    kinds of JPEG, damaged ones that could be opened all the same, those whose colours were converted on opening, and
    the finest qualities (see `hpinet.images.coefficients`). Raises ImageError if the file cannot be read.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ImageError(f"{file} cannot be read.") from error
    coefficients = None
    with suppress(ImageError):  # of damage that was tolerated when the picture was opened
        coefficients = read_coefficients(data)
    if coefficients is None or coefficients.icc_profile != result.icc_profile:
        return None
    reduced = resize_bicubic(result, coefficients.width, coefficients.height)
    return coefficients.explained(reduced.to_8_bit_rgb())


def to_markdown(comparison: Comparison) -> str:
    """The scores as a Markdown table."""
    header, *rows = _table(comparison)
    return markdown.table(header, rows, numbers=3)


def to_csv(comparison: Comparison) -> str:
    """The scores as comma-separated values with a header."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(_table(comparison))
    return text.getvalue()


def _table(comparison: Comparison) -> list[Sequence[str]]:
    return [
        ("model", "PSNR-Y (dB)", "SSIM-Y", "seconds"),
        *(
            (one.name, f"{one.psnr_y:.2f}", f"{one.ssim_y:.4f}", "" if one.seconds is None else f"{one.seconds:.1f}")
            for one in comparison.restored
        ),
    ]


def _smooth(values: np.ndarray) -> np.ndarray:
    """(H, W) uint8 -> float32, the mean of each 3x3 neighbourhood: single pixels are below what an eye compares."""
    padded = np.pad(values, 1, mode="edge")
    smooth = np.empty(values.shape, np.float32)
    for number, row in enumerate(smooth):
        columns = padded[number : number + 3].sum(axis=0, dtype=np.float32)
        row[:] = (columns[:-2] + columns[1:-1] + columns[2:]) / 9
    return smooth
