"""A training that takes seconds: small pictures made on the fly, a few steps of the smallest network."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hpinet.training.recipes import Loss, OptimizerName, Phase, Recipe, Schedule
from hpinet.training.state import Run


def picture(seed: int, width: int, height: int) -> Image.Image:
    """Something with edges and slopes, unlike noise: shrunk noise teaches nothing."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x * random.uniform(-1, 1) + y * random.uniform(-1, 1) + random.uniform(0, 6)) for _ in range(3)]
    return Image.fromarray((127 + 100 * np.sign(np.stack(waves, axis=-1))).astype(np.uint8))


def tiny_recipe(
    *,
    steps: int = 6,
    batch: int = 4,
    micro_batch: int = 2,
    loss: Loss = "l1",
    peak: float = 1e-3,
    optimizer: OptimizerName = "adamw",
) -> Recipe:
    """Two phases, so that every run crosses from one to the next."""
    first = Phase(steps - 2, 9, batch, micro_batch, patch_sizes=(6,) * 4, loss=loss)
    last = Phase(2, 10, batch, micro_batch, patch_sizes=(5, 6, 7, 8), loss=loss)
    return Recipe("T", 2, (first, last), Schedule("wsd", peak, warmup=2, decay=3), optimizer=optimizer)


def tiny_run(pictures: Path, *, validation: bool = False, started_from: str | None = None, **recipe: Any) -> Run:
    """A run of `tiny_recipe` on a folder."""
    return Run(tiny_recipe(**recipe), (str(pictures),), str(pictures) if validation else None, started_from)
