"""How far the engines agree on a benchmark: scores, equal samples, and reference patches chosen differently.

    python -m scripts.compare_engines HR "LR_bicubic/X{scale}" checkpoints/hpinet-t-x4 HPINet-M-x4.pth

Two engines add up the same numbers in different orders. Almost every sample comes out the same; where two patches are
all but equally similar to a third, the choice between them may flip, and the detail there with it.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from hpinet.evaluation import Pair, benchmark_name, find_pairs
from hpinet.images import open_picture
from hpinet.metrics import psnr_y
from hpinet.upscaler import Upscaler

ENGINES = ("torch", "openvino")


def compare(
    hr: Annotated[Path, typer.Argument(help="Folder of the true pictures.")],
    lr: Annotated[str, typer.Argument(help="Folder of the small ones, with {scale} for the scale.")],
    weights: Annotated[list[Path], typer.Argument(help="Checkpoint folders or published .pth files.")],
) -> None:
    """Print a Markdown table with a row for each of the weights."""
    print(
        f"| {benchmark_name(hr)} | PSNR-Y torch | openvino | equal samples | largest difference | choices | flipped |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for path in weights:
        print(_row(path, hr, lr))


def _row(weights: Path, hr: Path, lr: str) -> str:
    upscalers = [Upscaler.load(weights, engine=name, device="cpu") for name in ENGINES]
    scores: list[list[float]] = []
    differences: list[np.ndarray] = []
    flipped: list[torch.Tensor] = []
    scale = upscalers[0].scale
    for pair in find_pairs(hr, Path(lr.format(scale=scale)), scale=scale):
        (usual, usual_choices), (other, other_choices) = (_restore(upscaler, pair) for upscaler in upscalers)
        truth = open_picture(pair.hr).colour[: usual.shape[0], : usual.shape[1]]
        scores.append([psnr_y(pixels, truth, scale=scale) for pixels in (usual, other)])
        differences.append(np.abs(usual.astype(int) - other).ravel())
        flipped += [a != b for a, b in zip(usual_choices, other_choices, strict=True)]
    psnr, off, flips = np.mean(scores, axis=0), np.concatenate(differences), torch.cat(flipped)
    return (
        f"| {upscalers[0].info.name} | {psnr[0]:.4f} | {psnr[1]:.4f} | {(off == 0).mean():.4%} | {off.max()} "
        f"| {len(flips):,} | {int(flips.sum())} |"
    )


def _restore(upscaler: Upscaler, pair: Pair) -> tuple[np.ndarray, list[torch.Tensor]]:
    """The result (H, W, 3) uint8, and the number of the reference patch of every patch, stage by stage."""
    assert pair.lr is not None
    with upscaler.engine.choices() as choices:
        result = upscaler(open_picture(pair.lr))
    return result.colour, choices


if __name__ == "__main__":
    typer.run(compare)
