"""HPINet: hierarchical pixel integration for lightweight image super-resolution.

Liu, Chen, Tang, Wu: "From Coarse to Fine: Hierarchical Pixel Integration for Lightweight Image Super-Resolution",
AAAI 2023 (arXiv 2211.16776). Tensor in, tensor out; module attributes carry the names of the published tensors, so that
``state_dict()`` is the published format.

The network reads a picture from coarse to fine, stage by stage:

- GPA (Global Pixel Access): every patch cross-attends to the one most similar patch of the whole map;
- IPSA (Intra-Patch Self-Attention): the pixels of a patch attend to each other;
- a 3x3 convolution over the merged patches;
- CPD (Cascaded Patch Division): the patch size changes between stages, so that patch borders never coincide.

`HPINet.refer` and `HPINet.integrate` hold all patches of a picture at once. Their twins that do not, with the same
results, are `_match` and `_integrate` in `hpinet.engines.streaming`.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpinet.errors import CheckpointError
from hpinet.patches import PatchGrid, patch_grid

SCALES = (2, 3, 4)
MOST_STAGES = 64  # of a network that anybody would train
MOST_WIDTH = 4096  # of its layers and patches
LAYERS_PER_STAGE = 3  # one of GPA, then two of IPSA
NOT_ITSELF = -100.0  # similarity of a patch to itself, so that it looks elsewhere


@dataclass(frozen=True)
class HPINetConfig:
    """Hyper-parameters of one network; `variant_config` gives the named ones. Raises ValueError if they cannot work."""

    scale: int  # how many times larger the output is along each side: 2, 3 or 4
    dim: int  # C, channels of the feature map
    qk_dim: int  # width of queries and keys
    ffn_dim: int  # hidden width of the feed-forward network
    patch_sizes: tuple[int, ...]  # CPD: patch side of each stage, in pixels of the input

    def __post_init__(self) -> None:
        object.__setattr__(self, "patch_sizes", tuple(self.patch_sizes))  # JSON gives a list
        if any(
            type(value) is not int for value in (self.scale, self.dim, self.qk_dim, self.ffn_dim, *self.patch_sizes)
        ):
            raise ValueError("Every field must be a whole number, or several.")
        if self.scale not in SCALES:
            raise ValueError(f"scale must be one of {SCALES}, not {self.scale!r}.")
        if not 1 <= len(self.patch_sizes) <= MOST_STAGES or min(self.patch_sizes) < 3:
            raise ValueError(f"patch_sizes must be 1 to {MOST_STAGES} sizes of at least 3.")
        if not 0 < self.qk_dim <= self.dim or self.ffn_dim < 1:
            raise ValueError("Widths must be positive, and qk_dim at most dim.")
        if max(self.dim, self.ffn_dim, *self.patch_sizes) > MOST_WIDTH:
            raise ValueError(f"Widths and patch_sizes must be at most {MOST_WIDTH}.")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "HPINetConfig":
        """The configuration stored in a ``config.json``. Raises CheckpointError on missing, unknown or bad fields."""
        expected = {field.name for field in fields(cls)}
        if set(values) != expected:
            raise CheckpointError(f"config.json must have the fields {sorted(expected)}, not {sorted(values)}.")
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"config.json does not describe an HPINet: {error}") from error

    @property
    def minimum_size(self) -> int:
        """Sides shorter than this are padded to it: every patch size must fit."""
        return max(self.patch_sizes)


_CPD = (12, 16, 20, 24)

VARIANTS: dict[str, HPINetConfig] = {
    "T": HPINetConfig(4, dim=32, qk_dim=16, ffn_dim=48, patch_sizes=_CPD),  # ours, not in the paper
    "S": HPINetConfig(4, dim=40, qk_dim=24, ffn_dim=72, patch_sizes=_CPD * 2),
    "M": HPINetConfig(4, dim=56, qk_dim=32, ffn_dim=100, patch_sizes=_CPD * 2),
    "L": HPINetConfig(4, dim=64, qk_dim=36, ffn_dim=128, patch_sizes=(12, 14, 16, 20, 24) * 2),
}
"""The tiers by name, at scale 4; see `variant_config`."""


def variant_config(variant: str, scale: int) -> HPINetConfig:
    """Configuration of a named tier at a scale. Raises ValueError for an unknown one."""
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, not {variant!r}.")
    return replace(VARIANTS[variant], scale=scale)


class Attention(nn.Module):
    """Single-head attention over the pixels of a patch: no biases, no positional encoding, no output projection."""

    def __init__(self, dim: int, qk_dim: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(dim, qk_dim, bias=False)
        self.to_k = nn.Linear(dim, qk_dim, bias=False)
        self.to_v = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Pixels ``x`` (N, p², C) attend to those of ``context`` (N, p², C), by default to themselves."""
        context = x if context is None else context
        return attend(self.to_q(x), self.to_k(self.seen_by_keys(context)), self.to_v(context))

    def seen_by_keys(self, context: Tensor) -> Tensor:
        """The pixels (N, p², C) that keys are made of: in training, what sets each apart from their mean.

        A vector common to all keys of a patch adds to a query's scores a constant, which softmax takes away again. The
        loss does not see it, so nothing holds it back: left in, it grew until scores stood at 60,000, where bfloat16
        leaves of their differences, and of the gradients of all layers before, nothing but noise.
        """
        return context - context.mean(1, keepdim=True) if self.training else context


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q kᵀ · qk_dim^-½) v, for q, k (N, p², qk_dim) and v (N, p², C)."""
    scale = q.shape[-1] ** -0.5
    if q.dtype is torch.bfloat16 and q.device.type == "cpu":
        # In training. The fused kernel for CPUs takes six times as long here as plain products, which find matrix
        # instructions for bfloat16.
        return torch.softmax((q * scale) @ k.transpose(-2, -1), -1) @ v
    if not torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        # PyTorch's fused kernels want q and k as wide as v, and zeros change no product. Compilers that trace the
        # module fuse any widths.
        q, k = (F.pad(t, (0, v.shape[-1] - t.shape[-1])) for t in (q, k))
    q, k, v = (t.unsqueeze(1) for t in (q, k, v))  # (N, 1, p², ...): one head
    return F.scaled_dot_product_attention(q, k, v, scale=scale).squeeze(1)


def shuffle_larger(x: Tensor, factor: int) -> Tensor:
    """(B, factor²·C, H, W) -> (B, C, factor·H, factor·W): channels become pixels, then LeakyReLU."""
    return F.leaky_relu(F.pixel_shuffle(x, factor), 0.1)


class FeedForward(nn.Module):
    """Two linear layers around an exact GELU, pixel by pixel."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class PreNorm(nn.Module):
    """``fn`` on the normalised pixels; whatever else it is given reaches it as it is."""

    def __init__(self, dim: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fn = fn

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        return self.fn(self.norm(x), *context)


class PatchTransformer(nn.Module):
    """What a stage does to one patch: a layer of GPA towards its reference patch, then two layers of IPSA."""

    def __init__(self, config: HPINetConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PreNorm(config.dim, Attention(config.dim, config.qk_dim)),
                    PreNorm(config.dim, FeedForward(config.dim, config.ffn_dim)),
                ]
            )
            for _ in range(LAYERS_PER_STAGE)
        )

    def forward(self, patches: Tensor, references: Tensor) -> Tensor:
        """(N, p², C) patches and the raw reference patch of each -> (N, p², C)."""
        x = patches
        for number, (attention, feed_forward) in enumerate(self.layers):  # pyright: ignore[reportGeneralTypeIssues]
            # GPA: only the first layer looks outside the patch, at keys and values of the un-normalised reference.
            x = x + (attention(x, references) if number == 0 else attention(x))
            x = x + feed_forward(x)
        return x


class PatchMatcher(nn.Module):
    """The search of GPA: which patch of the map is most similar to each patch."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)

    def descriptors(self, pixels: Tensor, grid: PatchGrid) -> Tensor:
        """(B, H, W, C) -> (B, L, C): normalised mean features, scaled so that a product of two is their similarity."""
        d = self.norm(grid.means(pixels))
        return d * d.shape[-1] ** -0.25

    def forward(self, pixels: Tensor, grid: PatchGrid) -> Tensor:
        """(B, H, W, C) -> (B, L, L): similarity of every two patches, each excluded from matching itself."""
        d = self.descriptors(pixels, grid)
        similarity = d @ d.transpose(1, 2)
        itself = torch.eye(grid.count, dtype=torch.bool, device=d.device)
        return similarity.masked_fill(itself, NOT_ITSELF)


class HPINet(nn.Module):
    """The network. A picture (B, 3, H, W) in [0, 1] of any size from 1x1 up becomes (B, 3, sH, sW), not clamped.

    Matching is per picture, so a batch gives what its pictures give one by one. In training mode the reference patch
    is drawn by a straight-through Gumbel-softmax (temperature 1) over the similarities; otherwise it is the best one.
    """

    def __init__(self, config: HPINetConfig) -> None:
        super().__init__()
        self.config = config
        stages, dim = len(config.patch_sizes), config.dim
        self.first_conv = _conv(3, dim)
        self.cross_match = nn.ModuleList(PatchMatcher(dim) for _ in range(stages))
        self.blocks = nn.ModuleList(PatchTransformer(config) for _ in range(stages))
        self.mid_convs = nn.ModuleList(_conv(dim, dim) for _ in range(stages))
        if config.scale == 4:
            self.upconv1, self.upconv2 = _conv(dim, 4 * dim), _conv(dim, 4 * dim)
        else:
            self.upconv = _conv(dim, config.scale**2 * dim)
        self.last_conv = _conv(dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = pad_to_minimum(x, self.config.minimum_size)
        features = self.first_conv(x)
        for stage in range(len(self.config.patch_sizes)):
            features = self.integrate(stage, features)
        output = self.upsample(features) + self.enlarge(x)
        return output[..., : self.config.scale * height, : self.config.scale * width]

    def integrate(self, stage: int, features: Tensor) -> Tensor:
        """One stage, coarse to fine: divide, match, transform, merge, convolve. (B, C, H, W) -> (B, C, H, W)."""
        batch, dim, height, width = features.shape
        grid = patch_grid(height, width, self.config.patch_sizes[stage])
        index = grid.indices().to(features.device)  # (L, p²)

        pixels = features.permute(0, 2, 3, 1).contiguous()  # (B, H, W, C)
        patches = pixels.flatten(1, 2)[:, index]  # (B, L, p², C)
        references = self.refer(stage, pixels, patches, grid)
        transformed = self.blocks[stage](patches.flatten(0, 1), references.flatten(0, 1))  # (B*L, p², C)

        sums = torch.zeros_like(pixels).flatten(1, 2).index_add_(1, index.flatten(), transformed.view(batch, -1, dim))
        # The mean over the patches that cover a pixel.
        merged = sums.view(batch, height, width, dim) / grid.coverage().to(sums)[..., None]
        merged = merged.permute(0, 3, 1, 2)
        return features + self.mid_convs[stage](merged)

    def refer(self, stage: int, pixels: Tensor, patches: Tensor, grid: PatchGrid) -> Tensor:
        """The reference patch of each of ``patches`` (B, L, p², C), in the same shape."""
        if grid.count == 1:
            return patches  # the only patch there is
        similarity = self.cross_match[stage](pixels, grid)  # (B, L, L)
        if self.training:
            choice = F.gumbel_softmax(similarity, tau=1.0, hard=True)  # one-hot forward, soft backward
            return (choice @ patches.flatten(2)).view_as(patches)
        best = similarity.argmax(-1)  # (B, L)
        return torch.stack([own[chosen] for own, chosen in zip(patches, best, strict=True)])

    @property
    def upsampling_steps(self) -> list[tuple[nn.Conv2d, int]]:
        """The convolutions of the upsampler, in order, each with the factor by which its result is shuffled larger."""
        if self.config.scale == 4:
            return [(self.upconv1, 2), (self.upconv2, 2)]
        return [(self.upconv, self.config.scale)]

    def upsample(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 3, sH, sW): the detail added to the enlarged input."""
        for conv, factor in self.upsampling_steps:
            features = shuffle_larger(conv(features), factor)
        return self.last_conv(features)

    def enlarge(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 3, sH, sW), bilinear: what the network corrects."""
        return F.interpolate(x, scale_factor=float(self.config.scale), mode="bilinear", align_corners=False)


def load_weights(model: HPINet, weights: dict[str, Tensor]) -> None:
    """Copies ``weights`` into the model; one on the device "meta" is on the CPU afterwards.

    Raises CheckpointError unless every name and shape is the model's own: on "meta", before it takes any memory.
    """
    own = model.state_dict()
    missing, unknown = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if missing or unknown:
        raise CheckpointError(f"Not weights of this network: missing {missing[:3]}, unknown {unknown[:3]}.")
    wrong = [f"{name} is {tuple(weights[name].shape)}" for name in own if weights[name].shape != own[name].shape]
    if wrong:
        raise CheckpointError(f"Weights of another configuration: {'; '.join(wrong[:3])}.")
    if any(parameter.is_meta for parameter in model.parameters()):
        model.to_empty(device="cpu")
    model.load_state_dict(weights)


def pad_to_minimum(x: Tensor, minimum: int) -> Tensor:
    """Mirrors (..., H, W) at the right and bottom border until both sides have ``minimum`` pixels.

    A side too short for mirroring repeats its last pixel.
    """
    down, across = (max(0, minimum - size) for size in x.shape[-2:])
    for padding, size in (((0, 0, 0, down), x.shape[-2]), ((0, across, 0, 0), x.shape[-1])):
        if any(padding):
            x = F.pad(x, padding, mode="reflect" if max(padding) < size else "replicate")
    return x


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
