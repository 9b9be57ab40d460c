"""The way over a GPU, walked on a CPU."""

from typing import Any

import numpy as np
import pytest
import torch
from networks import NEAR_TIE, forward, narrowest_choice, network, picture, small_config
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from hpinet.engines import create_engine


class OnCPU(TorchFunctionMode):
    """Puts on the CPU whatever is sent to a GPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.device:  # making one is no work for it
            args, kwargs = tree_map(_to_cpu, (args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def _to_cpu(value: Any) -> Any:
    is_gpu = isinstance(value, torch.device) and value.type == "cuda"
    return torch.device("cpu") if is_gpu or value == "cuda" else value


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that says it is a GPU, and computes in half precision as one would."""
    autocast = torch.autocast

    def half(device: str, dtype: torch.dtype, enabled: bool = True) -> torch.autocast:
        assert (device, dtype) == ("cuda", torch.float16)
        return autocast("cpu", torch.bfloat16, enabled=enabled)

    monkeypatch.setattr(torch, "autocast", half)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Pretended GPU")


@pytest.mark.usefixtures("fake_gpu")
def test_half_precision_on_a_gpu_but_for_matching() -> None:
    model, pixels = network(small_config(3)), picture(50, 41)
    expected = forward(model, pixels)
    matched_in_half = []
    computed_in_half = []

    def note_matching(_module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        matched_in_half.append(torch.is_autocast_enabled("cpu") or inputs[0].dtype != torch.float32)

    def note_block(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        computed_in_half.append(torch.is_autocast_enabled("cpu"))

    for matcher, block in zip(model.cross_match, model.blocks, strict=True):
        matcher.norm.register_forward_hook(note_matching)  # pyright: ignore
        block.register_forward_hook(note_block)
    with OnCPU():
        engine = create_engine(model, name="torch", device="cuda", memory_mb=1)
        result = engine.upscale(pixels)

    assert engine.device == "Pretended GPU"
    assert matched_in_half
    assert not any(matched_in_half)
    assert computed_in_half
    assert all(computed_in_half)
    error = np.abs(result - expected)
    assert np.median(error) < 0.01, "what half precision costs; a wrong patch here and there is more"
    assert error.max() > 0


def test_full_precision_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a GPU beside it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    model, pixels = network(small_config(2)), picture(30, 41)
    assert narrowest_choice(model, pixels) > NEAR_TIE
    engine = create_engine(model, name="torch", device="cpu")
    assert engine.device == "CPU"
    np.testing.assert_allclose(engine.upscale(pixels), forward(model, pixels), rtol=0, atol=1e-5)
