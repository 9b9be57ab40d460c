"""Losses of pictures: read from the tables of their files, or found in their pixels."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hpinet.images import open_picture
from hpinet.images.compression import (
    Compression,
    compression_of_webp,
    find_former_jpeg,
    luminance_steps,
    quality_of,
)
from hpinet.images.degradations import as_jpeg
from hpinet.images.jpeg import segments
from scripts.former_jpegs import pieces

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.png"))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return pixels(next(path for path in EXAMPLES if path.stem == "astronaut"))


def encoded(array: np.ndarray, format: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, format, **options)
    return file.getvalue()


# ------------------------------------------------------------------------------------------------------ from files


@given(st.integers(1, 100), st.sampled_from(["4:2:0", "4:2:2", "4:4:4"]), st.booleans())
def test_quality_and_subsampling_are_read_back(quality: int, subsampling: str, progressive: bool) -> None:
    array = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
    data = encoded(array, quality=quality, subsampling=subsampling, progressive=progressive)
    found = open_picture(data).compression
    assert found is not None
    assert (found.format, found.subsampling) == ("JPEG", subsampling)
    assert found.quality is not None
    np.testing.assert_array_equal(luminance_steps(found.quality), luminance_steps(quality))


def test_the_tables_of_a_file_may_have_any_numbers(photograph: np.ndarray) -> None:
    data = bytearray(encoded(photograph[:64, :64], quality=60))
    expected = open_picture(bytes(data)).compression
    for segment in segments(bytes(data)):
        if segment.marker == 0xDB:
            data[segment.start + 4] ^= 1
        elif segment.marker == 0xC0:
            for component in range(3):
                data[segment.start + 12 + 3 * component] ^= 1
    assert open_picture(bytes(data)).compression == expected


def test_tables_of_others_are_given_the_nearest_quality() -> None:
    steps = luminance_steps(60)
    assert quality_of(steps + (np.indices((8, 8)).sum(0) % 2)) in range(57, 61)
    assert quality_of(np.full(64, 1)) == 100
    assert quality_of(np.full(64, 255)) < 10


def test_grey_has_no_subsampling_and_words_say_what_is_known() -> None:
    found = open_picture(encoded(np.zeros((16, 16), np.uint8), quality=72)).compression
    assert str(found) == "JPEG, about quality 72"
    assert str(Compression("JPEG", 72, "4:2:0")) == "JPEG, about quality 72, 4:2:0"
    assert str(Compression("JPEG", 72, from_pixels=True)) == "once a JPEG, about quality 72"
    assert str(Compression("WEBP", None)) == "WEBP"


def test_lossless_files_say_nothing() -> None:
    array = np.zeros((16, 16, 3), np.uint8)
    for format in ("PNG", "BMP", "TIFF", "GIF"):
        assert open_picture(encoded(array, format)).compression is None


def test_webp_says_whether_it_has_losses() -> None:
    array = np.random.default_rng(0).integers(0, 256, (16, 16, 4), np.uint8)
    for frames in ([], [Image.fromarray(255 - array)]):
        for alpha in (4, 3):
            for lossless in (True, False):
                data = encoded(
                    array[..., :alpha], "WEBP", lossless=lossless, append_images=frames, save_all=bool(frames)
                )
                assert open_picture(data).compression == (None if lossless else Compression("WEBP", None))
    assert compression_of_webp(b"RIFF\0\0\0\0WEBPVP8") is None
    lossless = encoded(array, "WEBP", lossless=True)
    assert compression_of_webp(lossless + bytes(8) + b"VP8 \0\0\0\0") is None  # what was put behind the end


# ----------------------------------------------------------------------------------------------------- from pixels


@pytest.mark.parametrize("quality", [95, 90, 75, 50, 30])
@pytest.mark.parametrize("corner", [(0, 0), (3, 5)])
def test_a_former_jpeg_is_found_wherever_its_grid_begins(
    photograph: np.ndarray, quality: int, corner: tuple[int, int]
) -> None:
    saved = as_jpeg(photograph, quality)[corner[0] :, corner[1] :]
    found = find_former_jpeg(saved)
    assert found is not None
    assert found.from_pixels
    assert found.quality == pytest.approx(quality, abs=1)  # neighbours share the steps that are looked at


@pytest.mark.parametrize("kind", ["grey", "deep"])
def test_in_any_kind_of_picture(photograph: np.ndarray, kind: str) -> None:
    saved = as_jpeg(photograph, 75)
    if kind == "grey":
        saved = np.asarray(Image.open(io.BytesIO(encoded(photograph[..., 1], quality=75))))[..., None]
    else:
        saved = saved.astype(np.uint16) * 257
    found = find_former_jpeg(saved)
    assert found is not None
    assert found.quality == 75


def test_resizing_hides_it(photograph: np.ndarray) -> None:
    saved = Image.fromarray(as_jpeg(photograph, 60))
    assert find_former_jpeg(np.asarray(saved.resize((saved.width * 2 // 3, saved.height * 2 // 3)))) is None


def test_small_pictures_are_not_accused(photograph: np.ndarray) -> None:
    for side in (1, 8, 15, 16, 24):
        assert find_former_jpeg(photograph[:side, :side]) is None


def clean_pictures() -> dict[str, np.ndarray]:
    """What was never a JPEG, drawn things with patterns of 8 among them."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    drawn = {
        "noise": random.integers(0, 256, (256, 256), np.uint8),
        "gradient": ((x + y) // 4).astype(np.uint8),
        "board": (255 * ((x // 8 + y // 8) % 2)).astype(np.uint8),
        "wave": (127 + 100 * np.sin(x * 0.3) * np.cos(y * 0.2)).astype(np.uint8),
        "a wave of a block": (127 + 100 * np.cos((2 * (x % 8) + 1) * np.pi / 16)).astype(np.uint8),
        "stars": (255 * (random.random((256, 256)) < 0.002)).astype(np.uint8),
        "dots": (255 * (random.random((256, 256)) < np.sin(x / 40) ** 2)).astype(np.uint8),
    }
    found = {name: array[..., None] for name, array in drawn.items()}
    for factor in (2, 3, 4, 8):
        art = random.integers(0, 256, (60, 60, 3), np.uint8)
        found[f"pixel art x{factor}"] = art.repeat(factor, 0).repeat(factor, 1)
    for path in EXAMPLES:
        array = pixels(path)
        found[path.stem] = array
        found[f"{path.stem}, enlarged"] = array.repeat(2, 0).repeat(2, 1)
        image = Image.fromarray(array)
        found[f"{path.stem}, dithered"] = np.asarray(image.convert("P", palette=Image.Palette.ADAPTIVE).convert("RGB"))
        found[f"{path.stem}, reduced"] = np.asarray(image.reduce(2))
    return found


def test_clean_pictures_are_not_accused() -> None:
    accused = {name: find_former_jpeg(array) for name, array in clean_pictures().items()}
    assert {name for name, found in accused.items() if found} == set()


@pytest.mark.slow
def test_false_alarms_are_under_one_in_a_hundred(shared: Path) -> None:
    """250 clean pictures, a piece of each at three sizes."""
    alarms = [find_former_jpeg(piece) is not None for piece in pieces([shared / "data/train"])]
    assert len(alarms) >= 700
    assert np.mean(alarms) < 0.01


def test_twelve_megapixels_take_no_time(photograph: np.ndarray) -> None:
    """Tables and grid together within 50 ms; other work on the machine must not make this fail."""
    data = encoded(np.asarray(Image.fromarray(photograph).resize((4000, 3000))), quality=80)
    picture = open_picture(data)
    took = []
    for _ in range(5):
        began = time.process_time()
        with Image.open(io.BytesIO(data)) as image:
            quality_of(np.array(image.quantization[0]))  # pyright: ignore[reportAttributeAccessIssue]
        find_former_jpeg(picture.colour)
        took.append(time.process_time() - began)
    assert min(took) < 0.05
