"""The one heavy thing the page does: to enlarge a picture in a file, with progress, Stop and a GPU if there is one."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from hpinet.comparison import consistency, explained
from hpinet.files import Enlarged, enlarge_file
from hpinet.images import Picture, check_size
from hpinet.plan import Plan, Size, TargetSize, make_plan, run_plan
from hpinet.treatment import Treatment, examine
from hpinet.ui.jobs import previews
from hpinet.ui.jobs.models import SHELF, check_seconds, choice_of, expected_megabytes, expected_seconds, operations
from hpinet.ui.jobs.running import Needs, Reporter, StopFlag, gpu_seconds, heavy
from hpinet.ui.jobs.zerogpu import IS_HERE, PACE
from hpinet.upscaler import rounds_over


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a picture, or of every picture of a batch."""

    model: str  # key of a choice
    size: TargetSize
    format: str = "PNG"  # key of `previews.FORMATS`
    quality: int = 90
    treatment: Treatment = "clean"

    def plan(self, source: Size) -> Plan:
        """The plan for a picture of that size. Raises OptionError with what is wrong."""
        plan = previews.check_result_size(make_plan(source, self.size, natives=choice_of(self.model).natives))
        check_size(*plan.target, self.format)
        return plan


@dataclass(frozen=True)
class Outcome:
    """What became of a picture, with everything that the page tells of it."""

    picture: Path  # the result's file, depth and channels of the source
    plan: Plan
    checkpoint: str  # such as hpinet-t-x4: that of the last pass
    origin: str
    engine: str
    seconds: float
    peak_memory_mb: float  # of the whole server process, while this ran
    consistency_db: float  # see `hpinet.comparison.consistency`
    notes: tuple[str, ...] = ()  # of the source, see `hpinet.images.Picture`
    explained: float | None = None  # share of a JPEG's coefficients, see `hpinet.comparison.explained`
    found: str = ""  # what losses the picture went through, in words; empty if none were found
    strength: float = 0.0  # of the treatment, 0 for none


def enlarge(
    source: Path,
    wanted: Wanted,
    *,
    target: Callable[[Plan], Path],
    stop: StopFlag,
    reporter: Reporter | None = None,
    plan: Plan | None = None,
    show: Callable[[Enlarged], None] | None = None,
) -> Outcome:
    """Enlarges a picture, fetching the model first if need be: page, batch and endpoints come through here.

    Args:
        source: The picture's file.
        wanted: Size, model and file format.
        target: Where the result of a plan goes.
        stop: Ends the work.
        reporter: Tells the progress; one of its own by default.
        plan: What ``wanted`` means for this picture, where the caller knows already.
        show: Does something with source and result while they are in memory.

    Raises HPINetError: the picture, the model or the fetching failed, or `Cancelled`.
    """
    told = reporter or Reporter("Enlarging", stop)
    told(0, 1)
    engine = ""

    def run(picture: Picture, plan: Plan) -> Picture:
        nonlocal engine
        choice = choice_of(wanted.model)
        check_seconds(choice, plan, rounds=rounds_over(picture))
        if not choice.is_installed(plan):
            SHELF.fetch(choice, plan, progress=Reporter(f"Fetching {choice.key}", stop))
        ran = _run(wanted.model, wanted.treatment, picture, plan, told)
        if IS_HERE:
            PACE.learn(operations(choice, plan, rounds=rounds_over(picture)), ran.seconds)
        engine = ran.engine
        return ran.result

    with _PeakMemory() as memory:
        done = enlarge_file(
            source,
            plan=wanted.plan if plan is None else lambda _size: plan,
            run=run,
            target=target,
            format=wanted.format,
            quality=wanted.quality,
        )
    if show is not None:
        show(done)
    found = examine(done.source)
    choice = choice_of(wanted.model)
    return Outcome(
        picture=done.target,
        plan=done.plan,
        checkpoint=choice.checkpoint(done.plan).name,
        origin=choice.checkpoint(done.plan).origin,
        engine=engine,
        seconds=done.seconds,
        peak_memory_mb=memory.peak_mb,
        consistency_db=consistency(done.result, done.source),
        notes=done.source.notes,
        explained=explained(done.result, source),
        found=str(found or ""),
        strength=choice.natives[done.plan.passes[0]].strength(found, wanted.treatment),
    )


def _declared_seconds(
    model: str,
    treatment: Treatment,  # noqa: ARG001 (like `_run`)
    picture: Picture,
    plan: Plan,
    progress: Reporter,  # noqa: ARG001
) -> int:
    return gpu_seconds([(choice_of(model), plan)], rounds=rounds_over(picture))


@dataclass(frozen=True)
class _Ran:
    """What comes back from where the network runs."""

    result: Picture
    engine: str  # in words fit to show
    seconds: float


def _needs(
    model: str,
    treatment: Treatment,  # noqa: ARG001
    picture: Picture,
    plan: Plan,
    progress: Reporter,
) -> Needs:
    choice = choice_of(model)
    seconds = expected_seconds(choice, plan, rounds=rounds_over(picture))
    return Needs(progress.stop, expected_megabytes(choice, plan), seconds)


@heavy(duration=_declared_seconds, needs=_needs)
def _run(model: str, treatment: Treatment, picture: Picture, plan: Plan, progress: Reporter) -> _Ran:
    """The network alone: files are read and written, and results judged, where no GPU waits meanwhile."""
    upscaler = SHELF.of(model)
    last = upscaler(plan.passes[-1]).engine
    began = time.perf_counter()
    result = run_plan(picture, plan, upscaler, treatment=treatment, progress=progress)
    return _Ran(result, f"{last.name} on {last.device}", time.perf_counter() - began)


class _PeakMemory:
    """Largest resident memory of this process while the block runs, sampled."""

    def __enter__(self) -> "_PeakMemory":
        self._process, self._done = psutil.Process(), threading.Event()
        self.peak_mb = self._now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.peak_mb = max(self.peak_mb, self._now())

    def _now(self) -> float:
        return self._process.memory_info().rss / 1e6
