"""Picture files that are written: they open again as the same pictures."""

import io
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hpinet.errors import ImageError, OptionError
from hpinet.images import (
    Metadata,
    MetadataChoice,
    Picture,
    check_size,
    encode_picture,
    open_picture,
    save_picture,
)
from hpinet.images.exif import Entry, Exif
from hpinet.images.formats import WRITABLE
from hpinet.images.metadata import CHOICES
from hpinet.images.writing import format_of

from .samples import (
    ADOBE_RGB,
    FORMATS,
    GREY_22,
    assert_same,
    noise,
    pictures,
    pillow_file,
    png_chunks,
    smooth,
)


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

    @pytest.mark.parametrize("quality", [50, 90, 95, 100])
    @pytest.mark.parametrize("colours", [2, 256], ids=["dithered", "noise"])
    def test_jpeg_of_noise(self, colours, quality):
        """At high quality its file is larger than the buffer in which Pillow optimizes one."""
        values = np.linspace(0, 255, colours).astype(np.uint8)
        picture = Picture(values[np.random.default_rng(0).integers(0, colours, (256, 320, 3))])
        again = open_picture(encode_picture(picture, "JPEG", quality=quality))
        assert (again.width, again.height) == (320, 256)
        if quality == 100:
            assert np.abs(again.colour.astype(int) - picture.colour).max() <= 8

    @pytest.mark.parametrize("width", [1, 2, 300])
    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_png_of_noise(self, width, channels, dtype):
        """In narrow pictures the bytes before each row count."""
        picture = Picture.from_array(noise(20_000 // width, width, channels, dtype=dtype))
        assert_same(open_picture(encode_picture(picture)), picture)

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
        with pytest.raises(ImageError, match="65,500"):
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

    @pytest.mark.parametrize("known", WRITABLE, ids=lambda known: known.name)
    def test_the_table_of_formats_tells_the_truth(self, known):
        """Depth, alpha, profile and metadata that it says are written come back, and no others."""
        said = Metadata(
            Exif("<", (Entry(271, 2, b"Maker\0"),)).to_bytes(), b"<a/>", b"\x1c\2\5\0\1x", (100, 100), (30, 20)
        )
        for dtype in (np.uint8, np.uint16):
            alpha = noise(20, 30, dtype=dtype)
            picture = Picture(noise(20, 30, 3, dtype=dtype), alpha, ADOBE_RGB, metadata=said)
            again = open_picture(encode_picture(picture, known.name, metadata="keep"))
            assert again.depth == max(bits for bits in known.written_bits if bits <= picture.depth)
            assert (again.alpha is not None) == known.has_alpha
            assert (again.icc_profile == ADOBE_RGB) == (known.profile == "kept")
            found = again.metadata
            kept = {"EXIF": found.exif, "XMP": found.xmp, "IPTC": found.iptc, "dpi": found.dpi}
            assert {name for name, value in kept.items() if value} == set(known.metadata)
        with pytest.raises(ImageError, match="at most") if known.longest_side < 2**31 - 1 else nullcontext():
            check_size(min(known.longest_side + 1, 100_000), 1, known.name)
        check_size(min(known.longest_side, 100_000), 1, known.name)


@pytest.mark.slow
def test_every_file_that_is_written_opens_again(capsys: pytest.CaptureFixture[str]) -> None:
    """With our own limits, whatever the picture and what is kept with it."""
    counts: Counter[str] = Counter()

    @settings(max_examples=600, deadline=None, derandomize=True, database=None)
    @given(
        pictures(),
        st.sampled_from([known.name for known in WRITABLE]),
        st.sampled_from(CHOICES),
        st.builds(Metadata, st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40)),
        st.sampled_from([0, 0, 0, 70_000, 1_500_000]),
        st.integers(1, 100),
    )
    def check(  # noqa: PLR0917 (as drawn)
        picture: Picture, format: str, choice: MetadataChoice, said: Metadata, padding: int, quality: int
    ) -> None:
        if picture.icc_profile and padding:
            size = len(picture.icc_profile) + padding
            profile = size.to_bytes(4, "big") + picture.icc_profile[4:] + bytes(padding)
            picture = replace(picture, icc_profile=profile)
        picture = replace(picture, metadata=replace(said, size=(1, 1)))
        again = open_picture(encode_picture(picture, format, quality=quality, metadata=choice))
        assert (again.width, again.height) == (picture.width, picture.height)
        assert not again.notes
        if format in ("PNG", "TIFF"):
            assert_same(again, picture)
        if not picture.is_grey:
            assert again.icc_profile == picture.icc_profile
        counts[format] += 1

    check()
    with capsys.disabled():
        print(f"\nRound trip: {sum(counts.values())} files opened again, 0 did not: {dict(counts)}")
