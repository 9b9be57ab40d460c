"""Pictures of telephones: HEIC and AVIF."""

import struct
import subprocess
import sys
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from hpinet.errors import ImageError
from hpinet.images import Limits, Picture, encode_picture, open_picture, picture_size
from hpinet.images.heif import read_boxes

from .samples import ADOBE_RGB, noise, smooth

HEIGHT, WIDTH = 48, 64
PIXELS = smooth(HEIGHT, WIDTH, 4)


def heic(pixels: np.ndarray, mode: str = "RGB", **options: Any) -> bytes:
    file = BytesIO()
    made = pillow_heif.from_bytes(mode=mode, size=(pixels.shape[1], pixels.shape[0]), data=pixels.tobytes())
    made.save(file, **{"quality": -1, "chroma": 444, **options})
    return file.getvalue()


def avif(pixels: np.ndarray, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "AVIF", **{"quality": 100, "subsampling": "4:4:4", **options})
    return file.getvalue()


def error(picture: Picture, samples: np.ndarray, top: int = 255) -> float:
    """The largest, of 1."""
    return float(np.abs(picture.samples / np.iinfo(picture.colour.dtype).max - samples / top).max())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_eight_bits(channels: int) -> None:
    samples = PIXELS[..., 0] if channels == 1 else PIXELS[..., :channels]
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    for data, format in ((heic(samples, mode), "HEIF"), (bytes(imagecodecs.avif_encode(samples, level=100)), "AVIF")):
        picture = open_picture(data)
        assert (picture.format, picture.depth, picture.is_grey) == (format, 8, channels == 1)
        assert (picture.alpha is not None) == (channels == 4)
        assert error(picture, samples.reshape(HEIGHT, WIDTH, channels)) < 0.02


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_more_bits_become_16(kind: str, bits: int) -> None:
    top = 2**bits - 1
    samples = ((PIXELS[..., :3].astype(np.uint32) * top + 127) // 255).astype(np.uint16)
    if kind == "AVIF":
        data = bytes(imagecodecs.avif_encode(samples, level=100, bitspersample=bits, pixelformat="444"))
    else:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
        data = heic((samples << (16 - bits)).astype("<u2"), "RGB;16")
        pillow_heif.options.SAVE_HDR_TO_12_BIT = False
    picture = open_picture(data)
    assert picture.depth == 16
    assert error(picture, samples, top) < 2 / top
    assert int(picture.colour.max()) > 65535 * int(samples.max()) / top - 200  # stretched, not shifted


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_upright(kind: str, orientation: int) -> None:
    image, tags = Image.fromarray(PIXELS[..., :3]), Image.Exif()
    image.getexif()[274] = tags[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    data = heic(PIXELS[..., :3], exif=tags.tobytes()) if kind == "HEIC" else avif(PIXELS[..., :3], exif=tags.tobytes())
    picture = open_picture(data)
    assert picture.colour.shape == expected.shape
    assert error(picture, expected) < 0.02
    assert picture_size(data) == (picture.width, picture.height)


def test_profiles_and_metadata() -> None:
    tags = Image.Exif()
    tags[271] = "Maker"
    for write in (heic, avif):
        data = write(PIXELS[..., :3], icc_profile=ADOBE_RGB, exif=tags.tobytes(), xmp=b"<x/>")
        picture = open_picture(data)
        assert picture.icc_profile == ADOBE_RGB
        assert picture.metadata.xmp == b"<x/>"
        with Image.open(BytesIO(encode_picture(picture, "JPEG", metadata="keep"))) as image:
            assert image.getexif()[271] == "Maker"


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_colour_by_numbers(kind: str) -> None:
    def written(primaries: int, transfer: int) -> bytes:
        if kind == "AVIF":
            codes: dict[str, Any] = {"primaries": primaries, "transfer": transfer, "matrix": 0}
            return bytes(imagecodecs.avif_encode(PIXELS[..., :3], level=100, pixelformat="444", **codes))
        nclx: dict[str, Any] = {
            "color_primaries": primaries,
            "transfer_characteristics": transfer,
            "matrix_coefficients": 1,
        }
        return heic(PIXELS[..., :3], save_nclx_profile=True, **nclx)

    assert open_picture(written(1, 13)).icc_profile is None
    profile = open_picture(written(12, 13)).icc_profile
    assert profile is not None
    seen = imagecodecs.cms_transform(PIXELS[..., :3], profile, imagecodecs.cms_profile("srgb"),
                                     colorspace="rgb", outcolorspace="rgb")  # fmt: skip
    assert np.abs(seen.astype(int) - PIXELS[..., :3]).mean() > 3
    for transfer, name in ((16, "PQ"), (18, "HLG")):
        with pytest.raises(ImageError, match=f"HDR.*{name}"):
            open_picture(written(9, transfer))


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind + body


def test_boxes_tell_of_gain_and_depth_maps() -> None:
    def container(*auxiliary: bytes, items: tuple[bytes, ...] = ()) -> bytes:
        properties = [box(b"auxC", bytes(4), kind, b"\0") for kind in auxiliary]
        infos = [box(b"infe", b"\2\0\0\0\0\1\0\0", kind, b"\0") for kind in items]
        meta = box(b"meta", bytes(4), box(b"pitm", bytes(4), b"\0\1"),
                   box(b"iinf", bytes(4), struct.pack(">H", len(infos)), *infos),
                   box(b"iprp", box(b"ipco", *properties), box(b"ipma", bytes(8))))  # fmt: skip
        return box(b"ftyp", b"heic\0\0\0\0") + meta

    kinds = [b"urn:com:apple:photo:2020:aux:hdrgainmap", b"urn:mpeg:hevc:2015:auxid:2"]
    assert read_boxes(container(*kinds)).beside == [kind.decode() for kind in kinds]
    assert read_boxes(container(items=(b"hvc1", b"tmap"))).items == ["hvc1", "tmap"]


def test_maps_are_mentioned() -> None:
    gain, depth = b"urn:com:apple:photo:2020:aux:hdrgainmap", b"urn:mpeg:hevc:2015:auxid:2"
    alpha = b"urn:mpeg:hevc:2015:auxid:1"
    data = heic(PIXELS, "RGBA")
    assert alpha in data
    assert open_picture(data).notes == ()
    picture = open_picture(data.replace(alpha, depth))  # what is called so counts
    assert picture.alpha is None
    assert picture.notes == ("It has a depth map: only the picture was taken.",)
    assert len(gain) > len(depth)


def test_several_pictures_are_mentioned() -> None:
    file = pillow_heif.HeifFile()
    for shade in (50, 200):
        file.add_frombytes("L", (32, 32), bytes([shade]) * 1024)
    data = BytesIO()
    file.save(data, primary_index=1)
    picture = open_picture(data.getvalue())
    assert abs(int(picture.colour[0, 0, 0]) - 200) < 4
    assert picture.notes == ("It has 2 pictures: the main one was taken.",)


ANIMATIONS = """
import sys
from io import BytesIO
import numpy as np
from PIL import Image
from hpinet.images import open_picture
for size in [(6, 4), (300, 200)] * 5:
    frames = [Image.new("RGB", size, colour) for colour in ("red", "green", "blue") * 3]
    file = BytesIO()
    frames[0].save(file, "AVIF", save_all=True, append_images=frames[1:], duration=100, quality=100)
    picture = open_picture(file.getvalue())
    assert picture.colour.shape == (size[1], size[0], 3)
    assert np.abs(picture.colour.astype(int) - [255, 0, 0]).max() < 12, picture.colour[0, 0]
    assert picture.notes == ("It has 9 pictures: the main one was taken.",)
"""


def test_an_animation_writes_nowhere_but_in_its_own_memory() -> None:
    """In a process of its own: the library ends it otherwise."""
    done = subprocess.run([sys.executable, "-c", ANIMATIONS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_limits_and_damage(kind: str) -> None:
    pixels = noise(HEIGHT, WIDTH, 3)
    data = heic(pixels) if kind == "HEIC" else avif(pixels)
    with pytest.raises(ImageError, match="too large"):
        open_picture(data, limits=Limits(megapixels=0.001, megabytes=1))
    with pytest.raises(ImageError, match=f"This {kind} file is damaged"):
        open_picture(data[: len(data) // 2])
    assert error(open_picture(data + b"trailing" * 9), open_picture(data).samples) == 0


def test_results_as_avif() -> None:
    samples = smooth(HEIGHT, WIDTH, 4)
    again = open_picture(encode_picture(Picture.from_array(samples, icc_profile=ADOBE_RGB), "AVIF", quality=95))
    assert again.icc_profile == ADOBE_RGB
    assert error(again, samples) < 0.03
    grey = open_picture(encode_picture(Picture(samples[..., :1]), "AVIF"))
    assert np.abs(grey.colour[..., :1].astype(int) - samples[..., :1]).max() < 8
    with pytest.raises(ImageError, match="32,768"):
        encode_picture(Picture(np.zeros((1, 32_769, 3), np.uint8)), "AVIF")
