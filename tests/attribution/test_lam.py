"""Local attribution maps against cases worked out by hand, and against the definition written as a loop."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from torch import Tensor, nn

from hpinet.attribution.lam import (
    FULL,
    QUICK,
    BlurPath,
    Window,
    attribute,
    contribution_area,
    diffusion_index,
    gradient_detector,
    level_holding,
    radius_holding,
)
from hpinet.errors import Cancelled, MemoryShortageError, OptionError
from hpinet.model import HPINet

from .conftest import EXAMPLES, SCALE, Bicubic, Convolutions


class RowMean(nn.Module):
    """Linear: every row of the output is the mean row of the input, each pixel repeated."""

    def forward(self, x: Tensor) -> Tensor:
        height = x.shape[-2]
        return x.mean(-2, keepdim=True).repeat_interleave(SCALE, -1).repeat(1, 1, SCALE * height, 1)


def naive_blur(picture: np.ndarray, sigma: float, side: int = 9) -> np.ndarray:
    """(C, H, W) float64, one kernel in two dimensions, border pixels not repeated (OpenCV's default)."""
    r = side // 2
    distance = np.arange(-r, r + 1.0)
    kernel = np.exp(-(distance[:, None] ** 2 + distance**2) / (2 * max(sigma, 1e-5) ** 2))
    padded = np.pad(picture, ((0, 0), (r, r), (r, r)), mode="reflect")
    views = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return (views * (kernel / kernel.sum())).sum((-2, -1))


def naive_attribution(model: nn.Module, picture: Tensor, window: Window, *, steps: int, place: float) -> np.ndarray:
    """The path integral in float64, step by step; gradients at ``place`` of each step, 0 its start and 1 its end."""
    model, x = model.double(), picture[0].double().numpy()
    sigmas = np.linspace(1.2, 0, steps + 1)
    total = np.zeros_like(x)
    for start, end in pairwise(sigmas):
        point = torch.from_numpy(naive_blur(x, start + place * (end - start)))[None].requires_grad_(True)
        y = model(point)[..., window.top :, window.left :]
        down, right = y[..., :-1, :-1] - y[..., 1:, :-1], y[..., :-1, :-1] - y[..., :-1, 1:]
        objective = (down**2 + right**2).sqrt()[..., : window.size, : window.size].sum()
        (gradient,) = torch.autograd.grad(objective, point)
        total += gradient[0].numpy() * (naive_blur(x, end) - naive_blur(x, start))
    model.float()
    return total


# ------------------------------------------------------------------------------------------------------- attributions


@pytest.mark.parametrize(("rule", "place"), [("midpoint", 0.5), ("published", 1.0)])
def test_matches_the_definition(rule: str, place: float, convolutions: Convolutions, noise: Tensor) -> None:
    picture, window = noise[:, :1], Window(50, 60, 16)
    path = BlurPath(steps=7, rule=rule)  # pyright: ignore[reportArgumentType]
    values = attribute(convolutions, picture, window, path=path).values
    expected = naive_attribution(convolutions, picture, window, steps=7, place=place)
    np.testing.assert_allclose(values, expected, atol=1e-4 * np.abs(expected).max())


def test_of_a_linear_network_are_its_coefficients_times_the_change() -> None:
    # Where the row rises everywhere the gradient magnitudes are plain differences, which telescope.
    picture = torch.sigmoid(torch.arange(-17, 23) / 0.8).expand(1, 1, 30, 40).contiguous()
    window = Window(61, 20, 16)
    found = attribute(RowMean().eval(), picture, window, path=BlurPath(steps=3))

    coefficients = np.zeros((30, 40))  # F(x) = size * (mean of column 77//4 - mean of column 61//4)
    coefficients[:, 77 // SCALE] += window.size / 30
    coefficients[:, 61 // SCALE] -= window.size / 30
    change = picture[0, 0].numpy() - naive_blur(picture[0].numpy(), 1.2)[0]
    np.testing.assert_allclose(found.values[0], coefficients * change, atol=1e-6)
    assert found.completeness_error < 1e-3


def test_of_bicubic_enlargement_stay_within_its_kernel(bicubic: Bicubic, noise: Tensor) -> None:
    window = Window.around(20, 18, scale=SCALE, shape=(40, 44), size=16)
    strength = attribute(bicubic, noise, window, path=QUICK).strength

    def taps(first: int) -> slice:
        """Input pixels that the 17 output pixels from ``first`` on are made of."""
        return slice(math.floor((first + 0.5) / SCALE - 0.5) - 1, math.floor((first + 16.5) / SCALE - 0.5) + 3)

    support = np.zeros(strength.shape, bool)
    support[taps(window.top), taps(window.left)] = True
    assert (strength[~support] == 0).all()
    assert np.count_nonzero(strength[support]) > 0.9 * support.sum()


@pytest.mark.parametrize("memory_mb", [1, 40, 4000])
def test_do_not_depend_on_how_many_steps_run_together(memory_mb: int, untrained: HPINet, noise: Tensor) -> None:
    picture, window, path = noise[..., :24, :26], Window(40, 30), BlurPath(steps=5)
    together = attribute(untrained, picture, window, path=path, memory_mb=memory_mb).values
    one_by_one = attribute(untrained, picture, window, path=path, memory_mb=0).values
    np.testing.assert_allclose(together, one_by_one, atol=1e-5 * np.abs(one_by_one).max())


@pytest.mark.slow
@pytest.mark.parametrize(("path", "bound"), [(QUICK, 0.10), (FULL, 0.05)])
def test_add_up_on_a_trained_network(path: BlurPath, bound: float, bundled: HPINet) -> None:
    with Image.open(EXAMPLES / "text.png") as image:
        letters = np.array(image.convert("RGB").crop((86, 82, 114, 110)))
    picture = torch.from_numpy(letters).permute(2, 0, 1)[None].float() / 255
    found = attribute(bundled, picture, Window.around(14, 14, scale=SCALE, shape=(28, 28)), path=path)
    assert found.completeness_error <= bound
    assert found.gained_detail > 1
    assert 0 < found.diffusion_index < 50


def test_leave_the_model_as_it_was(untrained: HPINet, noise: Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in untrained.state_dict().items()}
    attribute(untrained, noise, Window(70, 80), path=BlurPath(steps=1))
    assert all(parameter.grad is None for parameter in untrained.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in untrained.state_dict().items())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_are_the_same_where_the_caller_takes_no_gradients(
    mode: type[torch.no_grad | torch.inference_mode], convolutions: Convolutions, noise: Tensor
) -> None:
    window, path = Window(50, 60), BlurPath(steps=2)
    expected = attribute(convolutions, noise[:, :1], window, path=path).values
    with mode():
        picture = noise[:, :1].clone()
        assert picture.is_inference() == (mode is torch.inference_mode)
        np.testing.assert_array_equal(attribute(convolutions, picture, window, path=path).values, expected)
        assert not torch.is_grad_enabled()


class Failing(nn.Module):
    """Says ``words`` as soon as gradients are taken."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            raise RuntimeError(self.words)
        return Bicubic()(x)


def test_say_in_a_sentence_that_memory_is_refused(noise: Tensor) -> None:
    refused = "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"
    with pytest.raises(MemoryShortageError, match="a smaller region or picture"):
        attribute(Failing(refused).eval(), noise, Window(50, 60), path=QUICK)
    with pytest.raises(RuntimeError, match="a defect"):
        attribute(Failing("a defect").eval(), noise, Window(50, 60), path=QUICK)


def test_report_progress_and_can_be_stopped(convolutions: Convolutions, noise: Tensor) -> None:
    told: list[tuple[int, int]] = []
    attribute(
        convolutions, noise[:, :1], Window(5, 5), path=QUICK, memory_mb=0, progress=lambda *counts: told.append(counts)
    )
    done, totals = zip(*told, strict=True)
    assert done[0] == 0
    assert done[-1] == totals[0]
    assert len(set(totals)) == 1
    assert list(done) == sorted(done)

    def stop(done: int, _total: int) -> None:
        if done > 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        attribute(convolutions, noise[:, :1], Window(5, 5), path=QUICK, memory_mb=0, progress=stop)


def test_of_a_flat_picture_are_nothing(bicubic: Bicubic) -> None:
    found = attribute(bicubic, torch.full((1, 3, 20, 20), 0.5), Window(30, 30), path=QUICK)
    assert not found.values.any()
    assert found.completeness_error == math.inf


def test_refuse_what_cannot_be_explained(bicubic: Bicubic, noise: Tensor) -> None:
    with pytest.raises(ValueError, match="eval"):
        attribute(Bicubic().train(), noise, Window(0, 0))
    with pytest.raises(OptionError, match="does not fit"):
        attribute(bicubic, noise, Window(170, 0))  # its gradient would need pixel 186 of 176
    with pytest.raises(OptionError, match="5×5"):
        attribute(bicubic, noise[..., :4], Window(0, 0, 4))


# ---------------------------------------------------------------------------------------------------- path and window


def test_blur_matches_the_definition(noise: Tensor) -> None:
    sigmas = [1.2, 0.5, 0.0]
    found = FULL.blur(noise, torch.tensor(sigmas))
    for sigma, blurred in zip(sigmas, found, strict=True):
        np.testing.assert_allclose(blurred.numpy(), naive_blur(noise[0].double().numpy(), sigma), atol=1e-6)
    assert torch.equal(found[-1:], noise)


def test_steps_lead_from_the_blurred_to_the_sharp_picture(noise: Tensor) -> None:
    points, moves = FULL.steps_of(noise)
    start = FULL.blur(noise, torch.tensor([FULL.sigma]))
    torch.testing.assert_close(start + moves.sum(0), noise)
    assert 40 < len(points) == len(moves) < 50  # the narrowest blurs move nothing


@pytest.mark.parametrize("values", [{"steps": 0}, {"sigma": 0}, {"kernel": 8}, {"kernel": 1}])
def test_a_path_must_make_sense(values: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        BlurPath(**values)


def test_gradient_detector_matches_the_definition_and_has_a_derivative_where_it_is_flat() -> None:
    y = torch.zeros(2, 1, 6, 6)
    y[0, 0, 2, 3] = 1  # differs from three pixels: those left and above by one, itself by two
    assert gradient_detector(y, Window(0, 0, 5)).tolist() == pytest.approx([1 + 1 + math.sqrt(2), 0])
    flat = torch.zeros(1, 1, 6, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(gradient_detector(flat, Window(0, 0, 5)).sum(), flat)
    assert not gradient.any()


def test_window_is_centred_and_stays_inside() -> None:
    assert Window.around(10, 20, scale=4, shape=(40, 40), size=16) == (34, 74, 16)
    assert Window.around(0, 39, scale=4, shape=(40, 40), size=16) == (0, 143, 16)
    with pytest.raises(OptionError, match="outside"):
        Window.around(40, 3, scale=4, shape=(40, 40))
    with pytest.raises(OptionError, match="does not fit"):
        Window.around(1, 1, scale=2, shape=(8, 8), size=16)


# ----------------------------------------------------------------------------------------------- summaries of a map

MAPS = arrays.arrays(
    np.float32, arrays.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12), elements=st.floats(0, 1, width=32)
)


def test_diffusion_index_of_a_point_and_of_an_even_map() -> None:
    point = np.zeros((10, 20))
    point[3, 4] = 7
    assert diffusion_index(point) == pytest.approx(100 / 200)
    assert diffusion_index(np.full((10, 20), 0.3)) == pytest.approx(100)
    half = np.repeat([0.0, 1.0], 50)
    assert diffusion_index(half) == pytest.approx(50)
    with pytest.raises(ValueError, match="zero"):
        diffusion_index(np.zeros(3))
    with pytest.raises(ValueError, match="negative"):
        diffusion_index(np.array([-1.0, 1.0]))


@given(MAPS)
def test_diffusion_index_is_one_minus_the_mean_difference(values: np.ndarray) -> None:
    if not values.any():
        return
    wide = values.astype(float).ravel()
    gini = np.abs(wide[:, None] - wide).mean() / (2 * wide.mean())
    assert diffusion_index(values) == pytest.approx(100 * (1 - gini), abs=1e-6)


def test_contribution_area_is_the_kernel_density_estimate() -> None:
    strength = np.random.default_rng(5).random((14, 17)) ** 8
    weights = (strength / strength.sum()).ravel()
    points = np.indices(strength.shape).reshape(2, -1)
    effective = 1 / (weights**2).sum()
    covariance = np.cov(points, aweights=weights) + np.eye(2) / 12
    inverse = np.linalg.inv(covariance * effective ** (-1 / 3))
    offsets = points[:, :, None] - points[:, None, :]
    density = np.exp(-0.5 * np.einsum("iab,ij,jab->ab", offsets, inverse, offsets)) @ weights
    np.testing.assert_allclose(contribution_area(strength).ravel(), density / density.max(), atol=1e-9)


def test_contribution_area_of_one_pixel_is_there() -> None:
    strength = np.zeros((9, 11), np.float32)
    strength[2, 7] = 0.4
    area = contribution_area(strength)
    assert np.unravel_index(area.argmax(), area.shape) == (2, 7)
    assert area.sum() < 2
    with pytest.raises(ValueError, match="Nothing"):
        contribution_area(np.zeros((3, 3)))


@given(MAPS, st.sampled_from([0.5, 0.9, 1.0]))
def test_level_holds_its_share_and_no_higher_one_does(values: np.ndarray, share: float) -> None:
    if not values.any():
        return
    level = level_holding(values, share)
    total = values.sum(dtype=np.float64)
    assert values[values >= level].sum(dtype=np.float64) >= share * total - 1e-9
    assert values[values > level].sum(dtype=np.float64) < share * total


def test_radius_holds_its_share() -> None:
    strength = np.zeros((21, 21))
    strength[10, 10], strength[10, 13], strength[4, 2] = 5, 4, 1
    assert radius_holding(strength, 10, 10, 0.5) == 0
    assert radius_holding(strength, 10, 10, 0.9) == 3
    assert radius_holding(strength, 10, 10, 0.95) == 10
