"""A picture of sixteen training crops, for a person to see what a recipe does to pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from hpinet.errors import ImageError, OptionError
from hpinet.training.data import CropSampler, PictureStore
from hpinet.training.recipes import Recipe

ROWS, COLUMNS = 4, 4
GAP = 4  # pixels between crops


def draw_crops(recipe: Recipe, store: PictureStore, output: Path, *, step: int = 0) -> None:
    """Writes the first crops of a step: each LR crop, its pixels enlarged as squares, and to its right the HR crop.

    Crops of small batches are continued with numbers that training would not use. Raises ImageError if the file cannot
    be written, OptionError if no picture is large enough for the crops, or there is no such step.
    """
    if not 0 <= step < recipe.steps:
        raise OptionError(f"The recipe has steps 0 to {recipe.steps - 1:,}.")
    phase = recipe.phase_at(step)
    sampler = CropSampler(
        store, crop=phase.crop, seed=recipe.seed, importance=phase.importance, degradation=phase.degradation
    )
    crops = sampler.batch(step, range(ROWS * COLUMNS))
    squares = crops.lr.repeat(recipe.scale, axis=1).repeat(recipe.scale, axis=2)
    pairs = np.concatenate([squares, crops.hr], axis=2)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_in_a_grid(pairs)).save(output)
    except (OSError, ValueError) as error:
        raise ImageError(f"{output} cannot be written: {error}") from error


def _in_a_grid(tiles: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """`ROWS` x `COLUMNS` tiles (h, w, 3) on white."""
    height, width, _ = tiles[0].shape
    sheet = np.full((ROWS * (height + GAP) - GAP, COLUMNS * (width + GAP) - GAP, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = (number // COLUMNS) * (height + GAP), (number % COLUMNS) * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet
