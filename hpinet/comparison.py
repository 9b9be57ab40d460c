"""Honest numbers on one picture: shrink it, restore it by several models, and compare with what it was.

`hpinet.evaluation` does this for benchmark sets; here one picture of anybody's is looked at closely.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpinet import markdown
from hpinet.errors import ImageError
from hpinet.images import Picture, resize_bicubic
from hpinet.images.coefficients import read_coefficients
from hpinet.images.degradations import degrade
from hpinet.metrics import SSIM_WINDOW, luminance, psnr_y, ssim_y
from hpinet.plan import Enlarges
from hpinet.progress import Progress, ignore, nth

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

    def error_maps(self) -> list[np.ndarray]:
        """(H, W) float32 for each attempt: how far the luminance is off, in grey levels, locally averaged."""
        truth = luminance(self.truth).astype(np.float32)
        return [_smooth(np.abs(luminance(one.pixels) - truth)) for one in self.restored]

    def telling_spots(self, *, count: int, side: int) -> list[tuple[int, int]]:
        """Top left corners (x, y) of the ``side`` sized crops where the attempts differ most, none overlapping."""
        attempts = np.stack([luminance(one.pixels).astype(np.float32) for one in self.restored])
        spread = attempts.std(axis=0)
        height, width = spread.shape
        side = min(side, height, width)
        windows = np.lib.stride_tricks.sliding_window_view(_integral(spread), (side + 1, side + 1))
        sums = windows[:, :, -1, -1] - windows[:, :, 0, -1] - windows[:, :, -1, 0] + windows[:, :, 0, 0]
        spots = []
        for _ in range(count):
            y, x = (int(i) for i in np.unravel_index(np.argmax(sums), sums.shape))
            if not np.isfinite(sums[y, x]):
                break
            spots.append((x, y))
            sums[max(0, y - side + 1) : y + side, max(0, x - side + 1) : x + side] = -np.inf
        return spots


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
        began = time.perf_counter()
        picture = upscaler(small, progress=nth(progress, number, len(upscalers)))
        attempts.append(Attempt(name, picture, time.perf_counter() - began))
    return attempts


def score(picture: Picture, small: Picture, scale: int, attempts: Sequence[Attempt]) -> Comparison:
    """The last step of `compare`: bicubic and the attempts at ``picture`` beside it."""
    truth = _truth(picture, scale)
    bicubic = Attempt(BICUBIC, resize_bicubic(small, truth.width, truth.height), None)
    restored = tuple(
        Restored(
            attempt.name,
            attempt.picture.colour,
            psnr_y(attempt.picture.colour, truth.colour, scale=scale),
            ssim_y(attempt.picture.colour, truth.colour, scale=scale),
            attempt.seconds,
        )
        for attempt in (bicubic, *attempts)
    )
    return Comparison(truth.colour, small.colour, scale, restored)


def _truth(picture: Picture, scale: int) -> Picture:
    """What counts of a picture: 8-bit RGB, sides multiples of the scale."""
    height, width = (side - side % scale for side in (picture.height, picture.width))
    if min(height, width) < SSIM_WINDOW + 2 * scale:
        raise ImageError(
            f"To be measured at ×{scale} a picture needs at least {SSIM_WINDOW + 3 * scale} pixels a side."
        )
    return Picture.from_array(_rgb(picture)[:height, :width])


def consistency(result: Picture, source: Picture) -> float:
    """How faithful an enlargement is: PSNR-Y in dB between its bicubic reduction and the picture it came from.

    High (above 40 dB) means that nothing the source shows was changed; it says nothing about invented detail. Infinite
    when the reduction gives the source exactly. What is transparent counts as far as it shows.
    """
    result, source = result.on(0.5), source.on(0.5)
    reduced = resize_bicubic(result, source.width, source.height)
    return psnr_y(_rgb(reduced), _rgb(source), scale=0)


def explained(result: Picture, file: Path) -> float | None:
    """How much of a JPEG an enlargement explains: the share, 0 to 1, of its coefficients, reduced to the file's size.

    At 1, saving the reduction as the file was saved gives the file again. That is the honest measure for a JPEG, whose
    decoded pixels `consistency` compares with, blocks and all. None where it cannot be told: for other files, unusual
    kinds of JPEG, those whose colours were converted on opening, and the finest qualities (see
    `hpinet.images.coefficients`). Raises ImageError if the file cannot be read.
    """
    try:
        coefficients = read_coefficients(file.read_bytes())
    except OSError as error:
        raise ImageError(f"{file} cannot be read.") from error
    if coefficients is None or coefficients.icc_profile != result.icc_profile:
        return None
    return coefficients.explained(_rgb(resize_bicubic(result, coefficients.width, coefficients.height)))


def to_markdown(comparison: Comparison) -> str:
    """The scores as a Markdown table."""
    header, *rows = _table(comparison)
    return markdown.table(header, rows, numbers=3)


def to_csv(comparison: Comparison) -> str:
    """The scores as comma-separated values with a header."""
    return "\n".join(",".join(row) for row in _table(comparison))


def _table(comparison: Comparison) -> list[Sequence[str]]:
    return [
        ("model", "PSNR-Y (dB)", "SSIM-Y", "seconds"),
        *(
            (one.name, f"{one.psnr_y:.2f}", f"{one.ssim_y:.4f}", "" if one.seconds is None else f"{one.seconds:.1f}")
            for one in comparison.restored
        ),
    ]


def _rgb(picture: Picture) -> np.ndarray:
    """(H, W, 3) uint8: grey three times over, alpha left out."""
    colour = picture.to_8_bit().colour
    return np.repeat(colour, 3, axis=2) if picture.is_grey else colour


def _integral(values: np.ndarray) -> np.ndarray:
    """(H, W) -> (H + 1, W + 1) sums of everything above and to the left."""
    return np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0, dtype=np.float64).cumsum(axis=1)


def _smooth(values: np.ndarray, radius: int = 1) -> np.ndarray:
    """Mean over a (2r + 1)² neighbourhood: single pixels are below what an eye compares."""
    side = 2 * radius + 1
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, radius, mode="edge"), (side, side))
    return windows.mean(axis=(2, 3), dtype=np.float32)
