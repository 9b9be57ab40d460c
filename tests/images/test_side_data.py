"""What a file says beside its pixels: colour named in other ways than by a profile, and damage that must not matter."""

import struct
import zlib
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import ExifTags, Image

from hpinet.errors import ImageError
from hpinet.images import Picture, encode_picture, open_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
P3 = [0.68, 0.32, 1, 0.265, 0.69, 1, 0.15, 0.06, 1]
D65 = [0.3127, 0.329, 1.0]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """The pixels with chunks after the header."""
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    data = file.getvalue()
    packed = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return data[:33] + packed + data[33:]


def srgb_of(picture: Picture) -> np.ndarray:
    """How a colour-managed viewer shows the picture."""
    if picture.icc_profile is None:
        return picture.colour
    return imagecodecs.cms_transform(
        picture.colour, picture.icc_profile, imagecodecs.cms_profile("srgb"), colorspace="rgb", outcolorspace="rgb",
        intent=1, flags=0x2000,
    )  # fmt: skip


def meant(profile: bytes) -> np.ndarray:
    return srgb_of(Picture(PIXELS, icc_profile=profile))


def test_large_text_and_large_profile() -> None:
    text = b"Comment\0\0" + zlib.compress(bytes(2_000_000))
    assert np.array_equal(open_picture(png((b"zTXt", text))).colour, PIXELS)
    profile = imagecodecs.cms_profile("adobergb")
    padded = (len(profile) + 1_500_000).to_bytes(4, "big") + profile[4:] + np.random.default_rng(0).bytes(1_500_000)
    picture = Picture(PIXELS, icc_profile=padded)
    for format in ("PNG", "JPEG", "WEBP", "TIFF"):
        assert open_picture(encode_picture(picture, format)).icc_profile == padded


def test_damaged_chunks_are_left_out_and_mentioned() -> None:
    chunk = b"iCCPICC\0\0" + zlib.compress(imagecodecs.cms_profile("adobergb"))
    good = png((chunk[:4], chunk[4:]))
    bad = bytearray(good)
    bad[33 + 8 + len(chunk) - 4] ^= 1  # the checksum
    assert open_picture(good).icc_profile is not None
    picture = open_picture(bytes(bad))
    assert np.array_equal(picture.colour, PIXELS)
    assert picture.icc_profile is None
    assert picture.notes


def test_jpeg_without_its_end() -> None:
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG")
    whole = file.getvalue()
    for lacking in (1, 2):
        picture = open_picture(whole[:-lacking])
        assert np.array_equal(picture.colour, open_picture(whole).colour)
        assert picture.notes
    with pytest.raises(ImageError, match="incomplete"):
        open_picture(whole[: len(whole) * 2 // 3])


@pytest.mark.parametrize(
    ("primaries", "transfer", "gamma"), [(12, 13, None), (12, 4, 2.2), (9, 13, None), (1, 1, None), (12, 8, 1.0)]
)
def test_cicp(primaries: int, transfer: int, gamma: float | None) -> None:
    picture = open_picture(png((b"cICP", bytes([primaries, transfer, 0, 1]))))
    xy = {1: [0.64, 0.33, 1, 0.3, 0.6, 1, 0.15, 0.06, 1], 9: [0.708, 0.292, 1, 0.17, 0.797, 1, 0.131, 0.046, 1], 12: P3}
    curve = np.arange(4096) / 4095
    light = np.where(curve <= 0.04045, curve / 12.92, ((curve + 0.055) / 1.055) ** 2.4)
    how: dict[str, Any] = (
        {"transferfunction": np.rint(light * 65535).astype(np.uint16)} if gamma is None else {"gamma": gamma}
    )
    profile = imagecodecs.cms_profile("rgb", whitepoint=D65, primaries=xy[primaries], **how)
    assert np.abs(srgb_of(picture).astype(int) - meant(profile)).max() <= 2


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_by_name(transfer: int, name: str) -> None:
    with pytest.raises(ImageError, match=f"HDR.*{name}"):
        open_picture(png((b"cICP", bytes([9, transfer, 0, 1]))))


def test_chromaticities_and_gamma() -> None:
    xy = [0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06]
    chrm = (b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in xy)))
    picture = open_picture(png(chrm, (b"gAMA", struct.pack(">I", 55_556))))
    expected = meant(imagecodecs.cms_profile("rgb", whitepoint=D65, primaries=P3, gamma=1.8))
    assert np.abs(srgb_of(picture).astype(int) - expected).max() <= 1
    assert open_picture(png(chrm, (b"sRGB", b"\0"))).icc_profile is None
    nonsense = (b"cHRM", struct.pack(">8I", *[0] * 8))
    assert open_picture(png(nonsense)).icc_profile is None


def test_gamma_of_ffmpeg_is_taken_for_srgb() -> None:
    picture = open_picture(png((b"gAMA", struct.pack(">I", 51_000))))
    assert np.array_equal(picture.colour, PIXELS)


@pytest.mark.parametrize("way", ["R03", "colour space"])
def test_adobe_rgb_of_cameras(way: str) -> None:
    exif = Image.Exif()
    if way == "R03":
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 0xFFFF
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {1: "R03"}
    else:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 2
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", exif=exif, quality=100)
    picture = open_picture(file.getvalue())
    assert picture.icc_profile == imagecodecs.cms_profile("adobergb")
