"""JPEG XL: right, or refused by name."""

import struct
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

from hpinet.errors import ImageError
from hpinet.images import Limits, encode_picture, open_picture, picture_size
from hpinet.images.jxl import Header, read_header

from .samples import ADOBE_RGB, pillow_file, smooth

PIXELS = smooth(48, 64, 4)


def jxl(samples: np.ndarray, **options: Any) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(samples, **{"lossless": True, "usecontainer": False, **options}))


def contained(stream: bytes, *boxes: tuple[bytes, bytes]) -> bytes:
    framed = [struct.pack(">I", 8 + len(body)) + kind + body for kind, body in (*boxes, (b"jxlc", stream))]
    return b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl " + b"".join(framed)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("is_contained", [False, True])
def test_lossless(channels: int, is_contained: bool) -> None:
    samples = PIXELS[..., 0] if channels == 1 else PIXELS[..., :channels]
    stream = jxl(samples)
    picture = open_picture(contained(stream) if is_contained else stream)
    assert np.array_equal(picture.samples, samples.reshape(48, 64, channels))
    assert (picture.format, picture.icc_profile, picture.notes) == ("JXL", None, ())


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_more_bits(bits: int) -> None:
    """Its encoder calls samples of more than 8 bits linear, which become sRGB."""
    top = 2**bits - 1
    samples = (PIXELS[..., :3].astype(np.uint32) * top // 255).astype(np.uint16)
    data = jxl(samples, bitspersample=bits)
    picture = open_picture(data)
    light = samples / top
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert picture.depth == 16
    assert np.abs(picture.colour / 65535 - srgb).max() < 0.002


def test_floating_point() -> None:
    light = (PIXELS[..., :3] / 255).astype(np.float32)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    picture = open_picture(jxl(light))
    assert np.abs(picture.colour / 65535 - srgb).max() < 0.001


def test_lossy() -> None:
    picture = open_picture(jxl(PIXELS[..., :3], lossless=False, distance=0.5))
    assert np.abs(picture.colour.astype(int) - PIXELS[..., :3]).mean() < 3


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("is_whole", [True, False])
def test_of_a_jpeg(orientation: int, is_whole: bool) -> None:
    """Unpacked, where the file holds what is needed for that; else decoded as any other."""
    tags, image = Image.Exif(), Image.fromarray(PIXELS[..., :3])
    tags[274] = image.getexif()[274] = orientation
    profile = ADOBE_RGB if is_whole else None
    jpeg = pillow_file(image, "JPEG", quality=95, subsampling=0, exif=tags.tobytes(), icc_profile=profile)
    data = bytes(imagecodecs.jpegxl_encode_jpeg(jpeg, usecontainer=True))
    expected = open_picture(jpeg)
    assert picture_size(data) == (expected.width, expected.height)
    if is_whole:
        picture = open_picture(data)
        assert np.array_equal(picture.colour, expected.colour)
        assert picture.icc_profile == ADOBE_RGB
        assert str(picture.compression) == str(expected.compression)
        assert picture.format == "JXL"
        return
    picture = open_picture(data.replace(b"jbrd", b"free"))
    upright = np.asarray(ImageOps.exif_transpose(image))
    assert picture.colour.shape == upright.shape
    assert np.abs(picture.colour.astype(int) - upright).mean() < 4


def test_a_profile_that_the_library_keeps_to_itself_is_refused_by_name() -> None:
    jpeg = pillow_file(Image.fromarray(PIXELS[..., :3]), "JPEG", icc_profile=ADOBE_RGB)
    data = bytes(imagecodecs.jpegxl_encode_jpeg(jpeg, usecontainer=True))
    with pytest.raises(ImageError, match="profile that cannot be read"):
        open_picture(data.replace(b"jbrd", b"free"))


def test_metadata() -> None:
    tags = Image.Exif()
    tags[271] = "Maker"
    exif = tags.tobytes().removeprefix(b"Exif\0\0")
    packed = bytes(imagecodecs.brotli_encode(b"<x/>"))
    boxes = ((b"Exif", bytes(4) + exif), (b"brob", b"xml " + packed))
    picture = open_picture(contained(jxl(PIXELS), *boxes))
    assert picture.metadata.xmp == b"<x/>"
    with Image.open(BytesIO(encode_picture(picture, "PNG", metadata="keep"))) as image:
        assert image.getexif()[271] == "Maker"
    assert np.array_equal(
        open_picture(contained(jxl(PIXELS), (b"Exif", b"\xff"), (b"brob", b"xml \xff"))).samples, PIXELS
    )


def test_limits_and_damage() -> None:
    data = jxl(PIXELS)
    with pytest.raises(ImageError, match="too large"):
        open_picture(data, limits=Limits(megapixels=0.001, megabytes=1))
    with pytest.raises(ImageError, match="JPEG XL file is damaged"):
        open_picture(data[: len(data) // 2])
    assert np.array_equal(open_picture(contained(data) + b"\0\0\0\x0cfreexxxx").samples, PIXELS)


class Writer:
    """Bits as a header has them."""

    def __init__(self) -> None:
        self.bits: list[int] = []

    def put(self, *pairs: tuple[int, int]) -> "Writer":
        """Pairs of a value and a number of bits."""
        for value, count in pairs:
            self.bits += [value >> place & 1 for place in range(count)]
        return self

    def stream(self) -> bytes:
        bits = [*self.bits, *[0] * (-len(self.bits) % 8)]
        number = sum(bit << place for place, bit in enumerate(bits))
        return b"\xff\x0a" + number.to_bytes(len(bits) // 8, "little")


SIZE = ((1, 1), (5, 5), (0, 3), (7, 5))  # small: 48 high, no ratio, 64 wide
PLAIN = (
    (0, 1),
    (0, 1),
    (0, 1),
    (0, 2),
    (0, 1),
    (0, 2),
)  # own data, nothing extra, whole numbers of 8 bits, no channels


def test_the_header() -> None:
    assert read_header(Writer().put(*SIZE, (1, 1)).stream()) == Header(64, 48)
    enum_p3 = ((2, 2), (9, 4))  # 11
    colours = ((0, 1), (0, 1), (0, 2), (1, 2), *enum_p3, (0, 1), (2, 2), (14, 4))
    header = read_header(Writer().put(*SIZE, *PLAIN, (1, 1), *colours).stream())
    assert (header.width, header.height, header.is_xyb, header.transfer) == (64, 48, True, 16)
    assert header.primaries[0] == 0.68
    black = ((0, 1), (2, 2), (2, 4), (0, 1), (0, 2), (0, 2), (0, 2))
    extra = Writer().put(*SIZE, *PLAIN[:-1], (1, 2), *black, (0, 1), (0, 1), (1, 1), (0, 2)).stream()
    header = read_header(extra)
    assert (header.extras, header.is_xyb, header.has_profile) == (((4, False),), False, True)
    with pytest.raises(ValueError, match="cut off"):
        read_header(b"\xff\x0a\x00")


def test_the_header_of_an_animation_with_colours_of_its_own() -> None:
    size = ((0, 1), (0, 2), (99, 9), (3, 3))  # 100 high, 4:3
    extra = ((0, 1), (1, 1), (5, 3))  # orientation 6
    shown = ((1, 1), (1, 1), (2, 5), (7, 3))  # at 24 high, 2:1
    preview = ((1, 1), (1, 1), (0, 2), (1, 3))  # 16×16
    animation = ((1, 1), (0, 2), (0, 2), (0, 2), (0, 1))
    depth = ((1, 1), (1, 2), (4, 4), (0, 1))  # floating point of 16 bits
    alpha = ((0, 1), (0, 2), (0, 1), (0, 2), (0, 2), (0, 2), (1, 1))
    spot = ((0, 1), (2, 2), (0, 4), (0, 1), (0, 2), (0, 2), (1, 2), (3, 4), (0, 24), (0, 64))
    array = ((0, 1), (2, 2), (3, 4), (0, 1), (0, 2), (0, 2), (0, 2), (0, 2))
    colours = ((0, 1), (0, 1), (0, 2), (2, 2), (0, 4))
    white = (*packed(312_700), *packed(329_000))
    primaries = [pair for number in (680_000, 320_000, 265_000, 690_000, 150_000, 60_000) for pair in packed(number)]
    gamma = ((1, 1), (5_555_556, 24))
    writer = Writer().put(*size, *extra, *shown, *preview, *animation, *depth, (2, 2), (1, 4))
    writer.put(*alpha, *spot, *array, (1, 1), *colours, *white, (2, 2), (0, 4), *primaries, *gamma)
    header = read_header(writer.stream())
    assert (header.width, header.height, header.orientation, header.is_animated) == (133, 100, 6, True)
    assert (header.bits, header.is_float) == (16, True)
    assert header.extras == ((0, True), (2, False), (5, False))
    assert header.white == (0.3127, 0.329)
    assert header.primaries == (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
    assert header.gamma is not None
    assert abs(header.gamma - 1.8) < 1e-6


def packed(number: int) -> tuple[tuple[int, int], ...]:
    """A coordinate in millionths, which here is positive, and so even."""
    twice = 2 * number
    ranges = ((0, 19), (524_288, 19), (1_048_576, 20), (2_097_152, 21))
    choice = max(index for index, (least, _) in enumerate(ranges) if least <= twice)
    return (choice, 2), (twice - ranges[choice][0], ranges[choice][1])


@pytest.mark.parametrize(
    ("pairs", "word"),
    [
        (((1, 1), (0, 1), (0, 1), (0, 2), (1, 2), (1, 2), (0, 1), (2, 2), (14, 4)), "PQ"),
        (((1, 1), (0, 1), (0, 1), (0, 2), (1, 2), (1, 2), (0, 1), (2, 2), (15, 4), (0, 1)), "HDR|damaged"),
        (((0, 1), (0, 1), (1, 1), (0, 2)), "profile"),
    ],
)
def test_what_would_come_out_wrong_is_refused_by_name(pairs: tuple[tuple[int, int], ...], word: str) -> None:
    with pytest.raises(ImageError, match=word):
        open_picture(Writer().put(*SIZE, *PLAIN, *pairs).stream())
