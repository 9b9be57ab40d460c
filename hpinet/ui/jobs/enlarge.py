"""The one heavy thing the page does: to enlarge a picture in a file, with progress, Stop and a GPU if there is one."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from hpinet.comparison import consistency
from hpinet.errors import HPINetError
from hpinet.images import open_picture, save_picture
from hpinet.plan import Plan, run_plan
from hpinet.progress import Progress
from hpinet.ui.jobs.models import SHELF, Choice, choice_of
from hpinet.ui.jobs.running import Reporter, StopFlag, gpu_seconds, heavy


@dataclass(frozen=True)
class Job:
    """One picture to enlarge."""

    source: Path
    model: str  # key of a choice
    plan: Plan
    result: Path  # where the lossless result goes, a PNG file
    stop: StopFlag
    label: str = "Enlarging"


@dataclass(frozen=True)
class Outcome:
    """What became of a job, with everything that the page tells of it."""

    picture: Path  # PNG, depth and channels of the source
    plan: Plan
    checkpoint: str  # such as hpinet-t-x4: that of the last pass
    origin: str
    engine: str
    seconds: float
    peak_memory_mb: float  # of the whole server process, while this ran
    consistency_db: float  # see `hpinet.comparison.consistency`


def _declared_seconds(job: Job, progress: Progress) -> int:  # noqa: ARG001 (called like the function it is for)
    return gpu_seconds([(choice_of(job.model), job.plan)])


@heavy(duration=_declared_seconds)
def _enlarge(job: Job, progress: Progress) -> Outcome | HPINetError:
    """Does the job. Errors are returned, since a worker's exceptions lose their message on the way back."""
    try:
        progress(0, 1)
        picture = open_picture(job.source)
        with _PeakMemory() as memory:
            began = time.perf_counter()
            result = run_plan(picture, job.plan, SHELF.of(job.model), progress=progress)
            seconds = time.perf_counter() - began
        save_picture(result, job.result, format="PNG")
        last = SHELF.upscaler(job.model, job.plan.passes[-1])
        return Outcome(
            picture=job.result,
            plan=job.plan,
            checkpoint=last.info.name,
            origin=choice_of(job.model).checkpoint(job.plan).origin,
            engine=f"{last.engine.name} on {last.engine.device}",
            seconds=seconds,
            peak_memory_mb=memory.peak_mb,
            consistency_db=consistency(result, picture),
        )
    except HPINetError as error:
        return error


def enlarge(job: Job, reporter: Reporter | None = None) -> Outcome:
    """Enlarges a picture, fetching the model first if need be.

    Raises HPINetError: the picture, the model or the fetching failed, or `Cancelled`.
    """
    reporter = reporter or Reporter(job.label, job.stop)
    choice: Choice = choice_of(job.model)
    if not choice.is_installed(job.plan):
        SHELF.fetch(choice, job.plan, progress=Reporter(f"Fetching {choice.key}", job.stop))
    outcome = _enlarge(job, reporter)
    if isinstance(outcome, HPINetError):
        raise outcome
    return outcome


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
