"""What a JPEG's coefficients say of other pictures."""

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from hpinet.errors import ImageError
from hpinet.images import open_picture
from hpinet.images.coefficients import read_coefficients
from hpinet.images.degradations import blur
from hpinet.images.jpeg import segments

CAT = Image.open(Path(__file__).parents[2] / "examples/cat.png").convert("RGB")


def saved(image: Image.Image = CAT, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("quality", [95, 75, 30])
def test_the_original_explains_the_file_wholly_and_a_blurred_one_less(subsampling: str, quality: int) -> None:
    coefficients = read_coefficients(saved(quality=quality, subsampling=subsampling))
    assert coefficients is not None
    assert coefficients.explained(np.asarray(CAT)) == 1.0
    decoded = open_picture(saved(quality=quality, subsampling=subsampling)).colour
    share, blurred = coefficients.explained(decoded), coefficients.explained(blur(decoded, 1.5))
    assert share is not None
    assert blurred is not None
    assert blurred < share
    assert share > 0.99


def test_grey() -> None:
    grey = CAT.convert("L")
    coefficients = read_coefficients(saved(grey, quality=60))
    assert coefficients is not None
    assert len(coefficients.planes) == 1
    assert coefficients.explained(np.asarray(grey.convert("RGB"))) == 1.0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_compared_as_they_are_seen(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(quality=60, exif=exif)
    coefficients, seen = read_coefficients(data), open_picture(data).colour
    assert coefficients is not None
    assert (coefficients.height, coefficients.width) == seen.shape[:2]
    share = coefficients.explained(seen)
    assert share is not None
    assert share > 0.999


@pytest.mark.parametrize(("kind", "value"), [(3, 0), (3, 9), (3, 255), (2, ord("6"))])
def test_an_orientation_that_is_none_turns_nothing(kind: int, value: int) -> None:
    exif = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x0112, kind, 1, value, 0)
    data = saved(quality=60, exif=b"Exif\0\0" + exif)
    coefficients, seen = read_coefficients(data), open_picture(data).colour
    assert coefficients is not None
    share = coefficients.explained(seen)
    assert share is not None
    assert share > 0.999


@pytest.mark.parametrize(("mode", "numbers"), [("L", [1]), ("RGB", [0, 2]), ("RGB", [1, 0]), ("RGB", [2, 3])])
def test_tables_may_have_any_numbers(mode: str, numbers: list[int]) -> None:
    data = bytearray(saved(CAT.convert(mode), quality=60))
    expected = read_coefficients(bytes(data))
    assert expected is not None
    for segment in segments(bytes(data)):
        if segment.marker == 0xDB:
            data[segment.start + 4] = numbers[data[segment.start + 4]]
        elif segment.marker == 0xC0:
            for component in range(len(expected.planes)):
                at = segment.start + 12 + 3 * component
                data[at] = numbers[data[at]]
    coefficients = read_coefficients(bytes(data))
    assert coefficients is not None
    seen = open_picture(bytes(data)).to_8_bit_rgb()
    assert coefficients.explained(seen) == expected.explained(seen)


def test_what_cannot_be_held_to_it() -> None:
    file = io.BytesIO()
    CAT.save(file, "PNG")
    assert read_coefficients(file.getvalue()) is None
    assert read_coefficients(bytes(imagecodecs.jpegxl_encode(np.asarray(CAT)))) is None  # which Pillow does not know
    assert read_coefficients(saved(CAT.resize((12, 40)))) is None  # less than two blocks
    assert read_coefficients(saved(subsampling="4:2:2")) is None
    assert read_coefficients(saved(CAT.convert("CMYK"))) is None
    finest = read_coefficients(saved(quality=100))
    assert finest is not None
    assert finest.explained(np.asarray(CAT)) is None


def test_damage_is_an_image_error() -> None:
    with pytest.raises(ImageError, match="damaged"):
        read_coefficients(saved()[:2000])


def test_what_could_be_opened_is_not_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    assert read_coefficients(saved()) is not None
