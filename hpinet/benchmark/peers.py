"""Other light networks, timed in the same run for comparison: architectures from PyPI with random weights.

Their packages are no dependencies of ours (`pip install ".[benchmark]"`); a peer that cannot be imported is left out
by name. They run as their authors wrote them: the whole picture in one forward pass of PyTorch.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hpinet.progress import Progress

Run = Callable[[Progress], object]


def _runner(network: nn.Module, pixels: np.ndarray, output: Callable[[Any], Tensor]) -> Run:
    network.eval()
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255

    def run(_progress: Progress) -> np.ndarray:
        with torch.inference_mode():
            return (output(network(batch))[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()

    return run


def swin2sr_light(pixels: np.ndarray, scale: int) -> Run:
    """Swin2SR in its lightweight configuration (about 1 M parameters), from transformers."""
    transformers = import_module("transformers")
    config = transformers.Swin2SRConfig(
        image_size=64,
        embed_dim=60,
        depths=[6, 6, 6, 6],
        num_heads=[6, 6, 6, 6],
        window_size=8,
        mlp_ratio=2.0,
        upscale=scale,
        upsampler="pixelshuffledirect",
    )
    return _runner(transformers.Swin2SRForImageSuperResolution(config), pixels, lambda result: result.reconstruction)


def swinir_light(pixels: np.ndarray, scale: int) -> Run:
    """SwinIR in its lightweight configuration (about 0.9 M parameters), from spandrel."""
    network = import_module("spandrel.architectures.SwinIR").SwinIR(
        upscale=scale,
        img_size=64,
        window_size=8,
        img_range=1.0,
        depths=[6, 6, 6, 6],
        embed_dim=60,
        num_heads=[6, 6, 6, 6],
        mlp_ratio=2,
        upsampler="pixelshuffledirect",
    )
    return _runner(network, pixels, lambda result: result)


PEERS: dict[str, Callable[[np.ndarray, int], Run]] = {"Swin2SR-light": swin2sr_light, "SwinIR-light": swinir_light}
