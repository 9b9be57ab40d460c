"""How far a network sees, and what it would cost to cut the picture into tiles."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hpinet import wording
from hpinet.attribution.lam import FAINT, radius_holding, taking_gradients
from hpinet.attribution.regions import square_around, to_tensor
from hpinet.errors import OptionError
from hpinet.metrics import psnr_y
from hpinet.progress import Progress, ignore

TILE = 64
OVERLAP = 10
"""Tiles and context of the size that tiled upscalers commonly use, in pixels of the input."""

FIELD = 128
"""Side of the part of a picture that the receptive field is taken of, by default: it takes memory by its area."""


@taking_gradients()
def receptive_field(model: nn.Module, picture: Tensor, *, x: int | None = None, y: int | None = None) -> np.ndarray:
    """The effective receptive field of an output pixel (Luo et al., NeurIPS 2016), on this picture.

    Args:
        model: In evaluation mode, mapping (B, C, H, W) to (B, C', sH, sW).
        picture: (1, C, H, W) in [0, 1] on the model's device.
        x, y: Input pixel in whose middle the output pixel lies; the centre of the picture by default.

    Returns:
        (H, W) float32: by how much the output pixel (its channels' sum) changes with each input pixel, to first order
        and in magnitude, summed over the channels.

    Raises:
        OptionError: the spot lies outside the picture.
        MemoryShortageError: the machine refuses memory.
    """
    height, width = picture.shape[-2:]
    x, y = width // 2 if x is None else x, height // 2 if y is None else y
    if not (0 <= x < width and 0 <= y < height):
        raise OptionError(f"The spot ({x}, {y}) lies outside the picture of {width}×{height} pixels.")
    source = picture.detach().clone().requires_grad_(True)
    output = model(source)
    scale = output.shape[-1] // width
    pixel = output[0, :, y * scale + scale // 2, x * scale + scale // 2].sum()
    (gradient,) = torch.autograd.grad(pixel, source)
    return gradient[0].abs().sum(0).cpu().numpy()


def field_of_centre(model: nn.Module, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`receptive_field` of the middle of a picture (H, W, 3) uint8, and the pixels shown for it, `FIELD` a side."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = box = square_around(width // 2, height // 2, FIELD, width, height)
    return receptive_field(model, to_tensor(pixels, box, like=model)), pixels[top:bottom, left:right]


def field_in_words(field: np.ndarray) -> str:
    """What the receptive field of the centre says, in one sentence."""
    height, width = field.shape
    half, most = (radius_holding(field, width // 2, height // 2, share) for share in (0.5, 0.99))
    taking_part = np.count_nonzero(field > FAINT * field.max()) / field.size
    return (
        f"A pixel in the middle of the result depends on {taking_part:.0%} of {width}×{height} pixels more than a "
        f"thousandth as much as on the strongest: half of it on those within {half:.0f} pixels, 99% within {most:.0f}."
    )


@dataclass(frozen=True, eq=False)
class TilingCost:
    """The same picture enlarged whole and in tiles."""

    whole: np.ndarray  # (sH, sW, 3) uint8
    tiled: np.ndarray  # the same
    tile: int  # side of a tile in pixels of the input, its context not counted
    overlap: int  # pixels of context around each tile
    psnr_between: float  # PSNR-Y in dB of tiled against whole: infinite if they are equal
    psnr_lost: float | None  # dB of PSNR-Y against the truth that tiling loses, see `psnr_loss`; None without a truth

    @property
    def difference(self) -> np.ndarray:
        """(sH, sW) uint8: largest difference of a pixel's channels, in grey levels."""
        return np.abs(self.whole.astype(np.int16) - self.tiled).max(-1).astype(np.uint8)

    def in_words(self) -> str:
        """One sentence, and a second one if there is a truth."""
        changed = np.count_nonzero(self.difference) / self.difference.size
        seen = "PSNR-Y sees none of it" if math.isinf(self.psnr_between) else f"{self.psnr_between:.2f} dB of PSNR-Y"
        words = (
            f"In tiles of {self.tile} pixels with {self.overlap} pixels of context, {changed:.0%} of the pixels of "
            f"the result differ, by up to {self.difference.max()} grey levels: {seen}."
        )
        return words if self.psnr_lost is None else f"{words} {_loss_in_words(self.psnr_lost)}"


def tiling_cost(
    upscale: Callable[[np.ndarray], np.ndarray],
    pixels: np.ndarray,
    *,
    scale: int,
    tile: int = TILE,
    overlap: int = OVERLAP,
    truth: np.ndarray | None = None,
    progress: Progress = ignore,
) -> TilingCost:
    """Enlarges ``pixels`` (H, W, 3) uint8 once whole and once in square tiles, as upscalers short of memory do.

    Args:
        upscale: (h, w, 3) uint8 -> (s*h, s*w, 3) uint8, such as `Engine.upscale`.
        pixels: The picture; larger than a tile, or there is nothing to compare.
        scale: By how much ``upscale`` enlarges.
        tile: Side of a tile.
        overlap: Pixels of context a tile sees on each side; their results are thrown away.
        truth: (sH, sW, 3) uint8 or larger, what the result should be, to know which of the two is nearer to it.
        progress: Called with the pieces done (the whole picture is the first) and their number.

    Raises:
        OptionError: one tile holds the picture, or there is nothing to compare by the protocol of `hpinet.metrics`: the
            picture is too small, or the truth smaller than the result.
    """
    height, width = pixels.shape[:2]
    if tile < 1 or overlap < 0:
        raise OptionError("Tiles have at least one pixel, and their context is not negative.")
    if tile >= max(height, width):
        raise OptionError(
            f"One tile of {tile} pixels holds the whole picture: choose a smaller tile or a larger picture."
        )
    if min(height, width) <= 2:  # PSNR leaves as much out along each border as a pixel becomes
        raise OptionError(f"A picture of {wording.size((width, height))} is too small to compare results.")
    if truth is not None and (truth.shape[0] < height * scale or truth.shape[1] < width * scale):
        raise OptionError(
            f"The truth is {wording.size((truth.shape[1], truth.shape[0]))}, smaller than the result, "
            f"{wording.size((width * scale, height * scale))}."
        )
    corners = [(top, left) for top in range(0, height, tile) for left in range(0, width, tile)]
    progress(0, 1 + len(corners))
    whole = upscale(pixels)
    progress(1, 1 + len(corners))
    tiled = np.empty_like(whole)
    for number, (top, left) in enumerate(corners, start=2):
        bottom, right = min(top + tile, height), min(left + tile, width)
        above, before = max(0, top - overlap), max(0, left - overlap)
        piece = upscale(np.ascontiguousarray(pixels[above : bottom + overlap, before : right + overlap]))
        tiled[top * scale : bottom * scale, left * scale : right * scale] = piece[
            (top - above) * scale : (bottom - above) * scale, (left - before) * scale : (right - before) * scale
        ]
        progress(number, 1 + len(corners))
    lost = None if truth is None else psnr_loss(whole, tiled, truth, scale=scale)
    return TilingCost(whole, tiled, tile, overlap, psnr_y(tiled, whole, scale=scale), lost)


def psnr_loss(whole: np.ndarray, tiled: np.ndarray, truth: np.ndarray, *, scale: int) -> float:
    """By how many dB of PSNR-Y ``tiled`` is farther from the truth than ``whole``, all (sH, sW, 3) uint8.

    Infinite if only ``whole`` equals the truth, minus infinity if only ``tiled`` does.
    """
    of_whole, of_tiled = (psnr_y(each, truth, scale=scale) for each in (whole, tiled))
    return 0.0 if of_whole == of_tiled else of_whole - of_tiled  # infinite ones have no difference


def _loss_in_words(lost: float) -> str:
    if math.isinf(lost):
        equal, other = ("whole", "tiled") if lost > 0 else ("tiled", "whole")
        return f"By PSNR-Y the {equal} result equals the truth, and the {other} one does not."
    return f"Against the truth tiling loses {f'{lost:.3f} dB' if lost else 'nothing'}."
