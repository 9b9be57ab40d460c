"""Measuring one picture by several models, as the page and the endpoint do it."""

from collections.abc import Sequence
from pathlib import Path

from hpinet.comparison import Comparison, compare
from hpinet.errors import HPINetError, OptionError
from hpinet.images import open_picture
from hpinet.plan import Plan, Request, make_plan
from hpinet.ui.models import SHELF, Choice, choice_of
from hpinet.ui.work import Reporter, StopFlag, gpu_seconds, heavy


def measure(source: Path, scale: int, models: Sequence[str], stop: StopFlag) -> Comparison:
    """Compares the chosen models on a picture, fetching those that are missing. Raises HPINetError."""
    if not models:
        raise OptionError("Choose at least one model.")
    chosen = [choice_of(key) for key in dict.fromkeys(models)]
    missing = [choice.key for choice in chosen if scale not in choice.natives]
    if missing:
        raise OptionError(f"{', '.join(missing)} cannot enlarge ×{scale}.")
    picture = open_picture(source)
    small = max(1, picture.width // scale), max(1, picture.height // scale)
    plan = make_plan(small, Request(scale=scale), natives=[scale])
    for choice in chosen:
        if not choice.is_installed(plan):
            SHELF.fetch(choice, plan, progress=Reporter(f"Fetching {choice.key}", stop))
    result = _compare(source, plan, chosen, stop)
    if isinstance(result, HPINetError):
        raise result
    return result


def _declared_seconds(
    source: Path,  # noqa: ARG001 (called like the function it is for)
    plan: Plan,
    chosen: Sequence[Choice],
    stop: StopFlag,  # noqa: ARG001
) -> int:
    return gpu_seconds([(choice, plan) for choice in chosen])


@heavy(duration=_declared_seconds)
def _compare(source: Path, plan: Plan, chosen: Sequence[Choice], stop: StopFlag) -> Comparison | HPINetError:
    scale = plan.passes[0]
    try:
        upscalers = {choice.natives[scale].name: SHELF.upscaler(choice.key, scale) for choice in chosen}
        return compare(open_picture(source), scale, upscalers, progress=Reporter("Restoring", stop))
    except HPINetError as error:
        return error
