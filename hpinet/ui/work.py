"""The one heavy thing the page does: to enlarge a picture in a file, with progress, Stop and a GPU if there is one.

Everything crosses this border as paths and small records: on ZeroGPU the work runs in a forked process.
"""

import atexit
import functools
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import gradio as gr
import psutil
import spaces

from hpinet.comparison import consistency
from hpinet.errors import Cancelled, HPINetError
from hpinet.images import open_picture, save_picture
from hpinet.plan import Plan, run_plan
from hpinet.progress import Progress
from hpinet.ui.models import SHELF, Choice, choice_of
from hpinet.ui.storage import results_root

REPORT_EVERY_SECONDS = 0.1
CLOSING_SECONDS = 5.0
"""How long a server that ends waits for its work to notice."""

P = ParamSpec("P")
T = TypeVar("T")


class _Crew:
    """The calls of heavy work that are under way, so that the server can end without cutting one off inside C++.

    Gradio's threads are daemons. Python ends a daemon where it comes back from native code, which aborts the process.
    """

    def __init__(self) -> None:
        self.closing = False
        self._busy = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._busy += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Asks all work to stop, and waits until it has."""
        self.closing = True
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, CLOSING_SECONDS)


CREW = _Crew()
atexit.register(CREW.close)


def heavy(duration: Callable[P, int] | int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates work for a GPU, if there is one: `spaces.GPU`, with the server waiting for the work when it ends."""

    def decorate(work: Callable[P, T]) -> Callable[P, T]:
        on_gpu = spaces.GPU(duration=duration)(work)

        @functools.wraps(work)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            with CREW:
                return on_gpu(*args, **kwargs)

        return call

    return decorate


@dataclass(frozen=True)
class Job:
    """One picture to enlarge."""

    source: Path
    model: str  # key of a choice
    plan: Plan
    result: Path  # where the lossless result goes, a PNG file
    stop: "StopFlag"
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


@dataclass(frozen=True)
class StopFlag:
    """A visitor's Stop button, as a file: the one thing that reaches a forked worker."""

    path: Path

    @classmethod
    def of(cls, request: gr.Request | None, work: str) -> "StopFlag":
        """The flag for one kind of work of the session behind a request; of nobody's when there is none."""
        session = (request and request.session_hash) or secrets.token_hex()
        name = hashlib.sha256(f"{work} {session}".encode()).hexdigest()  # the client chooses its session's name
        return cls(results_root() / f"{name}.stop")

    def raise_it(self) -> None:
        """Asks the work to stop."""
        self.path.touch()

    def lower(self) -> None:
        """Takes that back, for new work."""
        self.path.unlink(missing_ok=True)

    @property
    def is_raised(self) -> bool:
        """Whether the work should stop."""
        return self.path.exists()


class Reporter:
    """The package's progress callback on a Gradio page: a bar, the time left, and Stop."""

    def __init__(
        self, label: str, stop: StopFlag, *, start: float = 0.0, share: float = 1.0, began: float | None = None
    ) -> None:
        self.label, self.stop = label, stop
        self.start, self.share = start, share  # of the whole bar, when there is more than one picture
        self.told = time.monotonic()
        self.began = self.told if began is None else began  # of the whole, by the same clock
        self.bar = gr.Progress()

    def __call__(self, done: int, total: int) -> None:
        """See `hpinet.progress`. Raises Cancelled once Stop has been pressed or the server ends."""
        now = time.monotonic()
        if now - self.told < REPORT_EVERY_SECONDS and 0 < done < total:
            return
        self.told = now
        if CREW.closing or self.stop.is_raised:
            raise Cancelled
        fraction = self.start + self.share * (done / total if total else 0.0)
        self.bar(fraction, desc=self._words(fraction, now - self.began))

    def _words(self, fraction: float, elapsed: float) -> str:
        if fraction < 0.02 or elapsed < 0.5:
            return self.label
        return f"{self.label}: {_time_left(elapsed * (1 - fraction) / fraction)} left"


def _time_left(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min {seconds % 60:.0f} s"


def gpu_seconds(work: Sequence[tuple[Choice, Plan]]) -> int:
    """What to ask of ZeroGPU: little, since the quota is checked against it. Overhead, then time by work.

    A datacentre GPU gets through about 0.4 M parameters times megapixels in a second, at a cautious guess.
    """
    load = sum(
        choice.natives[scale].parameters / 1e6 * (width * height / 1e6)
        for choice, plan in work
        for scale, (width, height) in zip(plan.passes, plan.inputs, strict=True)
    )
    return min(120, round(8 + load / 0.4))


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
