"""Small pictures and files of every kind, for the tests of this room."""

import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from hypothesis import strategies as st
from PIL import Image, ImageCms

from hpinet.images import (
    Picture,
)

D65 = [0.3127, 0.329, 1.0]

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ADOBE_RGB = imagecodecs.cms_profile("adobergb")
LINEAR_RGB = imagecodecs.cms_profile(
    "rgb", whitepoint=D65, primaries=[0.64, 0.33, 1, 0.3, 0.6, 1, 0.15, 0.06, 1], gamma=1.0
)
GREY_22 = imagecodecs.cms_profile("gray", whitepoint=D65, gamma=2.2)
GREY_LINEAR = imagecodecs.cms_profile("gray", whitepoint=D65, gamma=1.0)
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")


def noise(*shape: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def smooth(height: int, width: int, channels: int) -> np.ndarray:
    """A picture that lossy formats keep closely, different in each channel and corner."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [60 + 120 * x / width, 40 + 150 * y / height, 200 - 90 * x / width, 255 - 100 * y / height]
    return np.rint(np.dstack(planes[:channels])).astype(np.uint8)


def pillow_file(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def tiff_file(samples: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, samples, metadata=None, **options)
    return file.getvalue()


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_file(*chunks: tuple[bytes, bytes]) -> bytes:
    framed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def with_chunk(png: bytes, kind: bytes, body: bytes) -> bytes:
    """The PNG file with a chunk more, right after its header."""
    header, *rest = png_chunks(png)
    return png_file(header, (kind, body), *rest)


def huge_png(width: int, height: int) -> bytes:
    """A header that promises much, and no pixels."""
    return png_file((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b""))


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


@st.composite
def pictures(draw) -> Picture:
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    seed = draw(st.integers(0, 2**32))
    channels = draw(st.sampled_from([1, 3]))
    profile = draw(st.sampled_from([None, {1: GREY_22, 3: ADOBE_RGB}[channels]]))
    alpha = noise(height, width, dtype=dtype, seed=seed + 1) if draw(st.booleans()) else None
    return Picture(noise(height, width, channels, dtype=dtype, seed=seed), alpha, profile)


def assert_same(first: Picture, second: Picture) -> None:
    assert first.colour.dtype == second.colour.dtype
    assert np.array_equal(first.samples, second.samples)
    assert first.samples.shape == second.samples.shape
    assert first.icc_profile == second.icc_profile
