"""Global Pixel Access made visible: which reference patch each patch chose, and what happens without it.

Both work through forward hooks on the modules that match (``HPINet.cross_match``), which hand over the similarities
that the network computes anyway. While no hook is set nothing runs, and the network's own code knows nothing of this.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hpinet.attribution.regions import Box
from hpinet.model import HPINet
from hpinet.patches import PatchGrid, patch_grid


class Match(NamedTuple):
    """What one patch chose at one stage."""

    stage: int  # counted from 1
    box: Box  # of the patch; in pixels of the input
    reference: Box  # of the patch it refers to
    similarity: float
    margin: float  # by how much the reference beats the runner-up; nan where there is none

    @property
    def distance(self) -> float:
        """Pixels between the patch and its reference, corner to corner."""
        return math.dist(self.box[:2], self.reference[:2])


@dataclass(frozen=True, eq=False)
class StageMatches:
    """The choices of all L patches of one stage.

    Similarity is the scaled product of two normalised mean features. Its range is the weights' own: compare it within a
    stage, not between stages or models.
    """

    stage: int  # counted from 1
    grid: PatchGrid
    reference: np.ndarray  # (L,) int64: number of the reference patch; a lone patch has itself
    similarity: np.ndarray  # (L,) float32: to the reference; nan for a lone patch
    margin: np.ndarray  # (L,) float32: similarity minus that of the runner-up; nan where there is none

    @cached_property
    def distances(self) -> np.ndarray:
        """(L,) float64: pixels of the input between the centres of a patch and of its reference."""
        corners = np.array([self.grid.box(number)[:2] for number in range(self.grid.count)], dtype=np.float64)
        return np.hypot(*(corners - corners[self.reference]).T)

    def at(self, x: float, y: float) -> Match:
        """The choice of the patch whose centre is nearest to pixel (x, y), of those that cover it."""

        def distance(number: int) -> float:
            left, top, right, bottom = self.grid.box(number)
            return float(np.hypot((left + right - 1) / 2 - x, (top + bottom - 1) / 2 - y))

        number = min(self.grid.patches_at(int(y), int(x)), key=distance)
        return self.of(number)

    def of(self, number: int) -> Match:
        """The choice of a numbered patch."""
        return Match(
            self.stage,
            self.grid.box(number),
            self.grid.box(int(self.reference[number])),
            float(self.similarity[number]),
            float(self.margin[number]),
        )


def matched_patches(model: HPINet, picture: Tensor) -> tuple[list[StageMatches], Tensor]:
    """Runs the network over one picture (1, 3, H, W): what each stage matched, first stage first, and the output.

    Boxes count pixels of the picture; one smaller than the largest patch is padded, so they may reach beyond it.
    """
    with record_matches(model) as recorded, torch.no_grad():
        output = model(picture)
    height, width = (max(side, model.config.minimum_size) for side in picture.shape[-2:])
    grids = [patch_grid(height, width, patch) for patch in model.config.patch_sizes]
    return [recorded.get(stage) or _lone_patch(stage, grid) for stage, grid in enumerate(grids, start=1)], output


@contextmanager
def record_matches(model: HPINet) -> Iterator[dict[int, StageMatches]]:
    """While open, notes what the stages match for the first picture of each batch, by stage; the latest run counts.

    Stages with one patch alone do not match and are missing. Only runs of the thread that opened it are noted.
    """
    recorded: dict[int, StageMatches] = {}

    def note(stage: int, grid: PatchGrid, similarity: Tensor) -> None:
        similarity = similarity[0].detach()
        best = similarity.argmax(-1)  # as the network chooses, of equal ones too; `topk` may name another of these
        values = similarity.topk(min(2, grid.count), dim=-1).values.float().cpu().numpy()
        # Of two patches, the second best is the patch itself: no choice to speak of.
        margin = values[:, 0] - values[:, 1] if grid.count > 2 else np.full(grid.count, np.nan, np.float32)
        recorded[stage] = StageMatches(stage, grid, best.cpu().numpy(), values[:, 0], margin)

    with _on_matching(model, note):
        yield recorded


@contextmanager
def without_global_access(model: HPINet) -> Iterator[None]:
    """While open, every patch is its own reference, so GPA adds nothing from elsewhere. Evaluation mode only.

    Only runs of the thread that opened it are changed.
    """

    def only_itself(_stage: int, _grid: PatchGrid, similarity: Tensor) -> Tensor:
        itself = torch.eye(similarity.shape[-1], dtype=similarity.dtype, device=similarity.device)
        return itself.expand_as(similarity)

    with _on_matching(model, only_itself):
        yield


@contextmanager
def _on_matching(model: HPINet, act: Callable[[int, PatchGrid, Tensor], Tensor | None]) -> Iterator[None]:
    """Calls ``act(stage, grid, similarity (B, L, L))`` when a stage matches; what it returns replaces the latter."""
    owner = threading.get_ident()  # a page's other visitors may share the model

    def hook(stage: int) -> Callable[..., Tensor | None]:
        def run(_module: Any, inputs: tuple[Tensor, PatchGrid], similarity: Tensor) -> Tensor | None:
            return act(stage, inputs[1], similarity) if threading.get_ident() == owner else None

        return run

    with ExitStack() as hooks:
        for stage, matcher in enumerate(model.cross_match, start=1):
            hooks.enter_context(matcher.register_forward_hook(hook(stage)))
        yield


def _lone_patch(stage: int, grid: PatchGrid) -> StageMatches:
    nothing = np.full(1, np.nan, np.float32)
    return StageMatches(stage, grid, np.zeros(1, np.int64), nothing, nothing)
