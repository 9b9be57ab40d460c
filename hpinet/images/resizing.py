"""Resizing with the field's standard kernels, for the picture before enlargement and for comparisons."""

from dataclasses import replace

import numpy as np
from PIL import Image

from hpinet.images.picture import Picture

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of a picture, in pixels of it."""


def resize_bicubic(picture: Picture, width: int, height: int, *, part: Box | None = None) -> Picture:
    """The picture at another size by antialiased bicubic interpolation (a = -0.5), same depth, channels and profile.

    With ``part``, that of it alone; the pixels around it count as they would in the whole.

    Opaque 8-bit pictures come out exactly as from Pillow's `Image.resize`. With alpha, colour counts by its opacity,
    so that what an invisible pixel happens to contain does not bleed into its neighbours.
    """
    top, dtype = np.iinfo(picture.colour.dtype).max, picture.colour.dtype
    if picture.alpha is None or (picture.alpha == top).all():
        alpha = None if picture.alpha is None else np.full((height, width), top, dtype)
        return replace(picture, colour=_resize(picture.colour, width, height, part), alpha=alpha)
    opacity = picture.alpha[..., None] / np.float32(top)
    new_opacity = _resize(opacity, width, height, part)
    new_colour = _resize(picture.colour * opacity, width, height, part)
    # The kernel overshoots; and where (nearly) nothing is left to see, there is no colour to restore.
    new_colour = np.divide(new_colour, new_opacity, out=np.zeros_like(new_colour), where=new_opacity > 0.5 / top)
    return replace(picture, colour=_rounded(new_colour, dtype), alpha=_rounded(new_opacity[..., 0] * top, dtype))


def _resize(array: np.ndarray, width: int, height: int, part: Box | None) -> np.ndarray:
    """(H, W, C) to (height, width, C) of the same type: uint8, uint16 or float32.

    8 bits go through Pillow's integer arithmetic, the others channel by channel through its double precision.
    """
    if array.dtype == np.uint8:
        image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
        return np.array(image.resize((width, height), Image.Resampling.BICUBIC, part)).reshape(height, width, -1)
    resized = np.empty((height, width, array.shape[2]), array.dtype)
    for channel in range(array.shape[2]):
        plane = Image.fromarray(array[..., channel].astype(np.float32))
        values = np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC, part))
        resized[..., channel] = values if array.dtype == np.float32 else _rounded(values, array.dtype)
    return resized


def _rounded(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)
