"""Degradations: what cameras, phones and web sites do to pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpinet.errors import OptionError
from hpinet.images.degradations import KERNELS, NAMED, add_noise, as_jpeg, as_webp, blur, degrade, resize, sharpen

CAT = np.asarray(Image.open(Path(__file__).parents[2] / "examples/cat.png").convert("RGB"))


def deviation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.std(one.astype(float) - other))


@pytest.mark.parametrize("save", [as_jpeg, as_webp])
def test_lower_quality_is_further_from_the_picture(save: object) -> None:
    assert callable(save)
    steps = [deviation(save(CAT, quality), CAT) for quality in (95, 75, 40, 10)]
    assert steps == sorted(steps)
    assert steps[0] > 0


def test_full_chroma_keeps_colour() -> None:
    assert deviation(as_jpeg(CAT, 90, full_chroma=True), CAT) < deviation(as_jpeg(CAT, 90), CAT)


def test_blurring_takes_contrast_away_and_sharpening_adds_some() -> None:
    def contrast(pixels: np.ndarray) -> float:
        return float(np.abs(np.diff(pixels.astype(float), axis=1)).mean())

    assert contrast(blur(CAT, 1.0)) < contrast(blur(CAT, 0.4)) < contrast(CAT)
    assert contrast(CAT) < contrast(sharpen(CAT, 0.3)) < contrast(sharpen(CAT, 1.0))


def test_noise_grows_with_light() -> None:
    random = np.random.default_rng(0)
    dark, bright = (np.full((200, 200, 3), value, np.uint8) for value in (30, 220))
    spreads = [deviation(add_noise(pixels, 8.0, random), pixels) for pixels in (dark, bright)]
    assert spreads == pytest.approx(
        [8 * np.sqrt(0.25 + 0.75 * 30 / 255), 8 * np.sqrt(0.25 + 0.75 * 220 / 255)], rel=0.05
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_resizing_keeps_the_mean(kernel: str) -> None:
    small = resize(CAT, 50, 75, kernel)  # pyright: ignore[reportArgumentType]
    assert small.shape == (50, 75, 3)
    assert small.mean() == pytest.approx(CAT.mean(), abs=0.5)


@pytest.mark.parametrize("name", NAMED)
def test_every_name_works_the_same_every_time(name: str) -> None:
    one, other = degrade(CAT, f"{name}-20"), degrade(CAT, f"{name}-20")
    np.testing.assert_array_equal(one.colour, other.colour)
    assert one.colour.shape == CAT.shape
    assert deviation(one.colour, CAT) > 0
    assert (one.compression is not None) == (name in ("jpeg", "jpeg444", "webp"))


@pytest.mark.parametrize("name", ["jpeg", "jpeg-0", "jpeg-101", "jpeg-x", "rain-5", "-5", ""])
def test_other_names_are_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(OptionError, match="choose one of jpeg-N"):
        degrade(CAT, name)
