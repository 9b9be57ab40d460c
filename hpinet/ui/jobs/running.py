"""What heavy work has in common: a GPU if there is one, progress, Stop, and an end that cuts nothing off.

Everything crosses this border as paths and small records: on ZeroGPU the work runs in a forked process.
"""

import atexit
import functools
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ParamSpec, TypeVar

import gradio as gr
from gradio.context import LocalContext

from hpinet.errors import Cancelled, HPINetError
from hpinet.plan import Plan
from hpinet.settings import settings
from hpinet.ui.jobs import journal
from hpinet.ui.jobs.models import Choice, operations
from hpinet.ui.jobs.turns import Load, Place, Turns, Visitor
from hpinet.ui.jobs.zerogpu import IS_HERE, PACE, on_gpu
from hpinet.ui.server.cancelling import flag_of
from hpinet.ui.server.storage import results_root
from hpinet.wording import time_left

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


@lru_cache(maxsize=1)
def turns() -> Turns:
    """The order in which the heavy jobs of this process work."""
    limits = settings()
    return Turns(
        budget_mb=limits.jobs_mb,
        most=limits.jobs,
        per_session=limits.jobs_per_session,
        per_address=limits.jobs_per_address,
    )


_SECRET = secrets.token_bytes()
CREW = _Crew()
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


def heavy(duration: Callable[P, int] | int, needs: Callable[P, Needs]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates work for a GPU, if there is one, with the server waiting for the work when it ends.

    Here the work takes turns with all other, see `hpinet.ui.jobs.turns`; on ZeroGPU the scheduler decides.
    ``needs`` is called with the work's arguments, as ``duration`` is.

    An HPINetError that the work raises reaches the caller as it was raised, from a worker process too.
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
            needed = needs(*args, **kwargs)
            load = Load(needed.stop.visitor, needed.megabytes, needed.seconds)
            bar = gr.Progress()

            def tell(place: Place) -> None:
                starts, ends = time_left(place.starts_in), time_left(place.ends_in)
                bar(0, desc=f"Number {place.number} in the queue: starts in {starts}, done in {ends}")

            kind = work.__module__.rpartition(".")[2]
            with CREW, journal.kept(kind, megabytes=load.megabytes, expected=load.seconds):
                with nullcontext() if IS_HERE else turns().job(load, stopped=needed.stop.ends, waiting=tell):
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
            Visitor(_opaque(session), address and _opaque(address)),
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


def _opaque(name: str) -> str:
    """Tells names apart within this process and says nothing outside it."""
    return hashlib.blake2b(name.encode(), key=_SECRET, digest_size=16).hexdigest()


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
        if not turns().take(stopped=self.stop.ends):
            raise Cancelled
        now = time.monotonic()
        if now - self.told < REPORT_EVERY_SECONDS and 0 < done < total:
            return
        self.told = now
        if self.stop.ends():
            raise Cancelled
        fraction = self.start + self.share * (done / total if total else 0.0)
        self.bar(fraction, desc=self._words(fraction, now - self.began))

    def _words(self, fraction: float, elapsed: float) -> str:
        if fraction < 0.02 or elapsed < 0.5:
            return self.label
        return f"{self.label}: {time_left(elapsed * (1 - fraction) / fraction)} left"


def gpu_seconds(work: Sequence[tuple[Choice, Plan]], *, rounds: int = 1) -> int:
    """What to ask of ZeroGPU for some work.

    ``rounds`` is how often the network goes over each picture, see `hpinet.upscaler.rounds_over`.
    """
    return PACE.to_ask_for(sum(operations(choice, plan, rounds=rounds) for choice, plan in work))
