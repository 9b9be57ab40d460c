"""Resizing with the field's standard kernels, for the picture before enlargement and for comparisons."""

import numpy as np
from PIL import Image

from hpinet.images.picture import Picture


def resize_bicubic(picture: Picture, width: int, height: int) -> Picture:
    """The picture at another size by antialiased bicubic interpolation (a = -0.5), same depth, channels and profile.

    Opaque 8-bit pictures come out exactly as from Pillow's `Image.resize`. With alpha, colour counts by its opacity,
    so that what an invisible pixel happens to contain does not bleed into its neighbours.
    """
    if picture.alpha is None and picture.depth == 8:
        pixels = picture.to_pil().resize((width, height), Image.Resampling.BICUBIC)
        return Picture.from_array(np.asarray(pixels), icc_profile=picture.icc_profile)
    if picture.alpha is None:
        return Picture(_rounded(_resize_planes(picture.colour, width, height), picture), None, picture.icc_profile)
    top = np.iinfo(picture.colour.dtype).max
    opacity = picture.alpha[..., None] / np.float32(top)
    alpha = _resize_planes(opacity, width, height)
    colour = _resize_planes(picture.colour * opacity, width, height)
    # The kernel overshoots: what is negative or nearly nothing has no colour of its own to restore.
    colour = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0.5 / top)
    return Picture(_rounded(colour, picture), _rounded(alpha[..., 0] * top, picture), picture.icc_profile)


def resize_nearest(picture: Picture, width: int, height: int) -> Picture:
    """The picture at another size, each new pixel a copy of the one its centre falls on."""
    rows = (2 * np.arange(height) + 1) * picture.height // (2 * height)
    columns = (2 * np.arange(width) + 1) * picture.width // (2 * width)
    alpha = None if picture.alpha is None else picture.alpha[np.ix_(rows, columns)]
    return Picture(picture.colour[np.ix_(rows, columns)], alpha, picture.icc_profile)


def _resize_planes(planes: np.ndarray, width: int, height: int) -> np.ndarray:
    """(H, W, C) to (height, width, C) float32; Pillow sums in double precision."""
    resized = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC))
        for plane in np.moveaxis(planes, 2, 0)
    ]
    return np.dstack(resized)


def _rounded(values: np.ndarray, like: Picture) -> np.ndarray:
    dtype = like.colour.dtype
    return np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)
