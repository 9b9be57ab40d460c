"""What heavy work has in common: a GPU if there is one, progress, Stop, and an end that cuts nothing off.

Everything crosses this border as paths and small records: on ZeroGPU the work runs in a forked process.
"""

import atexit
import functools
import hashlib
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ParamSpec, TypeVar

import gradio as gr
from gradio.context import LocalContext

from hpinet.errors import Cancelled, HPINetError
from hpinet.plan import Plan
from hpinet.settings import settings
from hpinet.ui.jobs import elsewhere, journal
from hpinet.ui.jobs.countdown import Countdown
from hpinet.ui.jobs.models import Choice, operations
from hpinet.ui.jobs.turns import Load, Place, Turns, Visitor
from hpinet.ui.jobs.zerogpu import IS_HERE, PACE, on_gpu
from hpinet.ui.server.cancelling import flag_of
from hpinet.ui.server.ending import Crew, Ending
from hpinet.ui.server.storage import results_root
from hpinet.wording import time_left

REPORT_EVERY_SECONDS = 0.1
TICK_SECONDS = 0.3
PREPARED = 0.01  # the part of the bar for what comes before the work
P = ParamSpec("P")
T = TypeVar("T")


@lru_cache(maxsize=1)
def turns() -> Turns:
    """The order in which the heavy jobs of this process work."""
    limits = settings()
    return Turns(
        budget_mb=limits.jobs_mb,
        most=limits.jobs,
        per_session=limits.jobs_per_session,
        per_address=limits.jobs_per_address,
        at_once=elsewhere.at_once,
    )


_SECRET = secrets.token_bytes()
CREW = Crew()
atexit.register(CREW.close)


@dataclass(frozen=True)
class _Failed:
    """An error on its way back from a worker: exceptions lose their kind and message there, values do not."""

    error: HPINetError


@dataclass(frozen=True)
class Needs:
    """What heavy work needs of this machine, and what ends it."""

    stop: "StopFlag"
    megabytes: float
    seconds: float  # expected, with nothing else to do
    held_mb: float = 0.0  # while it waits


def heavy(
    duration: Callable[P, int] | int | None, needs: Callable[P, Needs]
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates work for a GPU, if there is one, with the server waiting for the work when it ends.

    Here the work takes turns with all other, see `hpinet.ui.jobs.turns`; on ZeroGPU the scheduler decides, but for work
    without a ``duration``, which takes turns there too; parts of it may be `lent` a GPU. ``needs`` is called with the
    work's arguments, as ``duration`` is.

    An HPINetError that the work raises reaches the caller as it was raised, from a worker process too.
    """

    def decorate(work: Callable[P, T]) -> Callable[P, T]:
        run = work if duration is None else lent(duration)(work)
        scheduled = IS_HERE and duration is not None

        @functools.wraps(work)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            if CREW.closing:
                raise Ending
            needed = needs(*args, **kwargs)
            kind = work.__module__.rpartition(".")[2]
            visitor, is_elsewhere = needed.stop.visitor, elsewhere.takes(kind)
            load = Load(visitor, needed.megabytes, needed.seconds, needed.held_mb, elsewhere=is_elsewhere)
            bar = gr.Progress()

            def tell(place: Place) -> None:
                starts, ends = time_left(place.starts_in), time_left(place.ends_in)
                bar(0, desc=f"Number {place.number} in the queue: starts in {starts}, done in {ends}")

            turn = nullcontext() if scheduled else turns().job(load, stopped=needed.stop.ends, waiting=tell)
            with CREW, journal.kept(kind, megabytes=load.megabytes, expected=load.seconds), turn:
                return run(*args, **kwargs)

        return call

    return decorate


def lent(duration: Callable[P, int] | int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a part of heavy work for a GPU, if there is one; others have the turns while it is lent.

    An HPINetError that the part raises reaches the caller as it was raised, from a worker process too.
    """

    def decorate(work: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(work)
        def returning(*args: P.args, **kwargs: P.kwargs) -> T | _Failed:
            try:
                return work(*args, **kwargs)
            except HPINetError as error:
                return _Failed(error)

        run = on_gpu(returning, duration=duration)

        @functools.wraps(work)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            with turns().away() if IS_HERE else nullcontext():
                result = run(*args, **kwargs)
            if isinstance(result, _Failed):
                raise result.error
            return result

        return call

    return decorate


@dataclass(frozen=True)
class StopFlag:
    """A visitor's Stop button, as a file: the one thing that reaches a forked worker."""

    path: Path
    visitor: Visitor
    call: Path | None = None  # the same for this call alone, see `hpinet.ui.server.cancelling`

    @classmethod
    def of(cls, request: gr.Request | None, work: str) -> "StopFlag":
        """The flag for one kind of work of the session behind a request; of nobody's when there is none."""
        session = (request and request.session_hash) or secrets.token_hex()
        name = hashlib.sha256(f"{work} {session}".encode()).hexdigest()  # the client chooses its session's name
        address = getattr(getattr(request, "client", None), "host", "")
        event = LocalContext.event_id.get(None)
        return cls(
            results_root() / f"{name}.stop",
            Visitor(_opaque(session), address and _opaque(address), passes_by=session == event),
            flag_of(event) if event else None,
        )

    def raise_it(self) -> None:
        """Asks the work to stop."""
        self.path.touch()

    def lower(self) -> None:
        """Takes that back, for new work."""
        self.path.unlink(missing_ok=True)

    @property
    def is_raised(self) -> bool:
        """Whether the work should stop."""
        return self.path.exists() or (self.call is not None and self.call.exists())

    def ends(self) -> bool:
        """Whether the work should stop for any reason."""
        return CREW.closing or self.is_raised

    def reason(self) -> Cancelled:
        """What to raise then."""
        return Ending() if CREW.closing else Cancelled()


_newest: dict[Path, Path | None] = {}  # by session and kind of work: how the call is ended that counts there
_announced: dict[Path, float] = {}  # the same, when a call was announced that has not begun
_SOON = 10.0  # seconds from then until nobody counts on it


def announce(stop: StopFlag) -> None:
    """Says that work of this kind is about to begin in this session, see `is_under_way`."""
    _announced[stop.path] = time.monotonic()


@contextmanager
def only_one(stop: StopFlag) -> Iterator[None]:
    """Within this, a call is the only one of its kind in its session: the one before is asked to end.

    A page cannot see to that alone: between two quick clicks it does not know yet of the work that the first begins.
    """
    end_newest(stop)
    _announced.pop(stop.path, None)
    _newest[stop.path] = stop.call
    try:
        yield
    finally:
        if _newest.get(stop.path) == stop.call:
            _newest.pop(stop.path, None)


def end_newest(stop: StopFlag) -> None:
    """Asks the call to end that is under way in this session, if one is."""
    newest = _newest.get(stop.path)
    if newest is not None and newest != stop.call:
        newest.touch()


def is_under_way(stop: StopFlag) -> bool:
    """Whether a call of this kind works in this session, or is about to, that nobody has ended."""
    newest = _newest.get(stop.path)
    is_soon = time.monotonic() - _announced.get(stop.path, -math.inf) < _SOON
    return is_soon or (newest is not None and not newest.exists())


def _opaque(name: str) -> str:
    """Tells names apart within this process and says nothing outside it."""
    return hashlib.blake2b(name.encode(), key=_SECRET, digest_size=16).hexdigest()


class Reporter:
    """The package's progress callback on a Gradio page: a bar, the time left, and Stop."""

    def __init__(
        self,
        label: str,
        stop: StopFlag,
        *,
        start: float = 0.0,
        share: float = 1.0,
        countdown: Countdown | None = None,
    ) -> None:
        self.label, self.stop = label, stop
        self.start, self.share = start, share  # of the whole bar, when there is more than one picture
        self.countdown = countdown  # of the whole; made when the work begins if there is none
        self.expected: float | None = None  # seconds
        self.words = label
        self.told = time.monotonic()
        self.bar = gr.Progress()

    def __call__(self, done: int, total: int) -> None:
        """See `hpinet.progress`. Raises Cancelled once Stop has been pressed or the server ends."""
        if not turns().take(stopped=self.stop.ends):
            raise self.stop.reason()
        now = time.monotonic()
        if now - self.told < REPORT_EVERY_SECONDS and 0 < done < total:
            return
        self.told = now
        if self.stop.ends():
            raise self.stop.reason()
        if self.countdown is None:
            self.countdown = Countdown(self.expected)
        self.countdown.hear(self.start + self.share * (done / total if total else 0.0))
        self._show(self.countdown)

    def say(self, words: str, fraction: float = 0.001) -> None:
        """What is done before the work or after it; without a number, Gradio would not show it."""
        self.words = words
        self.bar(self.start + self.share * fraction, desc=words)

    @contextmanager
    def ticking(self, expected: float) -> Iterator[None]:
        """Within this, what is shown moves while the work says nothing, once it has begun.

        ``expected`` are the seconds that it should take. Not in workers: there the work is short.
        """
        if IS_HERE:
            yield
            return
        self.expected = expected
        over = threading.Event()
        ticker = threading.Thread(target=copy_context().run, args=(self._tick, over), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            over.set()
            ticker.join()

    def _tick(self, over: threading.Event) -> None:
        before = 0.0
        while not over.wait(TICK_SECONDS):
            if self.countdown is not None:
                self._show(self.countdown)
            else:  # a model is loaded, say: a little of the way, less and less
                before += (PREPARED - before) / 20
                self.bar(self.start + self.share * before, desc=self.words)

    def _show(self, countdown: Countdown) -> None:
        fraction, left = countdown.now()
        words = self.label if left is None or left < 1 else f"{self.label}: {time_left(left)} left"
        self.bar(fraction, desc=words)


def gpu_seconds(work: Sequence[tuple[Choice, Plan]], *, rounds: int = 1) -> int:
    """What to ask of ZeroGPU for some work.

    ``rounds`` is how often the network goes over each picture, see `hpinet.upscaler.rounds_over`.
    """
    return PACE.to_ask_for(sum(operations(choice, plan, rounds=rounds) for choice, plan in work))
