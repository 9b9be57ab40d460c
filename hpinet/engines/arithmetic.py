"""The arithmetic of a forward pass, by which work is measured."""

from dataclasses import dataclass, fields

from hpinet.model import LAYERS_PER_STAGE, HPINetConfig
from hpinet.patches import OVERLAP, patch_grid


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


def expected_megabytes(config: HPINetConfig, height: int, width: int, *, self_ensemble: bool = False) -> float:
    """Memory that a picture of ``height`` x ``width`` LR pixels takes, beyond the engine's own working set.

    In float32 the picture, two feature maps, and one whose rows are means over patches, of sides padded to the minimum;
    and the result with 16 bits. For a self-ensemble two more of the picture, one of its results and their sum instead,
    in float32 as well.
    """
    padded = max(height, config.minimum_size) * max(width, config.minimum_size)
    means = config.dim / (min(config.patch_sizes) - OVERLAP)
    beside = 4 * 3 * (2 + 2 * config.scale**2) if self_ensemble else 2 * 3 * config.scale**2
    return (4 * (3 + 2 * config.dim + means) * padded + beside * height * width) / 1e6


def expected_megabytes_of_gradients(config: HPINetConfig, height: int, width: int) -> float:
    """Memory that taking the gradients of one forward pass needs, for a picture of ``height`` x ``width`` LR pixels.

    What is kept of each patch pixel is 41 to 43 times as much as its features (T to L, 48 to 128 pixels), and a process
    grows by up to a quarter more.
    """
    pixels = sum(
        grid.count * grid.patch**2 for grid in (patch_grid(height, width, side) for side in config.patch_sizes)
    )
    return 4 * _KEPT * config.dim * pixels / 1e6


_KEPT = 55.0
