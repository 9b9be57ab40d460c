"""What a file says beside its pixels: colour named in other ways than by a profile, and damage that must not matter."""

import struct
import tracemalloc
import zlib
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from hpinet.errors import ImageError
from hpinet.images import Picture, encode_picture, open_picture, picture_size
from hpinet.images.colour import adobe_rgb, rgb_profile

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
    assert picture.icc_profile == adobe_rgb()


def test_what_follows_a_wrong_length_is_found_again() -> None:
    for wrong in (b"\x7f\xff\xff\xf0tEXtabc", b"\0\0\1\0tEXtabc"):
        data = png()
        picture = open_picture(data[:33] + wrong + data[33:])
        assert np.array_equal(picture.colour, PIXELS)
        assert picture.notes


def test_the_first_of_several_chunks_counts() -> None:
    first, second = (zlib.compress(imagecodecs.cms_profile(name)) for name in ("adobergb", "srgb"))
    picture = open_picture(png((b"iCCP", b"a\0\0" + first), (b"iCCP", b"b\0\0" + second), (b"iCCP", b"nonsense")))
    assert picture.icc_profile == imagecodecs.cms_profile("adobergb")
    assert picture.notes == ()


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0de"])
def test_xmp_that_is_cut_off_is_left_out(body: bytes) -> None:
    picture = open_picture(png((b"iTXt", b"XML:com.adobe.xmp\0" + body)))
    assert np.array_equal(picture.colour, PIXELS)
    assert picture.notes


def test_a_transparent_colour_of_the_wrong_length_is_left_out() -> None:
    picture = open_picture(png((b"tRNS", b"x")))
    assert picture.alpha is None
    assert picture.notes


@pytest.mark.parametrize("segment", [b"\xff\xee\0\7Adobe", b"\xff\xe0\0\7JFIF\0"])
def test_damaged_segments_of_jpeg(segment: bytes) -> None:
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", icc_profile=imagecodecs.cms_profile("adobergb"))
    whole = file.getvalue()
    expected = open_picture(whole)
    picture = open_picture(whole[:2] + segment + whole[2:])
    assert np.array_equal(picture.colour, expected.colour)
    assert picture.icc_profile == expected.icc_profile
    assert picture.notes


def webp(**options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "WEBP", lossless=True, **options)
    return file.getvalue()


def test_side_data_of_webp() -> None:
    adobe = imagecodecs.cms_profile("adobergb")
    data = webp(icc_profile=adobe, exif=b"Exif\0\0II*\0\xff\xff\xff\xff", xmp=b"<x/>")
    cut = data[:-3]
    wrong_sizes = [data[:4] + struct.pack("<I", size) + data[8:] for size in (0, len(data) - 30, len(data) + 100)]
    for file in (data, cut, data + b"123" * 50, *wrong_sizes):
        picture = open_picture(file)
        assert np.array_equal(picture.colour, PIXELS)
        assert picture.icc_profile == adobe
    assert open_picture(cut).notes
    picture = open_picture(data.replace(adobe, b"\xff" * len(adobe)))
    assert np.array_equal(picture.colour, PIXELS)
    assert any("colour profile" in note for note in picture.notes)


@pytest.mark.parametrize("primaries", [1, 4, 7, 8, 11, 22])
def test_other_primaries(primaries: int) -> None:
    picture = open_picture(png((b"cICP", bytes([primaries, 13, 0, 1]))))
    assert (picture.icc_profile is None) == (primaries == 1)
    assert np.array_equal(picture.colour, PIXELS)


def test_video_range_is_refused_by_name() -> None:
    with pytest.raises(ImageError, match="video range"):
        open_picture(png((b"cICP", bytes([1, 13, 0, 0]))))


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_in_a_profile_is_refused_by_name(transfer: int, name: str) -> None:
    profile = with_tag(imagecodecs.cms_profile("srgb"), b"cicp", bytes([9, transfer, 0, 1]))
    for format in ("JPEG", "PNG", "WEBP", "TIFF"):
        file = BytesIO()
        Image.fromarray(PIXELS).save(file, format, icc_profile=profile)
        with pytest.raises(ImageError, match=f"HDR.*{name}"):
            open_picture(file.getvalue())


def with_tag(profile: bytes, sign: bytes, value: bytes) -> bytes:
    """An ICC profile with a tag more."""
    count = int.from_bytes(profile[128:132], "big")
    table = bytearray(profile[132 : 132 + 12 * count])
    for entry in range(count):
        start = int.from_bytes(table[12 * entry + 4 : 12 * entry + 8], "big")
        table[12 * entry + 4 : 12 * entry + 8] = (start + 12).to_bytes(4, "big")
    body = profile[132 + 12 * count :] + b"\0" * (-len(profile) % 4)
    place = 132 + 12 * (count + 1) + len(body)
    table += sign + struct.pack(">II", place, 12)
    whole = profile[:128] + struct.pack(">I", count + 1) + table + body + sign + bytes(4) + value
    return struct.pack(">I", len(whole)) + whole[4:]


def bmp(header: bytes, profile: bytes = b"") -> bytes:
    """The pixels as a BMP with a header of version 4 or 5."""
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "BMP")
    plain = file.getvalue()
    pixels = plain[54:]
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + pixels + profile


def bmp_header(size: int, space: bytes, numbers: list[float], gamma: float = 2.2) -> bytes:
    height, width = PIXELS.shape[:2]
    masks = bytes(16)
    end_points = struct.pack("<9I", *(round(number * 2**30) for number in numbers))
    gammas = struct.pack("<3I", *[round(gamma * 2**16)] * 3)
    plain = struct.pack("<IiiHHIIiiII", size, width, height, 1, 24, 0, PIXELS.size, 2835, 2835, 0, 0)
    return plain + masks + space + end_points + gammas


def test_colour_of_bmp() -> None:
    adobe = imagecodecs.cms_profile("adobergb")
    head = bmp_header(124, b"DEBM", [0.0] * 9)
    place = struct.pack("<IIII", 4, 124 + PIXELS.size, len(adobe), 0)
    assert open_picture(bmp(head + place, adobe)).icc_profile == adobe
    p3 = [0.4866, 0.229, 0.0, 0.2657, 0.6917, 0.0451, 0.1982, 0.0793, 1.0439]  # X, Y, Z of red, green and blue
    picture = open_picture(bmp(bmp_header(108, bytes(4), p3)))
    curve = np.arange(4096) / 4095
    light = np.where(curve <= 0.04045, curve / 12.92, ((curve + 0.055) / 1.055) ** 2.4)
    table = np.rint(light * 65535).astype(np.uint16)
    expected = meant(imagecodecs.cms_profile("rgb", whitepoint=D65, primaries=P3, transferfunction=table))
    assert np.abs(srgb_of(picture).astype(int) - expected).max() <= 2
    assert open_picture(bmp(bmp_header(108, bytes(4), [0.0] * 9))).icc_profile is None
    assert open_picture(bmp(bmp_header(108, b"BGRs", p3))).icc_profile is None


def test_colour_of_tiff_without_a_profile() -> None:
    pairs = [value for x, y in ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)) for value in (x, y)]
    tags = [(318, "2I", 2, (3127, 10000, 3290, 10000), True)]
    tags += [(319, "2I", 6, tuple(part for value in pairs for part in (round(value * 10000), 10000)), True)]
    file = BytesIO()
    tifffile.imwrite(file, PIXELS, photometric="rgb", metadata=None, extratags=tags)
    picture = open_picture(file.getvalue())
    curve = np.arange(4096) / 4095
    light = np.where(curve <= 0.04045, curve / 12.92, ((curve + 0.055) / 1.055) ** 2.4)
    table = np.rint(light * 65535).astype(np.uint16)
    expected = meant(imagecodecs.cms_profile("rgb", whitepoint=D65, primaries=P3, transferfunction=table))
    assert np.abs(srgb_of(picture).astype(int) - expected).max() <= 1
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 2
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "TIFF", exif=exif.tobytes())
    assert open_picture(file.getvalue()).icc_profile == adobe_rgb()


def test_profiles_of_our_own_tell_no_time() -> None:
    for profile in (adobe_rgb(), rgb_profile((0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06), 1.8)):
        assert profile[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


def jpeg(*segments: tuple[int, bytes], further: bytes = b"") -> bytes:
    """The pixels with application segments, and what follows the file."""
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG")
    whole = file.getvalue()
    packed = b"".join(struct.pack(">BBH", 0xFF, 0xE0 + kind, len(body) + 2) + body for kind, body in segments)
    return whole[:2] + packed + whole[2:] + further


def index(*kinds: int) -> bytes:
    """An MPF segment that lists pictures of these kinds."""
    entries = b"".join(struct.pack("<IIIHH", kind, 100, 0, 0, 0) for kind in kinds)
    tags = struct.pack("<HHHII", 1, 0xB002, 7, len(entries), 26) + bytes(4)
    return b"MPF\0II*\0\x08\0\0\0" + tags + entries


XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/' %s/>"


@pytest.mark.parametrize(
    ("segments", "further", "word"),
    [
        ([(1, XMP % b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"')], b"", "gain map"),
        ([(2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")], b"", "gain map"),
        ([(2, index(0x030000, 0))], jpeg((1, XMP % b'xmlns:a="http://ns.apple.com/HDRGainMap/1.0/"')), "gain map"),
        ([(1, XMP % b'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/"')], b"", "depth map"),
        ([(2, index(0x030000, 0x020002, 0x020002))], jpeg(), "3 pictures"),
        ([(2, index(0x030000, 0x010001))], jpeg(), ""),
        ([(2, b"MPF\0nonsense")], jpeg(), ""),
        ([], jpeg((1, XMP % b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"')), ""),
    ],
)
def test_what_a_jpeg_holds_beside_its_picture(segments: list[tuple[int, bytes]], further: bytes, word: str) -> None:
    picture = open_picture(jpeg(*segments, further=further))
    assert np.array_equal(picture.colour, open_picture(jpeg()).colour)
    assert len(picture.notes) == bool(word)
    assert word in "".join(picture.notes)
    kept = open_picture(encode_picture(picture, "JPEG", metadata="keep-all"))
    assert kept.notes == ()  # the result has none


def test_what_follows_a_jpeg_is_searched_once_whatever_lists_it() -> None:
    data = jpeg(*((2, index(0x030000, 0x020002)),) * 200, further=bytes(2_000_000))
    tracemalloc.start()
    picture = open_picture(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "2 pictures" in "".join(picture.notes)
    assert peak < 3 * len(data)  # copied each time, it would be hundreds of megabytes


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"], ids=["no EXIF", "EXIF"])
@pytest.mark.parametrize("case", ["JPEG", "WEBP", "AVIF", "PNG", "TIFF", "TIFF LAB"])
def test_xmp_turns_nothing(case: str, exif: bytes) -> None:
    """As in browsers: a picture is turned by EXIF alone, or by boxes of its container."""
    said = b"<x:xmpmeta xmlns:x='adobe:ns:meta/' xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation=\"6\"/>"
    if case == "PNG":
        tags = [(b"eXIf", exif.removeprefix(b"Exif\0\0"))] if exif else []
        data = png((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + said), *tags)
    else:
        format, _, mode = case.partition(" ")
        options = {"tiffinfo": {700: said}} if format == "TIFF" else {"xmp": said, "exif": exif}
        file = BytesIO()
        Image.fromarray(PIXELS).convert(mode or "RGB").save(file, format, **options)
        data = file.getvalue()
    picture = open_picture(data)
    assert picture_size(data) == (picture.width, picture.height) == (32, 24)
    assert picture.metadata.xmp == said


def test_the_profile_of_a_gif() -> None:
    profile = imagecodecs.cms_profile("adobergb")
    file = BytesIO()
    Image.fromarray(PIXELS).quantize(64).save(file, "GIF")
    data = file.getvalue()
    blocks = b"".join(bytes([len(part)]) + part for part in (profile[at : at + 255] for at in range(0, 864, 255)))
    place = data.index(b"\x2c", 13 + 3 * 64)
    picture = open_picture(data[:place] + b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0" + data[place:])
    assert picture.icc_profile == profile
    assert open_picture(data).icc_profile is None


def test_a_profile_that_lacks_a_part_is_mentioned() -> None:
    profile = imagecodecs.cms_profile("adobergb")
    parts = [
        (2, b"ICC_PROFILE\0" + bytes(head) + body) for head, body in (((1, 2), profile[:400]), ((2, 2), profile[400:]))
    ]
    assert open_picture(jpeg(*parts)).icc_profile == profile
    picture = open_picture(jpeg(parts[0]))
    assert picture.icc_profile is None
    assert any("colour profile" in note for note in picture.notes)
