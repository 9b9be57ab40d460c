"""Networks small enough to run by the hundred, and what they give when nothing is streamed."""

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hpinet.engines import Engine
from hpinet.model import HPINet, HPINetConfig

MakeEngine = Callable[..., Engine]

NEAR_TIE = 3e-6
"""Similarities closer than this may come out in either order: rounding differs between ways of computing them."""


def small_config(scale: int = 4, **fields: object) -> HPINetConfig:
    """Two stages of different patch sizes: everything a large network does, in milliseconds."""
    values = {"dim": 8, "qk_dim": 4, "ffn_dim": 12, "patch_sizes": (5, 8), **fields}
    return HPINetConfig(scale, **values)


def network(config: HPINetConfig, seed: int = 0) -> HPINet:
    """A network with weights so large that no part of it could be left out unnoticed, and results around 1/2."""
    model = HPINet(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            noise = torch.randn(tensor.shape, generator=generator)
            if tensor.ndim == 1:
                tensor.copy_(0.1 * noise + (1 if "norm" in name and name.endswith("weight") else 0))
            else:
                tensor.copy_(noise / tensor[0].numel() ** 0.5)
        model.last_conv.weight *= 0.1
    return model


def picture(height: int, width: int, dtype: npt.DTypeLike = np.float32, *, seed: int = 0) -> np.ndarray:
    """(H, W, 3) noise over the whole range of ``dtype``."""
    random = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind == np.float32:
        return random.random((height, width, 3), np.float32)
    return random.integers(0, np.iinfo(kind).max, (height, width, 3), kind, endpoint=True)  # pyright: ignore


@torch.inference_mode()
def forward(model: HPINet, pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) in [0, 1] -> (sH, sW, 3) of `HPINet.forward`, clamped."""
    output = model(torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None])
    return output[0].permute(1, 2, 0).clamp(0, 1).numpy()


@torch.inference_mode()
def narrowest_choice(model: HPINet, pixels: np.ndarray) -> float:
    """By how much the most similar patch beats the second, where that is closest in the whole forward pass."""
    margins = [float("inf")]

    def remember(_module: nn.Module, _inputs: tuple[Tensor, ...], similarity: Tensor) -> None:
        if similarity.shape[-1] > 2:  # of two patches each has but the other
            first, second = similarity.topk(2).values.unbind(-1)
            margins.append((first - second).min().item())

    with ExitStack() as hooks:
        for matcher in model.cross_match:
            hooks.enter_context(matcher.register_forward_hook(remember))
        forward(model, pixels)
    return min(margins)
