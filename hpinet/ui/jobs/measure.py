"""Measuring one picture by several models, as the page and the endpoint do it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hpinet.comparison import Attempt, Comparison, reduced, restore, score
from hpinet.errors import CheckpointError, OptionError
from hpinet.images import Picture
from hpinet.plan import Plan, TargetSize, make_plan, run_plan
from hpinet.ui.jobs.models import (
    SHELF,
    Choice,
    check_memory,
    check_seconds,
    choice_of,
    expected_megabytes,
    expected_seconds,
)
from hpinet.ui.jobs.previews import open_sent
from hpinet.ui.jobs.running import Needs, Reporter, StopFlag, gpu_seconds, heavy


def measure(
    source: Path, scale: int, models: Sequence[str], stop: StopFlag, *, jpeg: int | None = None
) -> tuple[Comparison, list[CheckpointError]]:
    """Compares the chosen models on a picture, fetching those that are missing.

    With ``jpeg``, a quality from 1 to 100, what they restore was saved as JPEG; models that have weights for that run
    with the treatment "auto" too.

    Returns what is wrong with those that could not be fetched too. Raises HPINetError, also if none could be.
    """
    if not models:
        raise OptionError("Choose at least one model.")
    chosen = [choice_of(key) for key in dict.fromkeys(models)]
    # The truth is opened again to be scored, for while the work waits, memory should hold only what is small.
    small = reduced(open_sent(source), scale, degradation=None if jpeg is None else f"jpeg-{jpeg}")
    size = small.width, small.height
    work = [(choice, make_plan(size, TargetSize(scale=scale), natives=choice.natives)) for choice in chosen]
    for choice, plan in work:
        check_memory(choice, plan)
        check_seconds(choice, plan)
    ready, missing = [], []
    for choice, plan in work:
        try:
            if not choice.is_installed(plan):
                SHELF.fetch(choice, plan, progress=Reporter(f"Fetching {choice.key}", stop))
            ready.append((choice, plan))
        except CheckpointError as error:
            missing.append(error)
    if not ready:
        raise missing[0]
    attempts = _restore(small, ready, stop, treated=jpeg is not None)
    return score(open_sent(source), small, scale, attempts), missing


def _declared_seconds(
    small: Picture,  # noqa: ARG001 (called like the function it is for)
    work: Sequence[tuple[Choice, Plan]],
    stop: StopFlag,  # noqa: ARG001
    *,
    treated: bool,
) -> int:
    return gpu_seconds(work) * (2 if treated else 1)


def _needs(
    small: Picture,
    work: Sequence[tuple[Choice, Plan]],
    stop: StopFlag,
    *,
    treated: bool,
) -> Needs:
    megabytes = max(expected_megabytes(choice, plan) for choice, plan in work)
    seconds = sum(expected_seconds(choice, plan) for choice, plan in work)
    return Needs(stop, megabytes, seconds * (2 if treated else 1), small.colour.nbytes / 1e6)


@heavy(duration=_declared_seconds, needs=_needs)
def _restore(small: Picture, work: Sequence[tuple[Choice, Plan]], stop: StopFlag, *, treated: bool) -> list[Attempt]:
    """What each model makes of the small picture; where it has weights for JPEGs, with the treatment "auto" too."""
    upscalers = {}
    for choice, plan in work:
        run = partial(run_plan, plan=plan, upscaler=SHELF.of(choice.key))
        upscalers[name_of(choice, plan)] = run
        if treated and choice.natives[plan.passes[0]].levels:
            upscalers[f"{name_of(choice, plan)}, treated"] = partial(run, treatment="auto")
    return restore(small, upscalers, progress=Reporter("Restoring", stop))


def name_of(choice: Choice, plan: Plan) -> str:
    """What a plan's result is called: the checkpoint, and how it gets to a scale that is not its own."""
    names = " + ".join(choice.natives[scale].name for scale in plan.passes)
    return f"{names}, reduced" if plan.is_reduced else names
