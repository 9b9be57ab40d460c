"""Picture files: what is read, what is refused, what is written, and that colours mean the same throughout."""

import io
import struct
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from hpinet.errors import ImageError, OptionError
from hpinet.images import (
    Limits,
    Picture,
    encode_picture,
    open_picture,
    resize_bicubic,
    resize_nearest,
    save_picture,
)
from hpinet.images.writing import format_of

D65 = [0.3127, 0.329, 1.0]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ADOBE_RGB = imagecodecs.cms_profile("adobergb")
LINEAR_RGB = imagecodecs.cms_profile(
    "rgb", whitepoint=D65, primaries=[0.64, 0.33, 1, 0.3, 0.6, 1, 0.15, 0.06, 1], gamma=1.0
)
GREY_22 = imagecodecs.cms_profile("gray", whitepoint=D65, gamma=2.2)
GREY_LINEAR = imagecodecs.cms_profile("gray", whitepoint=D65, gamma=1.0)
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")


@pytest.fixture(autouse=True)
def _no_warnings():
    """Reading and writing pictures warns about nothing, whatever they contain."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


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


class TestOpening:
    @pytest.mark.parametrize(
        ("format", "mode"),
        [
            (format, mode)
            for format in ("PNG", "TIFF", "BMP", "GIF", "WEBP")
            for mode in ("1", "L", "LA", "P", "RGB", "RGBA")
            if (format, mode) != ("BMP", "LA")  # there are no such files
        ],
    )
    def test_lossless_formats_give_pillows_pixels(self, format, mode):
        image = Image.fromarray(noise(9, 13, 4), "RGBA").convert(mode)
        data = pillow_file(image, format, **({"lossless": True, "exact": True} if format == "WEBP" else {}))
        picture = open_picture(data)
        with Image.open(io.BytesIO(data)) as reopened:
            expected = reopened.convert("RGBA")
        assert np.array_equal(np.asarray(picture.to_pil().convert("RGBA")), np.asarray(expected))
        assert picture.format == format
        assert picture.depth == 8

    @pytest.mark.parametrize("kind", ["path", "str", "bytes", "stream"])
    def test_sources(self, kind, tmp_path):
        data = encode_picture(Picture(noise(4, 5, 3)))
        path = tmp_path / "misnamed.jpg"
        path.write_bytes(data)
        source = {"path": path, "str": str(path), "bytes": data, "stream": io.BytesIO(data)}[kind]
        picture = open_picture(source)
        assert (picture.height, picture.width, picture.format) == (4, 5, "PNG")

    def test_grey_stays_grey(self):
        for format in ("PNG", "JPEG", "TIFF", "BMP"):
            assert open_picture(pillow_file(Image.fromarray(noise(6, 7)), format)).is_grey

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_transparent_colour_of_png(self, dtype, channels):
        samples = noise(5, 6, channels, dtype=dtype)
        samples[2, 3] = key = samples[0, 0]
        png = with_chunk(encode_picture(Picture(samples)), b"tRNS", key.astype(">u2").tobytes())
        picture = open_picture(png)
        assert np.array_equal(picture.colour, samples)
        assert picture.alpha is not None
        assert picture.alpha.dtype == dtype
        assert np.array_equal(picture.alpha == 0, (samples == key).all(axis=2))
        assert set(np.unique(picture.alpha)) == {0, np.iinfo(dtype).max}

    @pytest.mark.parametrize("bits", [1, 2, 4])
    def test_transparent_grey_of_few_bits(self, bits):
        header = struct.pack(">IIBBBBB", 8 // bits, 1, bits, 0, 0, 0, 0)
        row = 0b00011011 if bits < 4 else 0x3A
        body = zlib.compress(bytes([0, row]))
        key = {1: 1, 2: 2, 4: 0xA}[bits]
        picture = open_picture(
            png_file((b"IHDR", header), (b"tRNS", struct.pack(">H", key)), (b"IDAT", body), (b"IEND", b""))
        )
        values = [row >> shift & (2**bits - 1) for shift in range(8 - bits, -1, -bits)]
        assert picture.colour.ravel().tolist() == [value * 255 // (2**bits - 1) for value in values]
        assert picture.alpha is not None
        assert picture.alpha.ravel().tolist() == [0 if value == key else 255 for value in values]

    def test_palette_with_partial_transparency(self):
        image = Image.new("P", (3, 1))
        image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
        image.putdata([0, 1, 2])
        picture = open_picture(pillow_file(image, "PNG", transparency=b"\x00\x80"))
        assert picture.samples[0].tolist() == [[10, 20, 30, 0], [40, 50, 60, 128], [70, 80, 90, 255]]

    @pytest.mark.parametrize(("format", "options"), [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True})])
    def test_first_frame_of_animations(self, format, options):
        frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "green", "blue")]
        data = pillow_file(frames[0], format, save_all=True, append_images=frames[1:], duration=100, **options)
        picture = open_picture(data)
        assert (picture.colour == [255, 0, 0]).all()

    def test_transparent_first_frame_of_a_gif(self):
        first = Image.fromarray(np.array([[[255, 0, 0, 255], [0, 0, 0, 0]]], np.uint8), "RGBA")
        second = Image.new("RGBA", (2, 1), "blue")
        picture = open_picture(pillow_file(first, "GIF", save_all=True, append_images=[second], disposal=2))
        assert picture.alpha is not None
        assert picture.alpha.tolist() == [[255, 0]]

    def test_jpeg_of_several_pictures(self):
        first, second = (Image.fromarray(smooth(16, 16, 3)[::step]) for step in (1, -1))
        data = pillow_file(first, "MPO", save_all=True, append_images=[second])
        picture = open_picture(data)
        assert picture.format == "JPEG"
        assert np.abs(picture.colour.astype(int) - np.asarray(first)).max() < 12

    def test_cmyk_without_profile(self):
        inks = np.zeros((8, 8, 4), np.uint8)
        inks[:, :, 1:3] = 255
        picture = open_picture(pillow_file(Image.fromarray(inks, "CMYK"), "TIFF"))
        assert (picture.colour == [255, 0, 0]).all()

    def test_lab(self):
        lab = ImageCms.profileToProfile(
            Image.fromarray(smooth(16, 16, 3)),
            ImageCms.createProfile("sRGB"),
            ImageCms.createProfile("LAB"),
            outputMode="LAB",
        )
        assert lab is not None
        picture = open_picture(pillow_file(lab, "TIFF"))
        difference = np.abs(picture.colour.astype(int) - smooth(16, 16, 3))  # 8 bits of L*a*b* are coarser
        assert difference.mean() < 2.5
        assert difference.max() < 16

    def test_pillows_pixel_limit_is_left_alone(self, monkeypatch):
        """Somebody else's limit of Pillow's is neither lifted nor answered with its warning."""
        data = encode_picture(Picture(noise(10, 10, 3)))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
        assert open_picture(data).width == 10
        assert Image.MAX_IMAGE_PIXELS == 60

    def test_filters_of_warnings_survive_threads(self):
        before = list(warnings.filters)
        data = encode_picture(Picture(noise(40, 40, 3)))
        with ThreadPoolExecutor(8) as pool:
            pictures = list(pool.map(open_picture, [data] * 64))
        assert len(pictures) == 64
        assert warnings.filters == before


class TestSixteenBit:
    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    @pytest.mark.parametrize("planes", ["contig", "separate"])
    @pytest.mark.parametrize("byteorder", "<>")
    @pytest.mark.parametrize("compression", ["none", "zlib", "lzw"])
    def test_tiff_layouts(self, channels, planes, byteorder, compression):
        samples = noise(19, 23, channels, dtype=np.uint16)
        stored = np.moveaxis(samples, 2, 0) if planes == "separate" and channels > 1 else samples
        data = tiff_file(
            stored[..., 0] if channels == 1 else stored,
            photometric="rgb" if channels > 2 else "minisblack",
            planarconfig=planes if channels > 1 else None,
            extrasamples=["unassalpha"] if channels in (2, 4) else None,
            compression=compression,
            predictor=compression != "none",
            byteorder=byteorder,
        )
        picture = open_picture(data)
        assert np.array_equal(picture.samples, samples)
        assert picture.format == "TIFF"

    def test_white_is_zero(self):
        samples = noise(5, 7, dtype=np.uint16)
        picture = open_picture(tiff_file(samples, photometric="miniswhite"))
        assert np.array_equal(picture.colour[..., 0], 65535 - samples)

    def test_premultiplied_alpha_is_divided_out(self):
        stored = np.array([[[101, 200, 300, 600], [0, 0, 0, 0], [1000, 2000, 65535, 65535]]], np.uint16)
        picture = open_picture(tiff_file(stored, photometric="rgb", extrasamples=["assocalpha"]))
        assert picture.colour.tolist() == [[[11032, 21845, 32768], [0, 0, 0], [1000, 2000, 65535]]]

    def test_big_tiff(self):
        samples = noise(5, 7, 3, dtype=np.uint16)
        assert np.array_equal(open_picture(tiff_file(samples, photometric="rgb", bigtiff=True)).colour, samples)

    def test_other_samples_are_refused_by_name(self):
        for dtype, bits in ((np.int8, 8), (np.int16, 16), (np.int32, 32)):
            with pytest.raises(ImageError, match=f"{bits} bits"):
                open_picture(tiff_file(np.zeros((4, 4), dtype), photometric="minisblack"))

    def test_more_channels_than_colour_has_are_refused(self):
        data = tiff_file(np.zeros((4, 4, 9), np.uint16), photometric="minisblack", planarconfig="contig")
        with pytest.raises(ImageError, match="samples a pixel"):
            open_picture(data)


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("case", ["JPEG", "WEBP", "PNG", "TIFF", "PNG 16", "TIFF 16"])
    def test_applied_once(self, case, orientation):
        stored = smooth(16, 24, 3)
        image = Image.fromarray(stored)
        if case == "PNG 16":
            wide = encode_picture(Picture(stored.astype(np.uint16) * 257))
            data = with_chunk(wide, b"eXIf", exif(orientation).removeprefix(b"Exif\0\0"))
        elif case == "TIFF 16":
            tag = (274, "H", 1, orientation, True)
            data = tiff_file(stored.astype(np.uint16) * 257, photometric="rgb", extratags=[tag])
        else:
            options = (
                {"lossless": True} if case == "WEBP" else {"quality": 100, "subsampling": 0} if case == "JPEG" else {}
            )
            data = pillow_file(image, case, exif=exif(orientation), **options)
        image.getexif()[0x0112] = orientation
        expected = np.asarray(ImageOps.exif_transpose(image))
        picture = open_picture(data)
        assert np.abs(picture.to_8_bit().colour.astype(int) - expected).max() <= (2 if case == "JPEG" else 0)
        for format in FORMATS:
            again = open_picture(encode_picture(picture, format, quality=100))
            assert (again.height, again.width) == (picture.height, picture.width)
            assert np.abs(again.to_8_bit().colour.astype(int) - expected).max() <= 5

    @pytest.mark.parametrize("tags", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense", exif(0), exif(9)])
    def test_damaged_tags_are_ignored(self, tags):
        data = pillow_file(Image.fromarray(smooth(16, 24, 3)), "JPEG", exif=tags)
        assert open_picture(data).width == 24


class TestColour:
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
    def test_ordinary_profile_travels_with_its_values(self, format):
        samples = smooth(16, 20, 3)
        options = (
            {"lossless": True} if format == "WEBP" else {"quality": 100, "subsampling": 0} if format == "JPEG" else {}
        )
        picture = open_picture(pillow_file(Image.fromarray(samples), format, icc_profile=ADOBE_RGB, **options))
        assert picture.icc_profile == ADOBE_RGB
        assert np.abs(picture.colour.astype(int) - samples).max() <= (4 if format == "JPEG" else 0)
        for target in FORMATS:
            assert open_picture(encode_picture(picture, target)).icc_profile == ADOBE_RGB

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_linear_light_becomes_srgb(self, dtype):
        top = np.iinfo(dtype).max
        values = np.linspace(0, top, 64).round().astype(dtype)
        stored = np.repeat(values[None, :, None], 3, axis=2)
        png = encode_picture(Picture(stored, None, LINEAR_RGB))
        picture = open_picture(png)
        assert picture.icc_profile is None
        assert picture.colour.dtype == dtype
        light = values / top
        srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        assert np.abs(picture.colour[0, :, 1] / top - srgb).max() < (0.004 if dtype == np.uint8 else 0.0005)

    def test_grey_profiles(self):
        grey = noise(8, 9, 1)
        assert open_picture(encode_picture(Picture(grey, None, GREY_22))).icc_profile == GREY_22
        converted = open_picture(encode_picture(Picture(grey, None, GREY_LINEAR)))
        assert converted.icc_profile is None
        assert converted.is_grey
        assert (converted.colour >= grey).all()
        assert (converted.colour != grey).any()

    @pytest.mark.parametrize("profile", [b"", b"nonsense", SRGB[:200], bytes(128), SRGB[:300] + bytes(288), GREY_22])
    def test_broken_or_foreign_profile_says_nothing(self, profile):
        samples = noise(6, 7, 3)
        picture = open_picture(pillow_file(Image.fromarray(samples), "TIFF", icc_profile=profile))
        assert np.array_equal(picture.colour, samples)
        assert picture.icc_profile is None

    def test_alpha_is_no_colour(self):
        samples = noise(6, 7, 4)
        picture = open_picture(pillow_file(Image.fromarray(samples), "PNG", icc_profile=LINEAR_RGB))
        assert np.array_equal(picture.samples[..., 3], samples[..., 3])
        assert (picture.colour != samples[..., :3]).any()

    def test_gamma_of_png(self):
        grey = np.arange(256, dtype=np.uint8).reshape(1, 256, 1)
        header, _, *pixels = png_chunks(encode_picture(Picture(grey)))

        def opened(*chunks: tuple[bytes, bytes]) -> np.ndarray:
            return open_picture(png_file(header, *chunks, *pixels)).colour

        linear = (b"gAMA", struct.pack(">I", 100000))
        assert np.array_equal(opened((b"gAMA", struct.pack(">I", 45455))), grey)
        assert np.array_equal(opened(linear, (b"sRGB", b"\0")), grey)
        assert np.array_equal(opened((b"gAMA", struct.pack(">I", 0))), grey)
        assert opened(linear)[0, [0, 55, 188, 255], 0].tolist() == [0, 128, 223, 255]

    def test_grey_profile_becomes_srgb_where_grey_becomes_rgb(self):
        grey = Picture(noise(6, 7, 1), None, GREY_22)
        webp = open_picture(encode_picture(grey, "WEBP", quality=100))
        assert webp.icc_profile is None
        assert np.abs(webp.colour.astype(int) - grey.colour).max() < 12


class TestRefusing:
    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
            (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
            (b"\0\0\0\x18ftypisom\0\0\0\0", "Video"),
            (b"%PDF-1.7\n", "PDF"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "EPS"),
            (b"8BPS\0\1", "Photoshop"),
            (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
            (b"<svg/>", "SVG"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
            (b"P6 1 1 255\n\0\0\0", "PNM"),
            (b"\0\0\1\0\1\0", "Icon"),
            (b"<!DOCTYPE html><html>", "HTML"),
        ],
    )
    def test_other_kinds_by_name(self, data, kind, tmp_path):
        (tmp_path / "picture.png").write_bytes(data)
        with pytest.raises(ImageError, match=rf"^{kind} files cannot be opened: use PNG, .* or GIF\.$"):
            open_picture(tmp_path / "picture.png")

    @pytest.mark.parametrize("data", [b"hello", b"\0", b"\xff", bytes(1000)])
    def test_no_picture_at_all(self, data):
        with pytest.raises(ImageError, match="not a picture"):
            open_picture(data)

    def test_formats_of_pillow_beyond_the_list(self):
        for format in ("PPM", "TGA", "ICO", "PCX", "JPEG2000", "AVIF"):
            with pytest.raises(ImageError):
                open_picture(pillow_file(Image.new("RGB", (16, 16)), format))

    def test_missing_empty_and_unreadable_files(self, tmp_path):
        (tmp_path / "empty.png").touch()
        for source, message in (
            (tmp_path / "absent.png", "No such file"),
            (tmp_path, "directory"),
            ("a\0b", "null"),
            (tmp_path / "empty.png", "empty"),
            (b"", "empty"),
        ):
            with pytest.raises(ImageError, match=message):
                open_picture(source)

    def test_limits(self):
        data = encode_picture(Picture(noise(30, 40, 3)))
        assert open_picture(data, limits=Limits(megapixels=0.0012, megabytes=1, side=40)).width == 40
        for limits, message in (
            (Limits(megapixels=0.0011, megabytes=1), "of 40×30 is too large: at most 0.0011 megapixels"),
            (Limits(megapixels=1, megabytes=1, side=39), "39 pixels a side"),
            (Limits(megapixels=1, megabytes=0.001), "larger than 0.001 MB"),
        ):
            with pytest.raises(ImageError, match=message):
                open_picture(io.BytesIO(data), limits=limits)

    @pytest.mark.parametrize("side", [10_000, 12_000, 20_000, 2**31 - 1])
    def test_header_is_enough_to_refuse(self, side):
        """Of 100, 144, 400 megapixels (where Pillow warns, and raises), and of all that a header can say."""
        start = time.perf_counter()
        with pytest.raises(ImageError, match="too large"):
            open_picture(huge_png(side, side))
        assert time.perf_counter() - start < 1

    def test_bomb(self):
        """24 million zero pixels in 24 kB: within the limit it opens, over it no pixel is decoded."""
        data = pillow_file(Image.new("1", (6000, 4000)), "PNG")
        assert open_picture(data, limits=Limits(megapixels=24, megabytes=1)).width == 6000
        with pytest.raises(ImageError, match="too large"):
            open_picture(data, limits=Limits(megapixels=23, megabytes=1))

    def test_tile_larger_than_the_limit(self):
        """libtiff would set aside 24 GB for this tile."""
        data = bytearray(tiff_file(noise(31, 23, dtype=np.uint16), photometric="minisblack", tile=(16, 16)))
        entry = data.index(struct.pack("<HH", 323, 4))  # TileLength, a long
        data[entry : entry + 12] = struct.pack("<HHII", 323, 4, 1, 754974736)
        with pytest.raises(ImageError, match="too large"):
            open_picture(bytes(data))

    @pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PNG 16", "TIFF 16"])
    def test_every_truncation(self, format):
        picture = Picture(noise(9, 11, 3))
        if format.endswith("16"):
            data = encode_picture(Picture(noise(9, 11, 3, dtype=np.uint16)), format.split()[0])
        else:
            data = pillow_file(picture.to_pil(), format)
        refused = 0
        for length in range(len(data)):
            try:
                opened = open_picture(data[:length])
                assert opened.colour.shape == (9, 11, 3)
            except ImageError:
                refused += 1
        assert refused > len(data) / 2

    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(
        st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PNG 16", "TIFF 16"]),
        st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    )
    def test_damage(self, format, damage):
        if format.endswith("16"):
            data = bytearray(encode_picture(Picture(noise(9, 11, 4, dtype=np.uint16)[..., :3]), format.split()[0]))
        else:
            data = bytearray(pillow_file(Image.fromarray(noise(9, 11, 3)), format))
        for place, value in damage:
            data[int(place * len(data))] = value
        try:
            picture = open_picture(bytes(data), limits=Limits(megapixels=1, megabytes=1))
        except ImageError as refusal:
            message = str(refusal)
        else:
            assert picture.height * picture.width <= 1e6
            return
        assert message.endswith(".")


class TestShared:
    """Odd, broken and hostile files that others collected."""

    def test_png_suite(self, shared):
        files = sorted(path for path in (shared / "data/robustness/pngsuite").glob("[!x]*.png") if len(path.stem) == 8)
        assert len(files) > 150
        for path in files:
            data = path.read_bytes()
            kind, depth = data[25], data[24]
            picture = open_picture(path)
            samples = imagecodecs.png_decode(data)
            samples = samples[..., None] if samples.ndim == 2 else samples
            assert picture.is_grey == (kind in (0, 4)), path.name
            assert picture.depth == (16 if depth == 16 else 8), path.name
            assert (picture.alpha is not None) == (kind in (4, 6) or b"tRNS" in data), path.name
            assert picture.samples.shape == samples.shape, path.name
            if picture.alpha is not None:
                assert np.array_equal(picture.alpha, samples[..., -1]), path.name
            gamma = next(
                (int.from_bytes(body, "big") / 1e5 for name, body in png_chunks(data) if name == b"gAMA"), 1 / 2.2
            )
            if abs(gamma - 1 / 2.2) < 0.02:
                assert np.array_equal(picture.samples, samples), path.name
            else:
                top = np.iinfo(samples.dtype).max
                light = (samples[..., : picture.colour.shape[2]] / top) ** (1 / gamma)
                srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
                assert np.abs(picture.colour / top - srgb).max() <= 0.51 / top, path.name

    def test_interlaced_equals_not_interlaced(self, shared):
        for path in (shared / "data/robustness/pngsuite").glob("basi*.png"):
            plain = open_picture(path.with_name(path.name.replace("basi", "basn")))
            assert np.array_equal(open_picture(path).samples, plain.samples), path.name

    def test_broken_png_suite(self, shared):
        for path in (shared / "data/robustness/pngsuite").glob("x*.png"):
            if path.stem == "xcsn0g01":  # a wrong checksum of the pixels alone, which Pillow does not mind
                continue
            with pytest.raises(ImageError):
                open_picture(path)

    @pytest.mark.slow
    def test_everything_opens_or_is_refused(self, shared):
        opened = 0
        refusals = {}
        for path in sorted(path for path in (shared / "data/robustness").rglob("*") if path.is_file()):
            start = time.perf_counter()
            try:
                picture = open_picture(path, limits=Limits(megapixels=40, megabytes=16))
            except ImageError as refusal:
                refusals[path] = str(refusal)
            else:
                opened += 1
                assert picture.colour.size > 0, path
                assert picture.height * picture.width <= 40e6, path
            assert time.perf_counter() - start < 20, path
        assert opened > 300
        assert len(refusals) > 300
        assert all(message.endswith(".") and len(message) < 200 for message in refusals.values())

    def test_cmyk_with_profile(self, shared):
        path = shared / "data/robustness/zune/test-images/jpeg/Kiara_limited_progressive_four_components.jpg"
        picture = open_picture(path)
        with Image.open(path) as image:
            naive = np.asarray(image.convert("RGB")).astype(int)
            profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
            managed = ImageCms.profileToProfile(
                image,
                profile,
                ImageCms.createProfile("sRGB"),
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                "RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
        assert picture.icc_profile is None
        assert np.abs(picture.colour - np.asarray(managed).astype(int)).max() <= 1
        assert np.abs(picture.colour - naive).mean() > 2


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


class TestWriting:
    @settings(max_examples=120, deadline=None, derandomize=True)
    @given(pictures(), st.sampled_from(["PNG", "TIFF"]))
    def test_exact_round_trip(self, picture, format):
        again = open_picture(encode_picture(picture, format))
        assert_same(again, picture)
        assert again.format == format
        assert again.colour.flags.writeable

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(pictures())
    def test_webp_is_lossless_at_quality_100(self, picture):
        again = open_picture(encode_picture(picture, "WEBP", quality=100))
        narrow = picture.to_8_bit()
        assert np.array_equal(again.samples[..., 3:], narrow.samples[..., narrow.colour.shape[2] :]) or (
            again.alpha is None and (narrow.alpha == 255).all()
        )
        if not picture.is_grey:
            assert np.array_equal(again.colour, narrow.colour)
            assert again.icc_profile == picture.icc_profile
        elif picture.icc_profile is None:
            assert np.array_equal(again.colour, np.repeat(narrow.colour, 3, axis=2))

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(pictures())
    def test_through_pillow(self, picture):
        image = picture.to_pil()
        again = Picture.from_pil(image)
        if picture.depth == 16 and image.mode != "I;16":
            picture = picture.to_8_bit()
        assert_same(again, picture)

    @pytest.mark.parametrize(
        ("quality", "error"),
        [(95, 8), (50, 16)],
    )
    @pytest.mark.parametrize("format", ["JPEG", "WEBP"])
    def test_lossy(self, format, quality, error):
        picture = Picture(smooth(64, 80, 3))
        data = encode_picture(picture, format, quality=quality)
        assert np.abs(open_picture(data).colour.astype(int) - picture.colour).max() <= error

    def test_quality_changes_size(self):
        picture = Picture(noise(64, 64, 3))
        for format in ("JPEG", "WEBP"):
            sizes = [len(encode_picture(picture, format, quality=quality)) for quality in (10, 50, 90)]
            assert sizes == sorted(sizes)
            assert sizes[0] * 2 < sizes[2]

    def test_high_quality_jpeg_keeps_colour_at_full_resolution(self):
        stripes = np.zeros((16, 16, 3), np.uint8)
        stripes[:, ::2, 0] = 255
        fine, coarse = (open_picture(encode_picture(Picture(stripes), "JPEG", quality=q)).colour for q in (90, 89))
        assert np.abs(fine.astype(int) - stripes).mean() < 5 < np.abs(coarse.astype(int) - stripes).mean()

    def test_jpeg_lays_transparency_on_white(self):
        colour = np.zeros((16, 16, 3), np.uint8)
        alpha = np.full((16, 16), 255, np.uint8)
        alpha[:, 8:] = 0
        picture = open_picture(encode_picture(Picture(colour, alpha), "JPEG", quality=95))
        assert picture.alpha is None
        assert (picture.colour[:, :8] < 3).all()
        assert (picture.colour[:, 8:] > 252).all()

    @pytest.mark.parametrize("format", FORMATS)
    def test_nothing_but_pixels_and_profile(self, format):
        image = Image.fromarray(smooth(16, 16, 3))
        tags = image.getexif()
        tags[0x010E] = "secret words"
        tags.get_ifd(0x8825)[1] = "N"
        data = pillow_file(image, "JPEG", exif=tags.tobytes(), comment=b"secret words", icc_profile=ADOBE_RGB)
        written = encode_picture(open_picture(data), format)
        with Image.open(io.BytesIO(written)) as reopened:
            harmless = {
                "icc_profile",
                "jfif",
                "jfif_version",
                "jfif_unit",
                "jfif_density",
                "compression",
                "dpi",
                "loop",
            }
            harmless |= {"background", "timestamp", "duration", "srgb", "resolution"}
            assert set(reopened.info) <= harmless
            assert not set(reopened.getexif()) & {0x010E, 0x8825, 0x0112, 0x0131, 0x0132}
        assert b"secret" not in written

    def test_png_names_its_colour_space_once(self):
        for profile, expected in ((None, b"sRGB"), (ADOBE_RGB, b"iCCP")):
            for dtype in (np.uint8, np.uint16):
                names = [
                    name for name, _ in png_chunks(encode_picture(Picture(noise(3, 4, 3, dtype=dtype), None, profile)))
                ]
                assert names.index(expected) < names.index(b"IDAT")
                assert len({b"sRGB", b"iCCP", b"gAMA", b"tEXt", b"eXIf"} & set(names)) == 1

    def test_independent_readers_agree(self):
        """libpng and tifffile read the same samples, and Pillow the same profile, out of our 16-bit files."""
        for channels in (1, 2, 3, 4):
            samples = noise(7, 9, channels, dtype=np.uint16)
            picture = Picture.from_array(samples, icc_profile=GREY_22 if channels < 3 else ADOBE_RGB)
            png, tiff = encode_picture(picture), encode_picture(picture, "TIFF")
            assert np.array_equal(imagecodecs.png_decode(png).reshape(samples.shape), samples)
            assert np.array_equal(tifffile.imread(io.BytesIO(tiff)).reshape(samples.shape), samples)
            with Image.open(io.BytesIO(png)) as image:
                assert image.info["icc_profile"] == picture.icc_profile

    def test_too_large_for_the_format(self):
        wide = Picture(np.zeros((1, 16384, 3), np.uint8))
        with pytest.raises(ImageError, match="16,383"):
            encode_picture(wide, "WEBP")
        assert open_picture(encode_picture(wide, "JPEG")).width == 16384
        with pytest.raises(ImageError, match="65,535"):
            encode_picture(Picture(np.zeros((65536, 1, 1), np.uint8)), "JPEG")

    def test_unknown_options(self, tmp_path):
        picture = Picture(noise(3, 3, 3))
        for call in (
            lambda: encode_picture(picture, "GIF"),
            lambda: encode_picture(picture, "JPEG", quality=0),
            lambda: encode_picture(picture, "JPEG", quality=101),
            lambda: save_picture(picture, tmp_path / "picture.bmp"),
            lambda: save_picture(picture, tmp_path / "picture"),
        ):
            with pytest.raises(OptionError):
                call()
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("name", "format"),
        [
            ("a.png", "PNG"),
            ("a.JPG", "JPEG"),
            ("b/a.x.jpeg", "JPEG"),
            ("a.webp", "WEBP"),
            ("a.TIF", "TIFF"),
            ("jpg", "JPEG"),
        ],
    )
    def test_format_of(self, name, format):
        assert format_of(name) == format
        assert format_of(Path(name)) == format

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff"])
    def test_suffix_decides(self, suffix, tmp_path):
        picture = Picture(smooth(8, 9, 3))
        save_picture(picture, tmp_path / f"out{suffix}")
        assert open_picture(tmp_path / f"out{suffix}").format == format_of(f"out{suffix}")
        save_picture(picture, tmp_path / "named.dat", format="webp")
        assert open_picture(tmp_path / "named.dat").format == "WEBP"

    def test_saving_is_all_or_nothing(self, tmp_path, monkeypatch):
        path = tmp_path / "out.png"
        path.write_bytes(b"precious")

        def fail(self: Path, target: Path) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(ImageError, match="No space left"):
            save_picture(Picture(noise(3, 3, 3)), path)
        assert path.read_bytes() == b"precious"
        assert list(tmp_path.iterdir()) == [path]

    def test_unwritable_place(self, tmp_path):
        (tmp_path / "folder.png").mkdir()
        for path in (tmp_path / "absent" / "out.png", tmp_path / "folder.png"):
            with pytest.raises(ImageError, match="cannot be written"):
                save_picture(Picture(noise(3, 3, 3)), path)
        assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


class TestConversions:
    def test_from_array(self):
        assert Picture.from_array(noise(4, 5)).is_grey
        assert Picture.from_array(noise(4, 5, 2, dtype=np.uint16)).depth == 16
        assert np.array_equal(Picture.from_array(noise(4, 5, 4)).samples, noise(4, 5, 4))
        for bad in (
            noise(4, 5, 5),
            noise(4),
            np.zeros((4, 5, 3)),
            np.zeros((0, 5, 3), np.uint8),
            np.zeros((2, 2), bool),
        ):
            with pytest.raises(ImageError):
                Picture.from_array(bad)

    def test_alpha_must_fit(self):
        with pytest.raises(ImageError):
            Picture(noise(4, 5, 3), noise(4, 4))
        with pytest.raises(ImageError):
            Picture(noise(4, 5, 3), noise(4, 5, dtype=np.uint16))

    @pytest.mark.parametrize(
        "mode", ["1", "L", "P", "LA", "PA", "La", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV"]
    )
    def test_from_pil(self, mode):
        image = Image.fromarray(noise(6, 7, 4), "RGBA").convert("RGB" if mode == "P" else "RGBA")
        via = {"La": "LA", "PA": "P"}.get(mode)
        image = (image.convert(via) if via else image).convert(mode)
        picture = Picture.from_pil(image)
        grey, alpha = mode in {"1", "L", "LA", "La"}, mode[-1] in "Aa"
        assert picture.is_grey == grey
        assert (picture.alpha is not None) == alpha
        target = ("L" if grey else "RGB") + ("A" if alpha else "")
        straight = image.convert(target) if mode != "1" else image.convert("L")
        assert np.array_equal(np.asarray(picture.to_pil()), np.asarray(straight))

    def test_sixteen_bit_grey_of_pillow(self):
        samples = noise(6, 7, dtype=np.uint16)
        assert np.array_equal(Picture.from_pil(Image.fromarray(samples)).colour[..., 0], samples)
        swapped = Image.frombytes("I;16B", (7, 6), samples.astype(">u2").tobytes())
        assert np.array_equal(Picture.from_pil(swapped).colour[..., 0], samples)

    def test_unbounded_samples_are_refused(self):
        for mode in ("F", "I"):
            with pytest.raises(ImageError, match="8 or 16 bits"):
                Picture.from_pil(Image.new(mode, (3, 3)))

    def test_rounding_to_8_bits(self):
        values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
        assert np.array_equal(Picture(values).to_8_bit().colour, np.rint(values / 257).astype(np.uint8))


class TestResizing:
    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from([1, 3]), *[st.integers(1, 30)] * 4)
    def test_opaque_8_bit_is_pillows(self, channels, height, width, new_height, new_width):
        samples = noise(height, width, channels)
        image = Image.fromarray(samples[..., 0] if channels == 1 else samples)
        expected = np.asarray(image.resize((new_width, new_height), Image.Resampling.BICUBIC))
        resized = resize_bicubic(Picture(samples, None, None, "GIF"), new_width, new_height)
        assert np.array_equal(resized.colour.squeeze(), expected.squeeze())
        assert resized.colour.shape == (new_height, new_width, channels)
        assert resized.format == "GIF"
        opaque = resize_bicubic(Picture(samples, np.full((height, width), 255, np.uint8)), new_width, new_height)
        assert np.array_equal(opaque.colour, resized.colour)
        assert opaque.alpha is not None
        assert (opaque.alpha == 255).all()

    def test_nearest(self):
        samples = noise(5, 7, 4, dtype=np.uint16)
        picture = Picture.from_array(samples)
        larger = resize_nearest(picture, 21, 10)
        assert np.array_equal(larger.samples, samples.repeat(2, axis=0).repeat(3, axis=1))
        assert np.array_equal(resize_nearest(larger, 7, 5).samples, samples)
        assert np.array_equal(resize_nearest(picture, 1, 1).samples, samples[2:3, 3:4])

    @pytest.mark.parametrize("size", [(7, 5), (40, 60)])
    def test_16_bit_agrees_with_8_bit(self, size):
        samples = smooth(20, 30, 3)  # steep edges overshoot, which Pillow clips between its two passes over 8 bits
        wide = resize_bicubic(Picture(samples.astype(np.uint16) * 257), *size)
        narrow = resize_bicubic(Picture(samples), *size)
        assert wide.depth == 16
        assert np.abs(wide.colour / 257 - narrow.colour).max() <= 1

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    @pytest.mark.parametrize("size", [(48, 48), (5, 5)])
    def test_hidden_colour_does_not_bleed(self, dtype, size):
        top = np.iinfo(dtype).max
        colour = np.full((12, 12, 3), top, dtype)
        colour[:, 6:] = 0  # black, but nowhere to be seen
        alpha = np.full((12, 12), top, dtype)
        alpha[:, 6:] = 0
        resized = resize_bicubic(Picture(colour, alpha), *size)
        assert resized.alpha is not None
        assert (resized.colour[resized.alpha > top // 50] > top * 0.98).all()
        assert resized.alpha[:, 0].min() == top
        assert resized.alpha[:, -1].max() == 0

    def test_profile_is_kept(self):
        assert resize_bicubic(Picture(noise(4, 4, 3), noise(4, 4), ADOBE_RGB), 8, 8).icc_profile == ADOBE_RGB
        assert resize_nearest(Picture(noise(4, 4, 3), noise(4, 4), ADOBE_RGB), 8, 8).icc_profile == ADOBE_RGB
