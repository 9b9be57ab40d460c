"""Metrics against hand calculation, another implementation, and published scores."""

import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.metrics import structural_similarity

from hpinet.images import bands
from hpinet.metrics import luminance, psnr_y, ssim_y


def flat(value: int, side: int = 24) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def noise(seed: int, height: int = 40, width: int = 33) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("rgb", "y"),
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 81),  # 16 + 65.481
        ((0, 255, 0), 145),  # 16 + 128.553
        ((0, 0, 255), 41),  # 16 + 24.966
        ((128, 128, 128), 126),  # 16 + 219 * 128 / 255
    ],
)
def test_luminance_is_studio_range_rounded(rgb: tuple[int, int, int], y: int) -> None:
    assert luminance(np.array([[rgb]], np.uint8)).tolist() == [[y]]


def test_psnr_of_a_known_error() -> None:
    difference = int(luminance(flat(200))[0, 0]) - int(luminance(flat(100))[0, 0])
    assert psnr_y(flat(100), flat(200), scale=2) == pytest.approx(20 * math.log10(255 / difference))
    assert psnr_y(flat(7), flat(7), scale=2) == math.inf


def test_borders_do_not_count() -> None:
    truth = noise(0)
    framed = truth.copy()
    framed[:3], framed[-3:], framed[:, :3], framed[:, -3:] = 0, 0, 0, 0
    assert psnr_y(framed, truth, scale=3) == math.inf
    assert ssim_y(framed, truth, scale=3) == 1
    assert psnr_y(framed, truth, scale=2) < 40


def test_a_larger_truth_is_cropped_at_the_right_and_bottom() -> None:
    output, truth = noise(1, 30, 30), noise(2, 31, 32)
    assert psnr_y(output, truth, scale=2) == psnr_y(output, truth[:30, :30], scale=2)
    assert ssim_y(output, truth, scale=2) == ssim_y(output, truth[:30, :30], scale=2)


@given(seed=st.integers(0, 10_000), height=st.integers(15, 60), width=st.integers(15, 60), spread=st.integers(0, 80))
@settings(max_examples=30)
def test_ssim_is_that_of_scikit_image(seed: int, height: int, width: int, spread: int) -> None:
    rng = np.random.default_rng(seed)
    truth = noise(seed, height, width)
    output = np.clip(truth + rng.integers(-spread, spread + 1, truth.shape), 0, 255).astype(np.uint8)
    inside = slice(2, -2), slice(2, -2)
    expected = structural_similarity(
        luminance(output)[inside].astype(float),
        luminance(truth)[inside].astype(float),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim_y(output, truth, scale=2) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("height", "width"), [(60, 47), (11, 90), (90, 11)])
@pytest.mark.parametrize("pixels", [1, 100, 1000])
def test_a_band_at_a_time_gives_what_the_whole_gives(
    monkeypatch: pytest.MonkeyPatch, height: int, width: int, pixels: int
) -> None:
    output, truth = noise(5, height, width), noise(6, height, width)
    whole = luminance(output), psnr_y(output, truth, scale=0), ssim_y(output, truth, scale=0)
    monkeypatch.setattr(bands, "PIXELS", pixels)
    assert np.array_equal(luminance(output), whole[0])
    assert psnr_y(output, truth, scale=0) == whole[1]
    assert ssim_y(output, truth, scale=0) == pytest.approx(whole[2], abs=1e-12)


def test_large_pictures_take_no_more_memory() -> None:
    output, truth = noise(7, 1200, 1000), noise(8, 1200, 1000)
    tracemalloc.start()
    try:
        psnr_y(output, truth, scale=4)
        ssim_y(output, truth, scale=4)
        assert tracemalloc.get_traced_memory()[1] < 25e6
    finally:
        tracemalloc.stop()


def test_ssim_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "PIXELS", 200)
    told: list[tuple[int, int]] = []
    ssim_y(noise(1, 40, 20), noise(2, 40, 20), scale=0, progress=lambda *step: told.append(step))
    assert told == [(0, 40), (10, 40), (20, 40), (40, 40)]


@pytest.mark.parametrize(
    ("output", "truth"),
    [
        (flat(0, 30), flat(0, 24)),  # a truth that is too small
        (flat(0, 8), flat(0, 8)),  # nothing within the borders
        (flat(0).astype(np.float32), flat(0)),
        (flat(0)[..., 0], flat(0)[..., 0]),
        (flat(0)[..., :1], flat(0)[..., :1]),
    ],
)
def test_what_cannot_be_compared(output: np.ndarray, truth: np.ndarray) -> None:
    for metric in (psnr_y, ssim_y):
        with pytest.raises(ValueError, match=r"smaller|left within|\(H, W, 3\) uint8"):
            metric(output, truth, scale=4)


def test_ssim_needs_a_window() -> None:
    assert psnr_y(flat(1, 16), flat(2, 16), scale=4) > 40
    with pytest.raises(ValueError, match="11 pixels"):
        ssim_y(flat(1, 16), flat(2, 16), scale=4)


def test_scores_of_the_authors_pictures(shared: Path) -> None:
    scores = json.loads((shared / "authors" / "set5_scores.json").read_text())
    for name, expected in scores.items():
        for image, (psnr, ssim) in expected["per_image"].items():
            output = np.asarray(Image.open(shared / "authors" / "set5_outputs" / name / image))
            truth = np.asarray(Image.open(shared / "data" / "set5" / "HR" / image))
            scale = int(name[-1])
            assert psnr_y(output, truth, scale=scale) == pytest.approx(psnr, abs=0.0005), (name, image)
            assert ssim_y(output, truth, scale=scale) == pytest.approx(ssim, abs=0.00002), (name, image)


@pytest.mark.parametrize(("scale", "psnr"), [(2, 33.64), (3, 30.38), (4, 28.42)])
def test_bicubic_on_set5(shared: Path, scale: int, psnr: float) -> None:
    """Papers say 33.66, 30.39 and 28.42: they enlarge the luminance alone, from small pictures never rounded."""
    folder = shared / "data" / "set5"
    values = []
    for path in sorted((folder / "HR").glob("*.png")):
        small = Image.open(folder / "LR_bicubic" / f"X{scale}" / f"{path.stem}x{scale}.png")
        large = small.resize((scale * small.width, scale * small.height), Image.Resampling.BICUBIC)
        values.append(psnr_y(np.asarray(large), np.asarray(Image.open(path)), scale=scale))
    assert len(values) == 5
    assert np.mean(values) == pytest.approx(psnr, abs=0.005)
