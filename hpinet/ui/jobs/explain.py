"""Explaining a spot of a picture, as the page and the endpoint do it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hpinet.attribution.explain import SURROUNDINGS, Explanation, explain, surroundings_of
from hpinet.attribution.lam import FULL, QUICK, BlurPath
from hpinet.engines.arithmetic import expected_megabytes_of_gradients
from hpinet.errors import OptionError
from hpinet.images.compression import Compression
from hpinet.model import variant_config
from hpinet.paths import plain_name
from hpinet.plan import Plan, TargetSize, make_plan
from hpinet.progress import Stopwatch
from hpinet.settings import settings
from hpinet.treatment import Treatment, examine
from hpinet.ui.jobs.models import (
    SHELF,
    Choice,
    check_megabytes,
    choice_of,
    network_of,
    pass_operations,
    pass_seconds,
)
from hpinet.ui.jobs.previews import open_sent, size_of_sent, with_losses
from hpinet.ui.jobs.running import Needs, Reporter, StopFlag, heavy
from hpinet.ui.jobs.zerogpu import PACE

PATHS = {"Quick": QUICK, "Full": FULL}
MIN_REGION, MAX_REGION = 48, 128
"""Sides of the part of the picture that visitors can have attributed. Beyond them the wait is out of proportion."""

WINDOWS = (8, 16, 32)

_PASSES = 2.8
"""A step of the attribution in enlargements of its region: there and back. Measured on two cores: 2.5 (T), 3.1 (M)."""


@dataclass(frozen=True)
class Question:
    """Which spot of which picture, and how to look at it."""

    source: Path
    x: int
    y: int
    model: str  # key of a choice
    scale: int
    stop: StopFlag
    path: BlurPath = QUICK
    window: int = 16
    region: int = 64
    treatment: Treatment = "clean"
    found: Compression | None = None  # what losses it is known to have gone through; by default it is examined


@dataclass(frozen=True)
class Answer:
    """What came of it."""

    explanation: Explanation
    checkpoint: str  # such as hpinet-t-x4
    found: Compression | None  # what losses the picture went through, where a treatment was asked for
    strength: float  # of the treatment, 0 for none
    source: str  # name of the picture's file
    seconds: float

    @property
    def title(self) -> str:
        """Of the figure."""
        return f"{self.checkpoint} at ({self.explanation.x}, {self.explanation.y}) of {self.source}"

    def draw(self, folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
        """Writes the figure in each of the formats and returns where."""
        from hpinet.attribution.figures import explanation_figure, save_figure  # noqa: PLC0415 (slow to come)

        figure = explanation_figure(self.explanation, title=self.title)
        stem = plain_name(Path(self.source).stem)[:80] or "picture"
        name = f"{stem}_{self.explanation.x}-{self.explanation.y}_{self.checkpoint}"
        paths = [folder / f"{name}{suffix}" for suffix in suffixes]
        for path in paths:
            save_figure(figure, path)
        return paths


def look(question: Question) -> Answer:
    """Explains the spot, fetching the model if it is missing. Raises HPINetError."""
    choice, plan = _planned(question.model, question.scale)
    check_region(question.model, question.scale, question.region)
    if not choice.is_installed(plan):
        SHELF.fetch(choice, plan, progress=Reporter(f"Fetching {choice.key}", question.stop))
    picture = with_losses(open_sent(question.source), question.found)
    found = None if question.treatment == "clean" else examine(picture)
    strength = choice.natives[question.scale].strength(found, question.treatment)
    pixels = picture.to_8_bit_rgb()
    height, width = pixels.shape[:2]
    left, top, right, bottom = surroundings_of(question.x, question.y, width, height, region=question.region)
    part = pixels[top:bottom, left:right].copy()  # the rest is let go before the work waits for its turn
    del picture, pixels
    explained, seconds = _look(replace(question, x=question.x - left, y=question.y - top), strength, part)
    name = choice.natives[question.scale].name
    return Answer(explained.moved(left, top), name, found, strength, question.source.name, seconds)


def expected_seconds(source: Path, *, model: str, scale: int, steps: int, region: int) -> float:
    """Seconds that an explanation should take here, fetching left out. Raises HPINetError."""
    choice, _ = _planned(model, scale)
    size = size_of_sent(source)

    def seconds(side: int) -> float:
        return pass_seconds(choice, scale, min(side, size[0]), min(side, size[1]))

    return steps * _PASSES * seconds(region) + seconds(max(region, SURROUNDINGS))


def check_region(model: str, scale: int, region: int) -> None:
    """Raises OptionError where the gradients of so large a region would take more memory than there is for one job."""
    choice, _ = _planned(model, scale)
    check_megabytes(choice, _megabytes(choice, scale, region), "fewer pixels shown to the network")


def _megabytes(choice: Choice, scale: int, region: int) -> float:
    """As many steps go through the network at a time as the working set allows, but one at least."""
    return max(
        settings().memory_mb, expected_megabytes_of_gradients(variant_config(choice.variant, scale), region, region)
    )


def is_installed(model: str, scale: int) -> bool:
    """Whether nothing has to be fetched first. Raises OptionError if the model does not exist at this scale."""
    choice, plan = _planned(model, scale)
    return choice.is_installed(plan)


def _planned(model: str, scale: int) -> tuple[Choice, Plan]:
    choice = network_of(model)
    if scale not in choice.natives:
        raise OptionError(f"{choice.key} cannot enlarge ×{scale} in one pass: choose another model or scale.")
    return choice, make_plan((1, 1), TargetSize(scale=scale), natives=[scale])


def _declared_seconds(question: Question, strength: float, part: np.ndarray) -> int:  # noqa: ARG001 (as the work is)
    """What to ask of ZeroGPU."""
    choice, side = choice_of(question.model), question.region
    work = question.path.steps * _PASSES * pass_operations(choice, question.scale, side, side)
    return PACE.to_ask_for(work + pass_operations(choice, question.scale, SURROUNDINGS, SURROUNDINGS))


def _needs(question: Question, strength: float, part: np.ndarray) -> Needs:  # noqa: ARG001
    side = question.region
    seconds = expected_seconds(
        question.source, model=question.model, scale=question.scale, steps=question.path.steps, region=side
    )
    return Needs(question.stop, _megabytes(choice_of(question.model), question.scale, side), seconds)


@heavy(duration=_declared_seconds, needs=_needs)
def _look(question: Question, strength: float, part: np.ndarray) -> tuple[Explanation, float]:
    """Explains the spot in a part of the picture, (h, w, 3) uint8 RGB, from whose corner it counts; and the seconds."""
    watch = Stopwatch(Reporter("Looking", question.stop))
    upscaler = SHELF.upscaler(question.model, question.scale)
    explanation = explain(
        upscaler.engine_for(strength).model,
        part,
        x=question.x,
        y=question.y,
        window=question.window,
        path=question.path,
        region=question.region,
        progress=watch,
    )
    return explanation, watch.seconds
