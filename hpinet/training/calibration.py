"""Which strength of treatment is best at which JPEG quality, found by trying.

LR pieces of pictures are saved as JPEG, enlarged at every strength, and compared with the truth. The pictures should
not be those of a benchmark that is reported.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hpinet.atomic import write_atomically
from hpinet.checkpoints.files import read_config
from hpinet.checkpoints.levels import PARTS, TREATMENT, Levels, read_between
from hpinet.errors import OptionError
from hpinet.images.degradations import as_jpeg
from hpinet.metrics import psnr_y
from hpinet.model import HPINet
from hpinet.progress import Progress, ignore
from hpinet.training.data import CropSampler, open_store

QUALITIES = (30, 50, 65, 75, 85, 90, 95, 98, 100)
PIECE = 64  # side of the LR pieces
ALIKE_DB = 0.01


def calibrate(
    checkpoint: Path,
    names: Sequence[str],
    *,
    data: Sequence[Path],
    cache: Path,
    pieces: int = 24,
    decoding: Progress = ignore,
    progress: Progress = ignore,
) -> dict[int, list[float]]:
    """Finds the strengths of a checkpoint's levels and writes them beside them.

    Args:
        checkpoint: The folder with clean weights.
        names: Of the levels in it, from weak to strong.
        data: Folders of pictures.
        cache: Where they are kept decoded, as in training.
        pieces: How many pieces of pictures to try; drawn evenly, the same every time.
        decoding: Called with pictures decoded and all of them, where they are not in the cache yet.
        progress: Called with strengths tried and all of them.

    Returns the mean PSNR-Y in dB by quality, at every strength from 0 by quarters. Raises OptionError if no picture is
    large enough, CheckpointError if a level is missing.
    """
    names = tuple(name.rstrip("/") for name in names)
    try:
        Levels(names, ((QUALITIES[0], 0.0),))
    except ValueError as error:
        raise OptionError("Name the levels, folders in the checkpoint's, from weak to strong.") from error
    scale = read_config(checkpoint).scale
    sampler = CropSampler(open_store(data, scale=scale, cache=cache, progress=decoding), crop=PIECE, seed=0)
    pairs = [(crop.hr, crop.lr) for crop in (sampler.sample(0, index) for index in range(pieces))]
    strengths = [part / PARTS for part in range(PARTS * len(names) + 1)]
    scores: dict[int, list[float]] = {quality: [] for quality in QUALITIES}
    for number, strength in enumerate(strengths):
        progress(number, len(strengths))
        network = read_between(checkpoint, names, strength)
        for quality in QUALITIES:
            results = [psnr_y(_enlarged(network, as_jpeg(lr, quality)), hr, scale=scale) for hr, lr in pairs]
            scores[quality].append(float(np.mean(results)))
    progress(len(strengths), len(strengths))
    best = {quality: mildest_of_the_best(strengths, row) for quality, row in scores.items()}
    # Chance must not make a worse quality count as a better one.
    falling = np.maximum.accumulate([best[quality] for quality in reversed(QUALITIES)])[::-1].tolist()
    levels = Levels(names, tuple(zip(QUALITIES, falling, strict=True)))
    write_atomically(checkpoint / TREATMENT, levels.to_json().encode())
    return scores


def mildest_of_the_best(strengths: Sequence[float], scores: Sequence[float]) -> float:
    """The first of the growing ``strengths`` that is as good as the best, to a hundredth of a dB: less than that tells
    nothing of other pictures, and what is treated less keeps more of its detail.
    """
    return next(strength for strength, score in zip(strengths, scores, strict=True) if score > max(scores) - ALIKE_DB)


@torch.inference_mode()
def _enlarged(network: HPINet, pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (sH, sW, 3) uint8."""
    values = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
    return network(values)[0].clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
