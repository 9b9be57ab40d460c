"""Measuring one picture by several models, as the page and the endpoint do it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hpinet.comparison import Comparison, compare
from hpinet.errors import CheckpointError, OptionError
from hpinet.images import open_picture
from hpinet.plan import Plan, TargetSize, make_plan, run_plan
from hpinet.ui.jobs.models import SHELF, Choice, check_seconds, choice_of, expected_megabytes, expected_seconds
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
    picture = open_picture(source)
    small = max(1, picture.width // scale), max(1, picture.height // scale)
    work = [(choice, make_plan(small, TargetSize(scale=scale), natives=choice.natives)) for choice in chosen]
    for choice, plan in work:
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
    return _compare(source, scale, ready, stop, jpeg), missing


def _declared_seconds(
    source: Path,  # noqa: ARG001 (called like the function it is for)
    scale: int,  # noqa: ARG001
    work: Sequence[tuple[Choice, Plan]],
    stop: StopFlag,  # noqa: ARG001
    jpeg: int | None,
) -> int:
    return gpu_seconds(work) * (1 if jpeg is None else 2)


def _needs(
    source: Path,  # noqa: ARG001
    scale: int,  # noqa: ARG001
    work: Sequence[tuple[Choice, Plan]],
    stop: StopFlag,
    jpeg: int | None,
) -> Needs:
    megabytes = max(expected_megabytes(choice, plan) for choice, plan in work)
    seconds = sum(expected_seconds(choice, plan) for choice, plan in work)
    return Needs(stop, megabytes, seconds * (1 if jpeg is None else 2))


@heavy(duration=_declared_seconds, needs=_needs)
def _compare(
    source: Path, scale: int, work: Sequence[tuple[Choice, Plan]], stop: StopFlag, jpeg: int | None
) -> Comparison:
    upscalers = {}
    for choice, plan in work:
        run = partial(run_plan, plan=plan, upscaler=SHELF.of(choice.key))
        upscalers[name_of(choice, plan)] = run
        if jpeg is not None and choice.natives[plan.passes[0]].levels:
            upscalers[f"{name_of(choice, plan)}, treated"] = partial(run, treatment="auto")
    degradation = None if jpeg is None else f"jpeg-{jpeg}"
    return compare(
        open_picture(source), scale, upscalers, degradation=degradation, progress=Reporter("Restoring", stop)
    )


def name_of(choice: Choice, plan: Plan) -> str:
    """What a plan's result is called: the checkpoint, and how it gets to a scale that is not its own."""
    names = " + ".join(choice.natives[scale].name for scale in plan.passes)
    return f"{names}, reduced" if plan.is_reduced else names
