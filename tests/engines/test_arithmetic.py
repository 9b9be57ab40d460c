"""The arithmetic by which work is measured."""

import pytest
import torch
from networks import network, small_config
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hpinet.attribution.lam import _counting_kept_bytes
from hpinet.engines import arithmetic
from hpinet.engines.arithmetic import expected_megabytes, expected_megabytes_of_gradients
from hpinet.model import SCALES, HPINet, HPINetConfig, variant_config

# TFLOP per LR megapixel of a very large picture, matching aside, by variant and for the scales 2, 3 and 4.
PER_MEGAPIXEL = {"T": (0.81, 0.91, 1.13), "S": (2.25, 2.41, 2.74), "M": (3.62, 3.92, 4.56), "L": (5.40, 5.79, 6.62)}


def counted(config: HPINetConfig, height: int, width: int) -> int:
    """What PyTorch counts while the network runs."""
    model = network(config)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(torch.rand(1, 3, height, width))
    return counter.get_total_flops()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 27), (50, 43)])
def test_every_operation_is_counted(scale: int, height: int, width: int) -> None:
    config = small_config(scale, qk_dim=8)  # as wide as dim: PyTorch would pad it with zeros, and count those
    # Of a single patch nothing is matched, which `arithmetic` does not care about.
    unmatched = 2 * config.dim if (height, width) == (8, 8) else 0
    assert arithmetic(config, height, width).total == counted(config, height, width) + unmatched


def test_sides_under_the_minimum_count_as_padded() -> None:
    config = small_config(2, qk_dim=8)
    assert arithmetic(config, 1, 30) == arithmetic(config, 8, 30)
    assert arithmetic(config, 1, 30).total == counted(config, 1, 30)


def test_memory_of_thin_pictures_is_that_of_padded_ones() -> None:
    config = variant_config("T", 4)
    thin, padded = (expected_megabytes(config, height, 60_000) for height in (1, config.minimum_size))
    result = 6 * config.scale**2 * 60_000 / 1e6
    assert thin - result == pytest.approx(padded - config.minimum_size * result)


def test_memory_of_a_self_ensemble() -> None:
    """One result and the sum of all in float32 instead of 16 bits, and two more copies of the picture."""
    config = variant_config("T", 4)
    plain, ensemble = (expected_megabytes(config, 1000, 1000, self_ensemble=chosen) for chosen in (False, True))
    assert ensemble - plain == pytest.approx((4 + 4 - 2) * 3 * 16 + 2 * 4 * 3)


@pytest.mark.parametrize("variant", PER_MEGAPIXEL)
@pytest.mark.parametrize("scale", SCALES)
def test_operations_of_a_megapixel(variant: str, scale: int) -> None:
    side = 20_000
    parts = arithmetic(variant_config(variant, scale), side, side)
    expected = PER_MEGAPIXEL[variant][SCALES.index(scale)]
    assert (parts.total - parts.matching) / side**2 / 1e6 == pytest.approx(expected, abs=0.0051)


def test_matching_grows_with_the_square_of_the_picture() -> None:
    config = variant_config("M", 4)
    small, large = arithmetic(config, 1000, 1000), arithmetic(config, 2000, 2000)
    assert large.matching / small.matching == pytest.approx(16, rel=0.02)
    assert large.upsampler / small.upsampler == 4
    assert large.convolutions / small.convolutions == 4
    assert large.total == large.matching + large.transformer + large.convolutions + large.upsampler


@pytest.mark.parametrize(("variant", "side"), [("T", 48), ("T", 96), ("M", 48)])
def test_memory_of_gradients(variant: str, side: int) -> None:
    """A quarter more than is kept, as a process grows by, and not much beyond."""
    model = HPINet(variant_config(variant, 4)).eval()
    with _counting_kept_bytes() as kept:
        model(torch.rand(1, 3, side, side, requires_grad=True))
    told = expected_megabytes_of_gradients(model.config, side, side)
    assert 1.2 < told / (sum(kept.values()) / 1e6) < 1.5
