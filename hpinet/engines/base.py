"""What every engine offers, and the arithmetic by which work is measured."""

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from hpinet.model import LAYERS_PER_STAGE, HPINet, HPINetConfig
from hpinet.patches import patch_grid
from hpinet.progress import Progress


class Engine(Protocol):
    """Runs one model over whole pictures."""

    name: str  # "torch" or "openvino"
    device: str  # where it runs, in words fit to show: "CPU", or the name of the GPU
    model: HPINet

    @property
    def scale(self) -> int:
        """How many times larger the result is along each side."""
        ...

    def upscale(self, pixels: np.ndarray, *, progress: Progress = ...) -> np.ndarray:
        """(H, W, 3) RGB -> (sH, sW, 3), same dtype.

        uint8 and uint16 span their whole range and are rounded to nearest; float32 is in [0, 1] and clamped to it.
        Raises ValueError for another shape or dtype, and whatever ``progress`` raises.
        """
        ...

    def estimate_seconds(self, height: int, width: int) -> float:
        """Seconds that `upscale` would take here for a picture of this size; measures a small one the first time."""
        ...


@dataclass(frozen=True)
class Arithmetic:
    """Floating-point operations (two per multiply-add) of one forward pass, part by part.

    Counted are convolutions, linear layers and both products of attention, patch overlap included; softmax, norms, GELU
    and interpolation are left out, as is usual.
    """

    matching: float  # GPA: similarity of every two patches
    transformer: float  # GPA and IPSA layers
    convolutions: float  # the first one and the one that ends each stage
    upsampler: float  # from features to pixels

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return sum(getattr(self, field.name) for field in fields(self))


def stage_arithmetic(config: HPINetConfig, stage: int, height: int, width: int) -> tuple[float, float]:
    """(matching, transformer) operations of one stage on a map of ``height`` x ``width`` pixels."""
    grid = patch_grid(height, width, config.patch_sizes[stage])
    patch_pixels = grid.patch**2
    linears = config.dim * (2 * config.qk_dim + config.dim + 2 * config.ffn_dim)
    attention = patch_pixels * (config.qk_dim + config.dim)
    transformer = 2.0 * LAYERS_PER_STAGE * grid.count * patch_pixels * (linears + attention)
    return 2.0 * grid.count**2 * config.dim, transformer


def arithmetic(config: HPINetConfig, height: int, width: int) -> Arithmetic:
    """What a picture of ``height`` x ``width`` LR pixels costs; sides under the minimum count as padded to it."""
    height, width = max(height, config.minimum_size), max(width, config.minimum_size)
    stages = [stage_arithmetic(config, stage, height, width) for stage in range(len(config.patch_sizes))]
    pixel = 2.0 * 9 * height * width  # operations per pair of channels of a 3x3 convolution
    dim, scale = config.dim, config.scale
    shuffles = 4 * dim * dim * (1 + 4) if scale == 4 else scale**2 * dim * dim
    return Arithmetic(
        matching=sum(matching for matching, _ in stages),
        transformer=sum(transformer for _, transformer in stages),
        convolutions=pixel * (3 * dim + len(stages) * dim * dim),
        upsampler=pixel * (shuffles + scale**2 * dim * 3),
    )
