"""Explaining a spot of a picture, as the page and the endpoint do it."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from hpinet.attribution.explain import Explanation, explain
from hpinet.attribution.lam import FULL, QUICK, BlurPath
from hpinet.attribution.regions import rgb_pixels
from hpinet.errors import HPINetError, OptionError
from hpinet.images import open_picture
from hpinet.plan import Request, make_plan
from hpinet.ui.models import SHELF, choice_of
from hpinet.ui.work import Reporter, StopFlag, heavy

PATHS = {"Quick": QUICK, "Full": FULL}
MIN_REGION, MAX_REGION = 48, 128
"""Sides of the part of the picture that visitors can have attributed. Beyond them the wait is out of proportion."""

MAX_STEPS = FULL.steps
WINDOWS = (8, 16, 32)


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


@dataclass(frozen=True)
class Answer:
    """What came of it."""

    explanation: Explanation
    checkpoint: str  # such as hpinet-t-x4
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
        stem = re.sub(r"[^\w.-]+", "-", Path(self.source).stem).strip("-.")[:80] or "picture"
        name = f"{stem}_{self.explanation.x}-{self.explanation.y}_{self.checkpoint}"
        paths = [folder / f"{name}{suffix}" for suffix in suffixes]
        for path in paths:
            save_figure(figure, path)
        return paths


def look(question: Question) -> Answer:
    """Explains the spot, fetching the model if it is missing. Raises HPINetError."""
    choice = choice_of(question.model)
    if question.scale not in choice.natives:
        raise OptionError(f"{choice.key} cannot enlarge ×{question.scale}.")
    plan = make_plan((question.region, question.region), Request(scale=question.scale), natives=[question.scale])
    if not choice.is_installed(plan):
        SHELF.fetch(choice, plan, progress=Reporter(f"Fetching {choice.key}", question.stop))
    answer = _look(question)
    if isinstance(answer, HPINetError):
        raise answer
    return answer


def _declared_seconds(question: Question) -> int:
    """What to ask of ZeroGPU: overhead, then three passes a step (one forward, two back)."""
    parameters = choice_of(question.model).natives[question.scale].parameters / 1e6
    return min(120, round(10 + 3 * question.path.steps * parameters * question.region**2 / 1e6 / 0.4))


@heavy(duration=_declared_seconds)
def _look(question: Question) -> Answer | HPINetError:
    """Errors are returned, since a worker's exceptions lose their message on the way back."""
    try:
        began = time.perf_counter()
        upscaler = SHELF.upscaler(question.model, question.scale)
        explanation = explain(
            upscaler.engine.model,
            rgb_pixels(open_picture(question.source)),
            x=question.x,
            y=question.y,
            window=question.window,
            path=question.path,
            region=question.region,
            progress=Reporter("Looking", question.stop),
        )
        return Answer(explanation, upscaler.info.name, question.source.name, time.perf_counter() - began)
    except HPINetError as error:
        return error
