"""What happens to pictures on their way to us: saved with losses, blurred, noisy, sharpened, reduced by other filters.

Arrays are (H, W, 3) uint8 RGB, and results have the shape of what was given unless a size is named.
"""

import io
from typing import Literal, cast, get_args

import numpy as np
from PIL import Image, ImageFilter

from hpinet.errors import OptionError
from hpinet.images.picture import Picture
from hpinet.images.reading import open_picture

Kernel = Literal["box", "bilinear", "bicubic", "lanczos"]
KERNELS = cast(tuple[Kernel, ...], get_args(Kernel))
_RESAMPLING = {kernel: Image.Resampling[kernel.upper()] for kernel in KERNELS}


NAMED = {
    "jpeg": "saved as JPEG of this quality, 4:2:0",
    "jpeg444": "saved as JPEG of this quality, 4:4:4",
    "former-jpeg": "the same as jpeg, and then kept without losses",
    "webp": "saved as WebP of this quality",
    "blur": "blurred by a Gaussian of so many tenths of a pixel",
    "noise": "with noise of so many grey levels",
}
"""Degradations by name, each with a number: ``jpeg-75``, ``blur-5``."""


def degrade(pixels: np.ndarray, name: str) -> Picture:
    """A picture degraded as `NAMED` tells, opened as a file in its format would be. The same every time.

    Raises OptionError if there is no such degradation.
    """
    kind, _, number = name.rpartition("-")
    if kind not in NAMED or not number.isdecimal() or not 1 <= int(number) <= 100:
        known = ", ".join(f"{each}-N" for each in NAMED)
        raise OptionError(f"There is no degradation {name!r}: choose one of {known}, N from 1 to 100.")
    amount = int(number)
    if kind in ("jpeg", "jpeg444"):
        return open_picture(_encoded(pixels, "JPEG", quality=amount, subsampling=_CHROMA[kind == "jpeg444"]))
    if kind == "webp":
        return open_picture(_encoded(pixels, "WEBP", quality=amount))
    if kind == "former-jpeg":
        return Picture(as_jpeg(pixels, amount))
    if kind == "blur":
        return Picture(blur(pixels, amount / 10))
    return Picture(add_noise(pixels, amount, np.random.default_rng(0)))


_CHROMA = {False: "4:2:0", True: "4:4:4"}


def as_jpeg(pixels: np.ndarray, quality: int, *, full_chroma: bool = False) -> np.ndarray:
    """Saved by Pillow as a JPEG of this quality (1 to 100) and read again; colour at half size (4:2:0) unless full."""
    return _saved(pixels, "JPEG", quality=quality, subsampling=_CHROMA[full_chroma])


def as_webp(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Saved by Pillow as a WebP with losses of this quality (0 to 100) and read again."""
    return _saved(pixels, "WEBP", quality=quality)


def _saved(pixels: np.ndarray, file_format: str, **options: int | str) -> np.ndarray:
    with Image.open(io.BytesIO(_encoded(pixels, file_format, **options)), formats=[file_format]) as image:
        return np.asarray(image.convert("RGB"))


def _encoded(pixels: np.ndarray, file_format: str, **options: int | str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, file_format, **options)
    return file.getvalue()


def blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Blurred by about a Gaussian, of ``sigma`` pixels."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).filter(ImageFilter.GaussianBlur(sigma)))


def sharpen(pixels: np.ndarray, amount: float) -> np.ndarray:
    """Unsharp masking with a radius of a pixel, as cameras do; an ``amount`` of 1 doubles what the blur takes away."""
    mask = ImageFilter.UnsharpMask(radius=1.0, percent=round(100 * amount), threshold=0)
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).filter(mask))


def add_noise(pixels: np.ndarray, deviation: float, random: np.random.Generator) -> np.ndarray:
    """Sensor noise: its variance grows with the light, from a quarter of ``deviation``² in black to all of it in white.

    ``deviation`` is in grey levels.
    """
    spread = deviation * np.sqrt(0.25 + 0.75 / 255 * pixels.astype(np.float32))
    noisy = pixels + spread * random.standard_normal(pixels.shape, np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def resize(pixels: np.ndarray, height: int, width: int, kernel: Kernel) -> np.ndarray:
    """At another size (height, width, 3) by one of Pillow's antialiased filters."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), _RESAMPLING[kernel]))
