"""What losses a picture has been through: from the tables of a JPEG, without decoding, or from the pixels alone.

A JPEG is cut into blocks of 8×8 pixels, each transformed into 64 frequencies (DCT) that are rounded to whole multiples
of the *steps* in its quantisation table. Coarse steps are what makes it small and ugly. The file carries its tables,
and a picture that was a JPEG once shows them still, as long as nobody resized it: in the blocks of one grid the
frequencies keep to multiples of some step. Both are told as the *quality*, from 1 to 100, at which libjpeg, and with it
most programs, would use steps like these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from mmap import mmap

import numpy as np
from PIL import Image, JpegImagePlugin

BLOCK = 8

# Steps of ITU T.81, annex K, which libjpeg scales by the quality. Rows and columns of growing frequency.
_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_SUBSAMPLING = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (4, 1): "4:1:1", (1, 2): "4:4:0"}


@dataclass(frozen=True)
class Compression:
    """What was found out about a picture's losses."""

    format: str  # "JPEG" or "WEBP", by Pillow's name
    quality: int | None  # 1 to 100, as libjpeg counts; None where nothing tells
    subsampling: str | None = None  # of colour, such as "4:2:0"; None if unknown, or grey
    from_pixels: bool = False  # whether only the pixels show it, in a file that says nothing of it
    earlier: int | None = None  # quality of a save before the last, where the pixels show it

    def __str__(self) -> str:
        """Such as ``JPEG, about quality 72, 4:2:0``."""
        parts = [f"once a {self.format}" if self.from_pixels else self.format]
        parts += [f"about quality {self.quality}"] if self.quality else []
        parts += [self.subsampling] if self.subsampling else []
        parts += [f"before that about quality {self.earlier}"] if self.earlier else []
        return ", ".join(parts)


def luminance_steps(quality: int) -> np.ndarray:
    """(8, 8) steps of libjpeg at a quality from 1 to 100, int64."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((_LUMINANCE * percent + 50) // 100, 1, 255)


@lru_cache(1)
def _all_log_steps() -> np.ndarray:
    return np.log([luminance_steps(quality).ravel() for quality in range(1, 101)])


def quality_of(steps: np.ndarray) -> int:
    """The quality whose steps are most like these (64 of them, row by row), by the mean of their ratios."""
    distances = np.abs(_all_log_steps() - np.log(np.maximum(1, steps.ravel()))).mean(axis=1)
    return 1 + int(distances.argmin())


def compression_of(image: Image.Image) -> Compression | None:
    """What an opened file says of its losses, decoded or not; None if it says nothing or has none."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        steps = np.array(image.quantization.get(image.layer[0][3], [1] * 64))  # the first layer's, of any number
        return Compression("JPEG", quality_of(steps), _subsampling_of(image))
    return None


def compression_of_webp(data: bytes | mmap) -> Compression | None:
    """What the bytes of a WebP file say: whether any frame has losses, but not of what quality it is."""
    place = 12  # after RIFF, its size, which may be wrong, and WEBP
    while place + 8 <= len(data):
        kind, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        if kind == b"VP8 ":
            return Compression("WEBP", None)
        if not kind.rstrip(b" ").isalnum():  # no chunk: whatever was put behind the end
            return None
        # Frames of an animation are chunks inside a chunk, behind 16 bytes of their own.
        place += 8 + (16 if kind == b"ANMF" else size + size % 2)
    return None


def _subsampling_of(image: JpegImagePlugin.JpegImageFile) -> str | None:
    """How much smaller the planes of colour are than that of luminance."""
    if len(image.layer) != 3:
        return None
    (_, across, down, _), *colours = image.layer
    others = {(across // other[1], down // other[2]) for other in colours}
    return _SUBSAMPLING.get(others.pop()) if len(others) == 1 else None


# ------------------------------------------------------------------------------------------- from the pixels alone

_WINDOWS = 256  # pieces of a picture that are looked at, each holding a block of every possible grid
_SIDE = 2 * BLOCK - 1  # of a window
_FINE = (5, 6, 7)  # frequencies (down and across) that a JPEG mostly rounds to nothing: they show the grid
_COARSE = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (2, 2), (0, 3), (3, 0), (1, 3), (3, 1))  # the steps
_LOWEST = 10  # quality that is looked for
_APART = 1 << 16  # more than eight times the largest frequency there can be, twice
_CERTAIN = 8.0  # standard deviations of chance; clean pictures stay under 5 (see the tests)
_SWING = 0.15  # how closely the frequencies must keep to the steps; 1 is exactly


def find_former_jpeg(colour: np.ndarray, *, below: int = 97, seed: int = 0) -> Compression | None:
    """Whether a decoded picture was a JPEG once and was not resized since, and of what quality; None if not.

    First the grid is found on which most fine frequencies vanish, then the quality to whose steps the coarse ones keep.
    Looks at a few hundred pieces, chosen from the whole picture with detail preferred: the time does not grow with it.

    Args:
        colour: (H, W, 3) RGB or (H, W, 1) grey, uint8 or uint16.
        below: Only qualities below this one are looked for; that of the file, where it is a JPEG saved twice.
        seed: Of the choice.
    """
    qualities = range(_LOWEST, below)
    windows = _telling_windows(colour, np.random.default_rng(seed))
    if windows is None or not qualities:
        return None
    blocks = np.lib.stride_tricks.sliding_window_view(windows, (BLOCK, BLOCK), axis=(1, 2))
    blocks = blocks.reshape(len(windows), BLOCK * BLOCK, BLOCK * BLOCK)  # by window, place of the grid, pixel
    fine = blocks @ _basis([(u, v) for u in _FINE for v in _FINE])
    vanished = (np.abs(fine) < 1).mean(axis=(0, 2))
    coarse = blocks[:, vanished.argmax()] @ _basis(_COARSE)
    swings, certainties = _keeps_to_steps(coarse, qualities)
    best = len(qualities) - 1 - int(certainties[::-1].argmax())  # the better one of two with the same steps
    if certainties[best] < _CERTAIN or swings[best] < _SWING:
        return None
    return Compression("JPEG", qualities[best], from_pixels=True)


def _telling_windows(colour: np.ndarray, random: np.random.Generator) -> np.ndarray | None:
    """(N, 15, 15) float32 luminance of the most varied of some evenly drawn windows; None of a picture too small."""
    down, across = ((side - _SIDE) // BLOCK + 1 for side in colour.shape[:2])
    if min(down, across) < 1:
        return None
    drawn = (
        random.permutation(down * across)[: 4 * _WINDOWS]
        if down * across < 4096
        else random.integers(down * across, size=4 * _WINDOWS)
    )
    tops, lefts = (BLOCK * index for index in np.divmod(np.unique(drawn), across))
    inside = np.arange(_SIDE)
    pixels = colour[tops[:, None, None] + inside[:, None], lefts[:, None, None] + inside].astype(np.float32)
    if colour.dtype == np.uint16:
        pixels /= 257
    windows = pixels[..., 0] if pixels.shape[3] == 1 else pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    variety = np.abs(np.diff(windows, axis=1)).sum((1, 2)) + np.abs(np.diff(windows, axis=2)).sum((1, 2))
    return windows[np.argsort(-variety, kind="stable")[:_WINDOWS]]


@lru_cache
def dct_basis() -> np.ndarray:
    """(8, 8) float32, orthonormal: frequency by place."""
    index = np.arange(BLOCK)
    waves = np.sqrt(2 / BLOCK) * np.cos((2 * index + 1) * index[:, None] * np.pi / (2 * BLOCK))
    waves[0] /= np.sqrt(2)
    return waves.astype(np.float32)


def _basis(frequencies: Sequence[tuple[int, int]]) -> np.ndarray:
    """(64, N) float32: what a block's pixels are multiplied with to give these frequencies."""
    waves = dct_basis()
    return np.stack([np.outer(waves[down], waves[across]).ravel() for down, across in frequencies], 1).astype(
        np.float32
    )


def _keeps_to_steps(values: np.ndarray, qualities: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """How well frequencies (N, F) keep to the steps of each quality: mean swing, and how far beyond chance.

    The swing is cos(2π · value / step): 1 at the multiples. Values that round to nothing tell nothing and are left out;
    of others, untouched ones fall slightly more often nearer to zero, between two multiples, so that chance stays below
    0. Steps of 1 cannot be told from the rounding of pixels. Equal values count once: a drawn gradient or pattern
    repeats the same few, which would make a coincidence of one look like that of many.
    """
    numbered = np.rint(8 * values).astype(np.int64) + _APART * np.arange(
        values.shape[1]
    )  # of a place, far from others'
    different = np.unique(numbered)
    places = (different + _APART // 2) // _APART
    values = (different - _APART * places).astype(np.float32) / 8
    swings, certainties = np.zeros(len(qualities)), np.zeros(len(qualities))
    for number, quality in enumerate(qualities):
        table = luminance_steps(quality)
        steps = np.array([table[place] for place in _COARSE], np.float32)[places]
        telling = (np.abs(values) > steps / 2) & (steps > 1)
        count = max(1, np.count_nonzero(telling))
        swing = float(np.cos(np.float32(2 * np.pi) * values / steps).sum(where=telling))
        swings[number], certainties[number] = swing / count, swing / np.sqrt(count / 2)
    return swings, certainties
