"""Resizing with the field's standard kernels, for the picture before enlargement and for comparisons."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

from hpinet.images.bands import bands
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
    box = part or (0, 0, picture.width, picture.height)
    if picture.alpha is None or (picture.alpha == top).all():
        alpha = None if picture.alpha is None else np.full((height, width), top, dtype)
        return replace(picture, colour=_resize(picture.colour, width, height, box), alpha=alpha)
    old_alpha, shape = picture.alpha, picture.alpha.shape

    def opacity(rows: slice) -> np.ndarray:
        return old_alpha[rows] / np.float32(top)

    def seen(channel: int, rows: slice) -> np.ndarray:
        return picture.colour[rows, :, channel] * opacity(rows)

    alpha, new_opacity = (np.empty((height, width), kind) for kind in (dtype, np.float32))
    for columns, values in _strips(opacity, shape, width, height, box):
        new_opacity[:, columns] = values
        alpha[:, columns] = _rounded(values * top, dtype)
    colour = np.empty((height, width, picture.colour.shape[2]), dtype)
    for channel in range(colour.shape[2]):
        for columns, values in _strips(partial(seen, channel), shape, width, height, box):
            share = new_opacity[:, columns]
            # The kernel overshoots; and where (nearly) nothing is left to see, there is no colour to restore.
            restored = np.divide(values, share, out=np.zeros_like(values), where=share > 0.5 / top)
            colour[:, columns, channel] = _rounded(restored, dtype)
    return replace(picture, colour=colour, alpha=alpha)


def _resize(array: np.ndarray, width: int, height: int, box: Box) -> np.ndarray:
    """(H, W, C) to (height, width, C) of the same type, uint8 or uint16.

    8 bits go through Pillow's integer arithmetic, 16 channel by channel through its double precision.
    """
    if array.dtype == np.uint8:
        pixels = array[..., 0] if array.shape[2] == 1 else array
        return _by_pillow(pixels, width, height, box).reshape(height, width, -1)

    def values_of(channel: int, rows: slice) -> np.ndarray:
        return array[rows, :, channel].astype(np.float32)

    resized = np.empty((height, width, array.shape[2]), array.dtype)
    for channel in range(array.shape[2]):
        for columns, values in _strips(partial(values_of, channel), array.shape[:2], width, height, box):
            resized[:, columns, channel] = _rounded(values, array.dtype)
    return resized


def _strips(
    values_of: Callable[[slice], np.ndarray], shape: tuple[int, ...], width: int, height: int, box: Box
) -> Iterator[tuple[slice, np.ndarray]]:
    """One channel resized: the columns of each strip of the result, and (height, columns) float32.

    Pillow resizes rows first, then columns, so the one can be done band by band and the other strip by strip: exactly
    what it makes of the whole, of which it would hold three copies at a time.

    Args:
        values_of: Gives rows of the channel, (rows, W) float32.
        shape: (H, W) of it.
        width, height: Of the result.
        box: The part of the channel that is resized.
    """
    left, top, right, bottom = box
    across = np.empty((shape[0], width), np.float32)
    for rows in bands(*shape):
        band = values_of(rows)
        across[rows] = _by_pillow(band, width, len(band), (left, 0, right, len(band)))
    for columns in bands(width, max(len(across), height)):
        strip = across[:, columns]
        yield columns, _by_pillow(strip, strip.shape[1], height, (0, top, strip.shape[1], bottom))


def _by_pillow(array: np.ndarray, width: int, height: int, box: Box) -> np.ndarray:
    return np.array(Image.fromarray(array).resize((width, height), Image.Resampling.BICUBIC, box))


def _rounded(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)
