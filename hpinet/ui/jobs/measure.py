"""Measuring one picture by several models, as the page and the endpoint do it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hpinet.comparison import Attempt, Comparison, reduced, restore, score
from hpinet.errors import CheckpointError, OptionError
from hpinet.images import Picture
from hpinet.plan import Plan, TargetSize, make_plan, run_plan
from hpinet.progress import Progress, nth
from hpinet.settings import settings
from hpinet.treatment import Treatment
from hpinet.ui.jobs.models import (
    SHELF,
    Choice,
    check_memory,
    check_seconds,
    expected_megabytes,
    expected_seconds,
    network_of,
)
from hpinet.ui.jobs.previews import open_sent
from hpinet.ui.jobs.running import Needs, Reporter, StopFlag, gpu_seconds, heavy, lent
from hpinet.ui.server.storage import in_use
from hpinet.wording import duration

T = TypeVar("T")

_ATTEMPT = 3  # bytes a pixel that each attempt takes until all are compared
_COMPARING = 20  # bytes a pixel, beside the attempts: the truth, bicubic, and what is drawn of one attempt
_SECONDS = 0.25  # that comparing takes for a megapixel of an attempt, on two cores
_RESTORING = 0.8  # the part of the bar


@dataclass(frozen=True)
class Trial:
    """A run of one model."""

    choice: Choice
    plan: Plan
    treatment: Treatment

    @property
    def name(self) -> str:
        """Of its result: the checkpoint, how it gets to a scale that is not its own, and whether JPEG is treated."""
        names = " + ".join(self.choice.natives[scale].name for scale in self.plan.passes)
        name = f"{names}, reduced" if self.plan.is_reduced else names
        return name if self.treatment == "clean" else f"{name}, treated"


@dataclass(frozen=True)
class _Task:
    """What is left to do once nothing has to be fetched."""

    source: Path
    small: Picture
    scale: int
    trials: Sequence[Trial]
    stop: StopFlag

    @property
    def megapixels(self) -> float:
        """Of the truth, as far as it is compared."""
        return self.small.width * self.small.height * self.scale**2 / 1e6


def measure(
    source: Path,
    scale: int,
    models: Sequence[str],
    stop: StopFlag,
    *,
    tell: Callable[[Comparison, Progress], T],
    jpeg: int | None = None,
) -> tuple[T, list[CheckpointError]]:
    """Compares the chosen models on a picture, fetching those that are missing, and returns what there is to ``tell``.

    Of the pictures, which take much memory, nothing is kept but that. With ``jpeg``, a quality from 1 to 100, what the
    models restore was saved as JPEG; those that have weights for that run with the treatment "auto" too.

    Returns what is wrong with those that could not be fetched too. Raises HPINetError, also if none could be.
    """
    if not models:
        raise OptionError("Choose at least one model.")
    chosen = [network_of(key) for key in dict.fromkeys(models)]
    # The truth is opened again to be scored, for while the work waits, memory should hold only what is small.
    small = reduced(open_sent(source), scale, degradation=None if jpeg is None else f"jpeg-{jpeg}")
    size, wanted = (small.width, small.height), TargetSize(scale=scale)
    trials = [
        trial
        for choice in chosen
        for trial in _trials(choice, make_plan(size, wanted, natives=choice.natives), is_jpeg=jpeg is not None)
    ]
    task = _Task(source, small, scale, trials, stop)
    for trial in trials:
        check_memory(trial.choice, trial.plan, beside_mb=_megabytes_of_attempts(task))
        check_seconds(trial.choice, trial.plan)
    _check_all_seconds(task)
    missing = dict[str, CheckpointError]()
    for trial in trials:
        choice = trial.choice
        try:
            if choice.key not in missing and not choice.is_installed(trial.plan):
                SHELF.fetch(choice, trial.plan, progress=Reporter(f"Fetching {choice.key}", stop))
        except CheckpointError as error:
            missing[choice.key] = error
    ready = [trial for trial in trials if trial.choice.key not in missing]
    if not ready:
        raise next(iter(missing.values()))
    with in_use(source):
        return _compare(replace(task, trials=ready), tell), list(missing.values())


def _trials(choice: Choice, plan: Plan, *, is_jpeg: bool) -> list[Trial]:
    treated: list[Treatment] = ["auto"] if is_jpeg and choice.natives[plan.passes[0]].levels else []
    return [Trial(choice, plan, treatment) for treatment in ("clean", *treated)]


def _megabytes_of_attempts(task: _Task) -> float:
    return _ATTEMPT * len(task.trials) * task.megapixels


def _seconds(task: _Task) -> float:
    return sum(expected_seconds(each.choice, each.plan) + _SECONDS * task.megapixels for each in task.trials)


def _check_all_seconds(task: _Task) -> None:
    """Raises OptionError where the trials, which are one job, should take longer together than one may."""
    seconds, limit = _seconds(task), settings().max_seconds
    if seconds > limit:
        raise OptionError(
            f"Measuring takes {duration(seconds)} here, and {duration(limit)} is the limit: "
            "choose fewer models, or a smaller picture."
        )


def _needs(task: _Task, tell: Any) -> Needs:  # noqa: ARG001 (called like the function it is for)
    plans = [(trial.choice, trial.plan) for trial in task.trials]
    largest = max(*(expected_megabytes(*each) for each in plans), _COMPARING * task.megapixels)
    held = task.small.colour.nbytes / 1e6
    return Needs(task.stop, _megabytes_of_attempts(task) + largest, _seconds(task), held)


@heavy(duration=None, needs=_needs)
def _compare(task: _Task, tell: Callable[[Comparison, Progress], T]) -> T:
    """All of it takes turns with other work, so that its memory counts until the pictures are let go."""
    attempts = _restore(task)
    progress = Reporter("Comparing", task.stop, start=_RESTORING, share=1 - _RESTORING)
    comparison = score(open_sent(task.source), task.small, task.scale, attempts, progress=nth(progress, 0, 2))
    return tell(comparison, nth(progress, 1, 2))


def _declared_seconds(task: _Task) -> int:
    return gpu_seconds([(trial.choice, trial.plan) for trial in task.trials])


@lent(duration=_declared_seconds)
def _restore(task: _Task) -> list[Attempt]:
    """What each trial makes of the small picture."""
    upscalers = {
        trial.name: partial(run_plan, plan=trial.plan, upscaler=SHELF.of(trial.choice.key), treatment=trial.treatment)
        for trial in task.trials
    }
    return restore(task.small, upscalers, progress=Reporter("Restoring", task.stop, share=_RESTORING))
