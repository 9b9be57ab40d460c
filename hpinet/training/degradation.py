"""How small pictures are spoilt for training, as plain data, and doing it to a piece of one.

LR that was only reduced by bicubic teaches a network to enlarge whatever a JPEG left behind. A `Degradation` in a
recipe's phase lets it see what photographs have been through. HR stays what it is: the truth without all that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from hpinet.images.degradations import KERNELS, add_noise, as_jpeg, as_webp, blur, resize, sharpen

MARGIN = 32  # LR pixels around a crop that are degraded with it: the furthest grid's offset and a block of 4:2:0
GRID = 16  # side of the squares that a 4:2:0 JPEG consists of

Range = tuple[float, float]


@dataclass(frozen=True)
class Degradation:
    """What happens to LR crops, in the order of the fields. Raises ValueError if it cannot be.

    A *share* is the probability that it happens to a crop; what has a range is drawn evenly from it. By default every
    crop is saved once as a JPEG. The grid of every save begins somewhere else, except along a picture's own border.
    """

    clean: float = 0.0  # share of crops to which none of the rest happens
    other_kernel: float = 0.0  # share reduced from HR by area, bilinear, Lanczos or (again) bicubic
    larger_jpeg: float = 0.0  # share saved as JPEG at up to twice the size and then reduced, as web sites do
    blur: float = 0.0
    blur_sigma: Range = (0.2, 0.6)  # LR pixels
    noise: float = 0.0
    noise_deviation: Range = (0.5, 3.0)  # grey levels; see `add_noise`
    sharpen: float = 0.0
    sharpen_amount: Range = (0.2, 0.8)
    twice: float = 0.0  # share saved as JPEG once before, on another grid
    webp: float = 0.0  # share saved as WebP instead of JPEG at last
    full_chroma: float = 1 / 3  # share of JPEGs whose colour is not halved
    quality: Range = (25, 95)  # of the last save, in whole numbers
    first_quality: Range = (60, 95)  # of saves before the last

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Sequence):
                object.__setattr__(self, field.name, tuple(value))  # JSON gives a list
                low, high = value
                if not 0 <= low <= high:
                    raise ValueError(f"{field.name} must be a range of numbers that are not negative, not {value!r}.")
            elif not 0 <= value <= 1:
                raise ValueError(f"{field.name} must be a share from 0 to 1, not {value!r}.")
        for name, (low, high) in {"quality": self.quality, "first_quality": self.first_quality}.items():
            if not 1 <= low <= high <= 100:
                raise ValueError(f"{name} must be from 1 to 100, not {(low, high)!r}.")

    def apply(self, lr: np.ndarray, hr: np.ndarray, offset: tuple[int, int], random: np.random.Generator) -> np.ndarray:
        """A degraded version of ``lr``.

        Args:
            lr: Piece of the small picture, (H, W, 3) uint8.
            hr: The same piece of the true one, (sH, sW, 3) uint8.
            offset: How far down and across the grid of a save may begin, in pixels of ``lr``; 0 where the piece begins
                with the picture. What lies before the grid is left as it was.
            random: Decides everything.
        """

        def happens(share: float) -> bool:
            return random.random() < share

        height, width, _ = lr.shape
        if happens(self.clean):
            return lr
        if happens(self.other_kernel):
            lr = resize(hr, height, width, KERNELS[random.integers(len(KERNELS))])
        if happens(self.larger_jpeg):
            lr = self._from_larger(hr, height, width, random)
        if happens(self.blur):
            lr = blur(lr, random.uniform(*self.blur_sigma))
        if happens(self.noise):
            lr = add_noise(lr, random.uniform(*self.noise_deviation), random)
        if happens(self.sharpen):
            lr = sharpen(lr, random.uniform(*self.sharpen_amount))
        if happens(self.twice):
            lr = self._on_a_grid(lr, offset, self.first_quality, random)
        return self._on_a_grid(lr, offset, self.quality, random, webp=happens(self.webp))

    def _from_larger(self, hr: np.ndarray, height: int, width: int, random: np.random.Generator) -> np.ndarray:
        factor = random.uniform(1.0, 2.0)  # the smallest scale: HR is large enough
        larger = resize(hr, round(factor * height), round(factor * width), "bicubic")
        saved = as_jpeg(larger, _whole(self.first_quality, random), full_chroma=random.random() < self.full_chroma)
        return resize(saved, height, width, KERNELS[random.integers(len(KERNELS))])

    def _on_a_grid(
        self,
        pixels: np.ndarray,
        offset: tuple[int, int],
        qualities: Range,
        random: np.random.Generator,
        *,
        webp: bool = False,
    ) -> np.ndarray:
        down, across = (int(random.integers(furthest + 1)) for furthest in offset)
        quality, full_chroma = _whole(qualities, random), random.random() < self.full_chroma
        piece, spoilt = pixels[down:, across:], pixels.copy()
        spoilt[down:, across:] = as_webp(piece, quality) if webp else as_jpeg(piece, quality, full_chroma=full_chroma)
        return spoilt


def _whole(range_: Range, random: np.random.Generator) -> int:
    return int(random.integers(int(range_[0]), int(range_[1]) + 1))
