"""Picture files: what is read, how, and what is refused."""

import io
import struct
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from hpinet.errors import ImageError, MemoryShortageError
from hpinet.images import (
    Limits,
    Picture,
    encode_picture,
    open_picture,
    picture_size,
    reading,
    tiff,
)
from hpinet.images.notes import ANIMATED

from .samples import (
    ADOBE_RGB,
    FORMATS,
    GREY_22,
    GREY_LINEAR,
    LINEAR_RGB,
    SRGB,
    exif,
    huge_png,
    noise,
    pillow_file,
    png_chunks,
    png_file,
    smooth,
    tiff_file,
    with_chunk,
)


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
        assert picture.notes == (ANIMATED,)
        assert open_picture(pillow_file(frames[0], format, **options)).notes == ()

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

    @pytest.mark.parametrize("format", FORMATS)
    @pytest.mark.parametrize("most", [1, 60])
    def test_pillows_pixel_limit_is_for_others(self, monkeypatch, format, most):
        """It neither refuses nor warns of what our limits allow, and is as before for whoever opens files himself."""
        data = encode_picture(Picture(noise(10, 10, 3)), format)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert open_picture(data).width == picture_size(data)[0] == 10
        with pytest.raises(ImageError, match=r"10×10 is too large: at most 5e-05 megapixels"):
            open_picture(data, limits=Limits(megapixels=5e-5))
        assert most == Image.MAX_IMAGE_PIXELS

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
        assert picture_size(data) == (picture.width, picture.height)
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
        for format in ("PPM", "TGA", "ICO", "PCX", "JPEG2000"):
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


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "BMP", "GIF"])
def test_the_header_alone_tells_the_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(file, name)
    for module in (reading, tiff):  # what pixels would become
        monkeypatch.setattr(module, "from_samples", None)
    assert picture_size(file.getvalue()) == (60, 40)
    with pytest.raises(ImageError, match="60×40 is too large"):
        picture_size(file.getvalue(), limits=Limits(megapixels=0.001))


def test_no_picture_has_no_size() -> None:
    with pytest.raises(ImageError, match="not a picture"):
        picture_size(b"nothing")


def stuffed(kind: str) -> bytes:
    """Small files with so many parts that whoever looks at each takes long."""
    image = Image.fromarray(smooth(64, 64, 3))
    if kind == "GIF comments":
        whole = pillow_file(image, "GIF")
        start = whole.index(b"\x21") if b"\x21" in whole[:900] else whole.index(b"\x2c")
        return whole[:start] + b"\x21\xfe\x01x\x00" * 300_000 + whole[start:]
    whole = pillow_file(image, "JPEG", progressive=True)
    if kind == "JPEG comments":
        return whole[:2] + b"\xff\xfe\x00\x02" * 1_000_000 + whole[2:]
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * 2000 + whole[-2:]


@pytest.mark.parametrize("kind", ["GIF comments", "JPEG comments", "JPEG scans"])
def test_files_that_say_nothing_in_many_parts_take_no_time(kind: str) -> None:
    data, began = stuffed(kind), time.process_time()
    if kind == "GIF comments":
        assert open_picture(data).width == 64
        assert picture_size(data) == (64, 64)
    else:
        for look in (open_picture, picture_size):
            with pytest.raises(ImageError, match="of a rare variety"):
                look(data)
    assert time.process_time() - began < 1


def test_pictures_with_many_parts_open() -> None:
    plain = pillow_file(Image.fromarray(smooth(64, 64, 3)), "JPEG", progressive=True)
    beside = plain[:2] + b"\xff\xfe\x00\x06\xff\xda\xff\xda" * 900 + plain[2:] + b"\xff\xda" * 900
    assert np.array_equal(open_picture(beside).colour, open_picture(plain).colour)


@pytest.mark.parametrize("format", ["JPEG", "BMP", "TIFF"])
@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError("out of memory error when reading image file"), RuntimeError("libpng: out of memory")],
    ids=["Python", "Pillow", "codecs"],
)
def test_refused_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch, format: str, error: Exception) -> None:
    """And no reason to look for damage: a JPEG is decoded in no other way."""
    data = pillow_file(Image.fromarray(smooth(64, 64, 3)).convert("LAB" if format == "TIFF" else "RGB"), format)
    tries: list[Image.Image] = []

    def refuse(image: Image.Image) -> Picture:
        tries.append(image)
        raise error

    monkeypatch.setattr(Picture, "from_pil", refuse)
    with pytest.raises(MemoryShortageError, match="not enough memory left"):
        open_picture(data)
    assert len(tries) == 1


def test_refused_memory_for_the_file_itself() -> None:
    class Full(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise MemoryError

    with pytest.raises(MemoryShortageError):
        open_picture(Full())
