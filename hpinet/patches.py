"""Geometry of the overlapping square patches that HPINet divides a feature map into. No weights, no pictures.

A map of ``size`` pixels is cut, along each axis, into patches of ``patch`` pixels whose starts are ``patch - 2`` apart;
the last patch is moved back so that it ends flush with the border. Patches are numbered in raster order and the pixels
of a patch are too, so a *patch tensor* has shape (..., L, p², C).
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

OVERLAP = 2
"""Pixels that neighbouring patches share (more before the flush last one)."""


def patch_starts(size: int, patch: int) -> list[int]:
    """First pixels of the patches along an axis of ``size`` pixels, ascending; covers every pixel.

    Raises ValueError if no patch fits.
    """
    if patch <= OVERLAP:
        raise ValueError(f"A patch must be larger than the overlap of {OVERLAP} pixels, not {patch}.")
    if size < patch:
        raise ValueError(f"A {patch}-pixel patch does not fit into {size} pixels: pad first.")
    starts = list(range(0, size - patch + 1, patch - OVERLAP))
    if starts[-1] != size - patch:
        starts.append(size - patch)
    return starts


@dataclass(frozen=True)
class PatchGrid:
    """How a ``height`` x ``width`` map divides into overlapping square patches. Build with `patch_grid`."""

    height: int
    width: int
    patch: int

    @cached_property
    def rows(self) -> list[int]:
        """Top pixel of each row of patches."""
        return patch_starts(self.height, self.patch)

    @cached_property
    def columns(self) -> list[int]:
        """Left pixel of each column of patches."""
        return patch_starts(self.width, self.patch)

    @property
    def count(self) -> int:
        """L, the number of patches."""
        return len(self.rows) * len(self.columns)

    @cached_property
    def origins(self) -> Tensor:
        """(L,) int64: flat index (y * width + x) of each patch's top left pixel."""
        return (torch.tensor(self.rows)[:, None] * self.width + torch.tensor(self.columns)).flatten()

    @cached_property
    def offsets(self) -> Tensor:
        """(p²,) int64: flat index of a patch's pixels relative to its origin."""
        within = torch.arange(self.patch)
        return (within[:, None] * self.width + within).flatten()

    def indices(self, patches: Tensor | slice = slice(None)) -> Tensor:
        """(L, p²) int64: flat pixel indices of all patches, or of the numbered ones."""
        return self.origins[patches, None] + self.offsets

    @cached_property
    def coverage_by_axis(self) -> tuple[Tensor, Tensor]:
        """(H,) and (W,) int64: how many rows of patches cover each row of pixels, and how many columns each column."""
        down = _axis_coverage(self.rows, self.patch, self.height)
        return down, _axis_coverage(self.columns, self.patch, self.width)

    def coverage(self, rows: slice = slice(None)) -> Tensor:
        """(H, W) int64, or of some rows: how many patches cover each pixel; at least 1.

        Computed anew each time: grids are kept, and as many numbers as a picture has pixels must not be.
        """
        down, across = self.coverage_by_axis
        return down[rows, None] * across

    def patches_at(self, y: int, x: int) -> list[int]:
        """Numbers of the patches that cover pixel (y, x)."""
        rows = [i for i, top in enumerate(self.rows) if top <= y < top + self.patch]
        columns = [j for j, left in enumerate(self.columns) if left <= x < left + self.patch]
        return [i * len(self.columns) + j for i in rows for j in columns]

    def box(self, number: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of a patch in pixels, right and bottom exclusive."""
        row, column = divmod(number, len(self.columns))
        left, top = self.columns[column], self.rows[row]
        return left, top, left + self.patch, top + self.patch

    def means(self, pixels: Tensor) -> Tensor:
        """Mean of each patch's pixels: (B, H, W, C) -> (B, L, C). Two one-dimensional passes, no patch is copied."""
        down = _window_means(pixels, self.rows, self.patch, dim=1)  # (B, rows, W, C)
        return _window_means(down, self.columns, self.patch, dim=2).flatten(1, 2)


@lru_cache(maxsize=64)
def patch_grid(height: int, width: int, patch: int) -> PatchGrid:
    """The grid of a map's size, its tensors computed once; the 64 latest are kept."""
    return PatchGrid(height, width, patch)


def _axis_coverage(starts: list[int], patch: int, size: int) -> Tensor:
    edges = torch.zeros(size + 1, dtype=torch.int64)
    for start in starts:
        edges[start] += 1
        edges[start + patch] -= 1
    return edges.cumsum(0)[:size]


def _window_means(x: Tensor, starts: list[int], patch: int, *, dim: int) -> Tensor:
    """Means over the windows along ``dim`` that begin at ``starts``."""
    step = patch - OVERLAP
    regular = (x.shape[dim] - patch) // step + 1
    # A window is a block of its own pixels and the first ones of the next block: each pixel is added up once or twice.
    sums = x.narrow(dim, 0, regular * step).unflatten(dim, (regular, step)).sum(dim + 1)
    for shared in range(step, patch):
        sums += x.narrow(dim, shared, (regular - 1) * step + 1).unfold(dim, 1, step).squeeze(-1)
    if regular < len(starts):
        flush = x.narrow(dim, starts[-1], patch).sum(dim, keepdim=True)
        sums = torch.cat((sums, flush), dim)
    return sums.div_(patch)  # in place: of a large map even this takes room
