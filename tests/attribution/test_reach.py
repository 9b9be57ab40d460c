"""Receptive field and the price of tiles, on an enlargement whose reach is known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from hpinet.attribution.reach import TilingCost, psnr_loss, receptive_field, tiling_cost
from hpinet.errors import Cancelled, OptionError
from hpinet.model import HPINet

from .conftest import SCALE, Bicubic


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (50, 70, 3), np.uint8)


def enlarge(pixels: np.ndarray) -> np.ndarray:
    """Bicubic, as an engine would."""
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    return Bicubic()(x)[0].clamp(0, 255).round().byte().permute(1, 2, 0).numpy()


def test_receptive_field_of_bicubic_is_its_kernel(bicubic: Bicubic, noise: Tensor) -> None:
    field = receptive_field(bicubic, noise, x=12, y=30)
    rows, columns = np.nonzero(field)
    # The pixel right of and below the middle of (12, 30): taps from one before to two after.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (29, 32, 11, 14)
    assert field.argmax() == 30 * 44 + 12


def test_receptive_field_of_ours_is_the_picture(untrained: HPINet, noise: Tensor) -> None:
    field = receptive_field(untrained, noise)
    assert np.count_nonzero(field[:12]) > 0
    assert np.count_nonzero(field) > 0.5 * field.size
    assert np.unravel_index(field.argmax(), field.shape)[0] in range(16, 25)
    with pytest.raises(OptionError, match="outside"):
        receptive_field(untrained, noise, x=44, y=0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_receptive_field_is_the_same_where_the_caller_takes_no_gradients(
    mode: type[torch.no_grad | torch.inference_mode], bicubic: Bicubic, noise: Tensor
) -> None:
    expected = receptive_field(bicubic, noise)
    with mode():
        np.testing.assert_array_equal(receptive_field(bicubic, noise.clone()), expected)


def test_tiles_with_enough_context_cost_nothing(pixels: np.ndarray) -> None:
    cost = tiling_cost(enlarge, pixels, scale=SCALE, tile=32, overlap=3, truth=enlarge(pixels))
    assert cost.psnr_between == math.inf
    assert not cost.difference.any()
    assert cost.psnr_lost == 0
    assert cost.in_words().endswith(
        "0% of the pixels of the result differ, by up to 0 grey levels: PSNR-Y sees none of it. "
        "Against the truth tiling loses nothing."
    )


@pytest.mark.parametrize(("truth", "lost", "equal"), [(10, math.inf, "whole"), (90, -math.inf, "tiled")])
def test_one_that_equals_the_truth_is_named(truth: int, lost: float, equal: str) -> None:
    whole, tiled, expected = (np.full((20, 20, 3), level, np.uint8) for level in (10, 90, truth))
    cost = TilingCost(whole, tiled, 8, 0, 10.0, psnr_loss(whole, tiled, expected, scale=2))
    assert cost.psnr_lost == lost
    assert f"the {equal} result equals the truth" in cost.in_words()
    assert "inf" not in cost.in_words()


def test_tiles_without_context_show_at_their_seams(pixels: np.ndarray) -> None:
    truth = enlarge(pixels)
    truth[0, 0] ^= 1
    cost = tiling_cost(enlarge, pixels, scale=SCALE, tile=32, overlap=0, truth=truth)
    rows, columns = np.nonzero(cost.difference)
    seam = 32 * SCALE
    near = (np.abs(rows - seam + 0.5) < 2 * SCALE) | (np.abs(columns - seam + 0.5) < 2 * SCALE)
    near |= np.abs(columns - 2 * seam + 0.5) < 2 * SCALE
    assert len(rows) > 0
    assert near.all()
    assert cost.psnr_between < 60
    assert str(cost.difference.max()) in cost.in_words()


def test_tiles_report_progress_and_can_be_stopped(pixels: np.ndarray) -> None:
    told: list[tuple[int, int]] = []
    tiling_cost(enlarge, pixels, scale=SCALE, tile=32, progress=lambda *counts: told.append(counts))
    assert told == [(n, 7) for n in range(8)]

    def stop(done: int, _total: int) -> None:
        if done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        tiling_cost(enlarge, pixels, scale=SCALE, tile=32, progress=stop)


@pytest.mark.parametrize(("tile", "overlap"), [(70, 0), (0, 0), (8, -1)])
def test_tiles_must_make_sense(tile: int, overlap: int, pixels: np.ndarray) -> None:
    with pytest.raises(OptionError):
        tiling_cost(enlarge, pixels, scale=SCALE, tile=tile, overlap=overlap)


def test_what_cannot_be_compared_is_told_before_the_work(pixels: np.ndarray) -> None:
    def work(_: np.ndarray) -> np.ndarray:
        raise AssertionError("the work has begun")

    with pytest.raises(OptionError, match=f"smaller than the result, {70 * SCALE}×{50 * SCALE}"):
        tiling_cost(work, pixels, scale=SCALE, tile=32, truth=enlarge(pixels)[:, :-1])
    with pytest.raises(OptionError, match="too small"):
        tiling_cost(work, pixels[:2], scale=SCALE, tile=32)
