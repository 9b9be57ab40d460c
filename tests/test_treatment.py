"""Treatments: what is found in a picture, and what is done about it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpinet.errors import OptionError
from hpinet.images import Picture, open_picture
from hpinet.images.compression import Compression
from hpinet.images.degradations import as_jpeg, degrade
from hpinet.treatment import GUESSED_QUALITY, USUAL_QUALITY, check_treatment, examine, quality_to_treat

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.asarray(Image.open(EXAMPLES / "cat.png").convert("RGB"))


def test_names() -> None:
    assert check_treatment("auto") == "auto"
    for name in ("Auto", "", None, 1):
        with pytest.raises(OptionError, match="one of auto, photo, clean"):
            check_treatment(name)


@pytest.mark.parametrize(
    ("found", "auto", "photo"),
    [
        (None, None, USUAL_QUALITY),
        (Compression("JPEG", 90, "4:2:0"), 90, 90),
        (Compression("JPEG", 30), 30, 30),
        (Compression("JPEG", 90, earlier=60), 60, 60),
        (Compression("JPEG", 80, from_pixels=True), 80, 80),
        (Compression("WEBP", None), GUESSED_QUALITY, GUESSED_QUALITY),
    ],
)
def test_what_a_picture_is_treated_for(found: Compression | None, auto: int | None, photo: int | None) -> None:
    assert quality_to_treat(found, "auto") == auto
    assert quality_to_treat(found, "photo") == photo
    assert quality_to_treat(found, "clean") is None


def test_files_tell(photograph: np.ndarray) -> None:
    assert examine(degrade(photograph, "jpeg-75")) == Compression("JPEG", 75, "4:2:0")
    assert examine(degrade(photograph, "webp-60")) == Compression("WEBP", None)
    assert examine(Picture(photograph)) is None


@pytest.mark.parametrize("quality", [1, 5, 10, 17, 18, 19, 20])
def test_files_of_very_poor_quality_tell_too(photograph: np.ndarray, quality: int) -> None:
    found = examine(degrade(photograph, f"jpeg-{quality}"))
    assert found is not None
    assert found.quality is not None
    assert abs(found.quality - quality) <= 1


def test_pixels_tell_where_the_file_does_not(photograph: np.ndarray) -> None:
    assert examine(degrade(photograph, "former-jpeg-75")) == Compression("JPEG", 75, from_pixels=True)


def test_an_earlier_and_worse_save_is_found_behind_the_last(photograph: np.ndarray) -> None:
    found = examine(degrade(as_jpeg(photograph, 50), "jpeg-92"))
    assert found is not None
    assert (found.quality, found.earlier) == (92, 51)  # whose steps are those of 50 where it is looked
    assert "before that about quality 51" in str(found)


def test_what_was_seen_in_pixels_already_is_not_looked_for_again(photograph: np.ndarray) -> None:
    """A part of a picture may bring along what was found in the whole."""
    twice = degrade(as_jpeg(photograph, 50), "jpeg-92")
    for known in (Compression("JPEG", 92, from_pixels=True), Compression("JPEG", 92, earlier=60)):
        assert examine(replace(twice, compression=known)) == known


def test_what_is_found_in_a_lossless_file_is_nothing(tmp_path: Path) -> None:
    for path in EXAMPLES.glob("*.png"):
        assert examine(open_picture(path)) is None, path
