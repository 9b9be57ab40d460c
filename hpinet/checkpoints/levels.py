"""Weights in between: a checkpoint, and *levels* of it that were trained on compressed pictures.

A checkpoint folder may hold levels: folders that are checkpoints themselves, each fine-tuned from the one before and
the first from the checkpoint. `TREATMENT` names them in order, and says for JPEG qualities how far to go: strength 0 is
the checkpoint itself, to the bit, 1 the first level, and 1.5 is half-way from there to the second. Networks fine-tuned
one from another can be mixed like that, weight by weight, and do what lies in between.
"""

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hpinet.checkpoints.files import read_model
from hpinet.errors import CheckpointError
from hpinet.model import HPINet

TREATMENT = "treatment.json"
PARTS = 4
"""Strengths are whole multiples of 1/4: weights of each are prepared but once, and nobody sees an eighth of a level."""


@dataclass(frozen=True)
class Levels:
    """The levels of a checkpoint. Raises ValueError if they make no sense."""

    names: tuple[str, ...]  # folders inside the checkpoint's, from weak to strong
    strengths: tuple[tuple[int, float], ...]  # (JPEG quality, strength), by rising quality; in between linear

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        pairs = tuple((int(quality), float(strength)) for quality, strength in self.strengths)
        object.__setattr__(self, "strengths", pairs)
        if not self.names or not pairs or any("/" in name or name in ("", ".", "..") for name in self.names):
            raise ValueError("There must be levels, each a folder beside this file, and strengths.")
        if [pair[0] for pair in pairs] != sorted({pair[0] for pair in pairs}):
            raise ValueError("Strengths must be given by rising quality, each once.")
        if any(not 0 <= strength <= len(self.names) for _, strength in pairs):
            raise ValueError(f"Strengths must be from 0 to {len(self.names)}.")

    def strength(self, quality: int | None) -> float:
        """How strongly to treat for a JPEG quality: from 0, also for None, to the number of levels."""
        if quality is None:
            return 0.0
        place = bisect_left(self.strengths, (quality, -1.0))
        if place in (0, len(self.strengths)):
            exact = self.strengths[min(place, len(self.strengths) - 1)][1]
        else:
            (low, weak), (high, strong) = self.strengths[place - 1], self.strengths[place]
            exact = weak + (strong - weak) * (quality - low) / (high - low)
        return round(PARTS * exact) / PARTS

    def to_json(self) -> str:
        """What `read_levels` reads."""
        return json.dumps({"levels": self.names, "strengths": dict(self.strengths)}, indent=2) + "\n"


def read_levels(checkpoint: Path) -> Levels | None:
    """The levels of a checkpoint folder or file; None if it has none. Raises CheckpointError if they are damaged."""
    file = checkpoint / TREATMENT
    if not file.is_file():
        return None
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        pairs = sorted((int(quality), float(strength)) for quality, strength in values["strengths"].items())
        return Levels(tuple(values["levels"]), tuple(pairs))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error


def read_treated(checkpoint: Path, strength: float) -> HPINet:
    """The network of a checkpoint at a strength from 0 to the number of its levels, in evaluation mode on the CPU.

    Raises CheckpointError if it has not so many levels, or one of them is missing, damaged or another network.
    """
    if strength == 0:
        return read_model(checkpoint)
    levels = read_levels(checkpoint)
    if levels is None or not 0 < strength <= len(levels.names):
        raise CheckpointError(f"{checkpoint} has no weights of strength {strength:g}.")
    return read_between(checkpoint, levels.names, strength)


def read_between(checkpoint: Path, names: Sequence[str], strength: float) -> HPINet:
    """The same, of levels that are named: 1.5 lies half-way from the first to the second."""
    folders = [checkpoint, *(checkpoint / name for name in names)]
    below = min(int(strength), len(names) - 1)
    model, stronger = (read_model(folders[number]) for number in (below, below + 1))
    if model.config != stronger.config:
        raise CheckpointError(f"{folders[below + 1]} holds another network than {folders[below]}.")
    with torch.no_grad():
        for weights, others in zip(model.parameters(), stronger.parameters(), strict=True):
            weights.lerp_(others, strength - below)
    return model
