"""The one heavy thing the page does: to enlarge a picture in a file, with progress, Stop and a GPU if there is one."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from hpinet.apart import Answer, Apart, Request, carry_out
from hpinet.comparison import consistency, explained
from hpinet.errors import ImageError
from hpinet.files import Enlarged, enlarge_file
from hpinet.images import MetadataChoice, Picture, check_size
from hpinet.images.compression import Compression
from hpinet.plan import Plan, Size, TargetSize, make_plan
from hpinet.treatment import Treatment, examine
from hpinet.ui.jobs import elsewhere, previews
from hpinet.ui.jobs.models import (
    SHELF,
    Choice,
    check_memory,
    check_seconds,
    choice_of,
    expected_megabytes,
    expected_seconds,
    operations,
)
from hpinet.ui.jobs.running import Needs, Reporter, StopFlag, gpu_seconds, heavy
from hpinet.ui.jobs.zerogpu import CPU_PACE, IS_HERE, PACE
from hpinet.ui.server.defects import reported
from hpinet.ui.server.storage import FULL, in_use, is_full, make_room, results_root
from hpinet.upscaler import rounds_over


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a picture, or of every picture of a batch."""

    model: str  # key of a choice
    size: TargetSize
    format: str = "PNG"  # key of `previews.FORMATS`
    quality: int = 90
    treatment: Treatment = "clean"
    metadata: MetadataChoice = "drop"

    def plan(self, source: Size, choice: Choice | None = None) -> Plan:
        """The plan for a picture of that size, with another ``choice`` of a model if one is given.

        Raises OptionError with what is wrong.
        """
        natives = (choice or choice_of(self.model)).natives
        plan = previews.check_result_size(make_plan(source, self.size, natives=natives))
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
    seconds: float  # that the network and the reduction took, without waiting for either
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
    found: Compression | None = None,
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
        found: What losses the picture is known to have gone through; by default it is examined itself.
        show: Does something with source and result while they are in memory.

    Raises HPINetError: the picture, the model or the fetching failed, or `Cancelled`.
    """
    told = reporter or Reporter("Enlarging", stop)
    told.say("Opening the picture")
    engine, seconds = "", 0.0

    def run(picture: Picture, plan: Plan) -> Picture:
        nonlocal engine, seconds
        choice = choice_of(wanted.model)
        check_memory(choice, plan)
        check_seconds(choice, plan, rounds=rounds_over(picture))
        if not choice.is_installed(plan):
            SHELF.fetch(choice, plan, progress=Reporter(f"Fetching {choice.key}", stop))
        ran = (_run_apart if choice.on_cpu else _run)(wanted.model, wanted.treatment, picture, plan, told)
        if IS_HERE:
            pace = CPU_PACE if choice.on_cpu else PACE
            pace.learn(operations(choice, plan, rounds=rounds_over(picture)), ran.seconds)
        engine, seconds = ran.engine, ran.seconds
        told.say("Saving the result", 0.999)
        return ran.result

    def decode(path: Path) -> Picture:
        return previews.with_losses(previews.open_sent(path), found)

    def kept_target(plan: Plan) -> Path:
        path = target(plan)
        kept.enter_context(in_use(path.parent))
        return path

    with _PeakMemory() as memory, nothing_said_of_this_machine(), ExitStack() as kept:
        kept.enter_context(in_use(source))
        done = enlarge_file(
            source,
            plan=wanted.plan if plan is None else lambda _size: plan,
            run=run,
            target=kept_target,
            format=wanted.format,
            quality=wanted.quality,
            metadata=wanted.metadata,
            decode=decode,
        )
        if show is not None:
            show(done)
        with previews.told_if_gone():
            agreed = explained(done.result, source)
    losses = examine(done.source)
    choice = choice_of(wanted.model)
    return Outcome(
        picture=done.target,
        plan=done.plan,
        checkpoint=choice.checkpoint(done.plan).name,
        origin=choice.checkpoint(done.plan).origin,
        engine=engine,
        seconds=seconds,
        peak_memory_mb=memory.peak_mb,
        consistency_db=consistency(done.result, done.source),
        notes=done.source.notes,
        explained=agreed,
        found=str(losses or ""),
        strength=choice.natives[done.plan.passes[0]].strength(losses, wanted.treatment),
    )


@contextmanager
def nothing_said_of_this_machine() -> Iterator[None]:
    """Errors of the place where results lie, told without its path; and room is made where there is none."""
    try:
        yield
    except (ImageError, OSError) as error:
        if is_full(error):
            make_room()
            raise ImageError(FULL) from error
        if str(results_root()) in str(error):
            raise ImageError(reported(error, "writing a result")) from error
        raise


def _declared_seconds(
    model: str,
    treatment: Treatment,  # noqa: ARG001 (like `_run`)
    picture: Picture,
    plan: Plan,
    progress: Reporter,  # noqa: ARG001
) -> int:
    return gpu_seconds([(choice_of(model), plan)], rounds=rounds_over(picture))


def _needs(
    model: str,
    treatment: Treatment,  # noqa: ARG001
    picture: Picture,
    plan: Plan,
    progress: Reporter,
) -> Needs:
    choice = choice_of(model)
    seconds = expected_seconds(choice, plan, rounds=rounds_over(picture))
    samples = [picture.colour] if picture.alpha is None else [picture.colour, picture.alpha]
    held = sum(each.nbytes for each in samples) / 1e6
    return Needs(progress.stop, expected_megabytes(choice, plan), seconds, held)


@heavy(duration=_declared_seconds, needs=_needs)
def _run(model: str, treatment: Treatment, picture: Picture, plan: Plan, progress: Reporter) -> Answer:
    """The network alone: files are read and written, and results judged, where no GPU waits meanwhile."""
    if machines := elsewhere.machines():
        progress.say("Waiting for a free machine")
        with progress.ticking(expected_seconds(choice_of(model), plan, rounds=rounds_over(picture))):
            return machines.run(_request(model, treatment, picture, plan), progress)
    upscaler = SHELF.of(model)
    is_loaded = all(SHELF.peek(model, scale) for scale in plan.passes)
    progress.say("Preparing" if is_loaded else f"Loading model {model}, which is used for the first time")
    expected = expected_seconds(choice_of(model), plan, rounds=rounds_over(picture))
    with progress.ticking(expected):
        return carry_out(picture, plan, upscaler, treatment, progress)


@heavy(duration=None, needs=_needs)
def _run_apart(model: str, treatment: Treatment, picture: Picture, plan: Plan, progress: Reporter) -> Answer:
    """The same on this machine's CPU, where GPUs are lent."""
    return _APART.run(_request(model, treatment, picture, plan), progress)


def _request(model: str, treatment: Treatment, picture: Picture, plan: Plan) -> Request:
    checkpoints = {scale: info.path for scale, info in choice_of(model).natives.items() if info.path is not None}
    return Request(checkpoints, picture, plan, treatment)


_APART = Apart()


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
