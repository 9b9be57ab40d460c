"""ComfyUI's node, without spandrel: `test_spandrel` has it with it, in a process of its own."""

import logging
import sys
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
import torch

from hpinet import Upscaler

NODE = "hpinet.integrations.comfyui"
REGISTRATION = "hpinet.integrations.spandrel"


@pytest.fixture
def comfyui(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the node where spandrel is not installed."""
    return imported(monkeypatch, None)


def imported(monkeypatch: pytest.MonkeyPatch, registration: ModuleType | None) -> ModuleType:
    """The module of the node, imported anew."""
    monkeypatch.setitem(sys.modules, REGISTRATION, registration)
    monkeypatch.delitem(sys.modules, NODE, raising=False)
    return import_module(NODE)


def test_spandrel_may_be_missing(comfyui: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    assert comfyui.NODE_CLASS_MAPPINGS
    assert not caplog.records


@pytest.mark.parametrize("kind", [RuntimeError, AttributeError])
def test_the_node_is_there_where_spandrel_does_not_load(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def install() -> None:
        raise kind("operator torchvision::nms does not exist\n(of several lines)")

    broken = ModuleType(REGISTRATION)
    broken.install = install  # pyright: ignore[reportAttributeAccessIssue]
    with caplog.at_level(logging.WARNING):
        assert imported(monkeypatch, broken).NODE_CLASS_MAPPINGS
    (record,) = caplog.records
    assert "torchvision::nms" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_an_empty_batch_stays_empty(comfyui: ModuleType) -> None:
    (larger,) = comfyui.HPINetUpscale().upscale(torch.rand(0, 24, 30, 3), "T", 2)
    assert larger.shape == (0, 48, 60, 3)
    assert larger.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pictures_of_any_precision_are_enlarged(comfyui: ModuleType, dtype: torch.dtype) -> None:
    pictures = torch.rand(2, 24, 30, 3, generator=torch.Generator().manual_seed(5)).to(dtype)
    (larger,) = comfyui.HPINetUpscale().upscale(pictures, "T", 2)
    assert larger.shape == (2, 48, 60, 3)
    np.testing.assert_array_equal(larger[1], Upscaler.load("T", scale=2)(pictures[1].float().numpy()))
