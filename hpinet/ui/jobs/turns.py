"""Heavy jobs take turns, so that a small picture does not wait until a large one is done.

Who is under way is decided by memory; those that wait may together hold as much again, of pictures that were opened
already. Who works is decided by the least attained service: the visitor who has had the least of the machine so far
goes first, and whoever waits grows more urgent, so that nobody starves. That needs no forecast, and in simulation
(`tests/ui/jobs/test_turns.py`) serves short jobs about as well as knowing what remains of each would.
A job changes hands only inside its progress callback, where it holds no lock and no other thread works for it for long.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hpinet.errors import HPINetError

SLICE_SECONDS = 0.1
"""The least that a job works once it is its turn: changing more often only cools the caches."""

FORGET_SECONDS = 30.0
"""How long after a visitor's last job what they have had still counts: pictures of a batch follow one another."""

SMALL_SHARE = 1 / 16
"""A job that needs no more than this part of the memory is small: small ones never wait for room with large ones."""

MOST_BATCHES = 16
"""Batches of all visitors together: each has a thread of Gradio's until its last picture is done, waiting included."""

_LOOK_UP_SECONDS = 0.2  # how often a waiting job looks whether it was stopped


class BusyError(HPINetError):
    """A visitor has as much work here as one may have at a time, or all together have."""


_TOO_MANY = "Too many people are waiting: try again in a minute."


def _too_many_of_yours(count: int) -> str:
    return f"You have as many jobs here as you may ({count}): wait until one of them is done, or stop one."


@dataclass(frozen=True)
class Visitor:
    """Whose work it is. Both are opaque, and known to this process alone."""

    session: str
    address: str = ""  # empty if unknown, which no cap applies to
    passes_by: bool = False  # a program that names no session: each of its calls is one of its own

    @property
    def account(self) -> str:
        """Whose time of the machine it is: of programs that pass by, all from one address together."""
        return self.address if self.passes_by and self.address else self.session


@dataclass(frozen=True)
class Load:
    """What a job means for the machine."""

    visitor: Visitor
    megabytes: float
    seconds: float  # expected, with the machine to itself
    held_mb: float = 0.0  # of its picture, while it waits for room
    elsewhere: bool = False  # other machines do it


@dataclass(frozen=True)
class Place:
    """What a job that waits for room may expect."""

    number: int  # 1 is next
    starts_in: float  # seconds
    ends_in: float


def urgency(attained: float, waited: float) -> float:
    """The lowest goes first: seconds of service so far, less and less the longer ago the last of them was."""
    return attained / (1 + waited)


@dataclass(eq=False)
class _Account:
    """What a visitor has had of the machine."""

    attained: float = 0.0
    seen: float = 0.0


@dataclass(eq=False)
class _Job:
    load: Load
    account: _Account
    rested_at: float  # when its last slice ended, or when it came
    done: float = 0.0  # seconds that it worked
    under_way: bool = False
    away: bool = False  # under way, and done elsewhere for now
    slice_at: float = field(default=0.0)

    @property
    def remaining(self) -> float:
        return max(0.0, self.load.seconds - self.done)


class Turns:
    """The jobs of this process. Safe to use from many threads, each of which does one job at a time.

    One works here at a time, and ``at_once`` says how many do where other machines do the work.
    """

    def __init__(
        self,
        *,
        budget_mb: float,
        most: int,
        per_session: int,
        per_address: int,
        at_once: Callable[[], int] = lambda: 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget_mb, self._most, self._per_session, self._per_address = budget_mb, most, per_session, per_address
        self._at_once, self._clock = at_once, clock
        self._jobs: list[_Job] = []  # in order of arrival
        self._batches: list[Visitor] = []
        self._working: list[_Job] = []
        self._accounts: dict[str, _Account] = {}
        self._changed = threading.Condition()
        self._mine = threading.local()  # a forked worker's thread has none: there nobody takes turns

    @contextmanager
    def job(
        self, load: Load, *, stopped: Callable[[], bool], waiting: Callable[[Place], None] = lambda _place: None
    ) -> Iterator[None]:
        """Waits for room and for the first turn, and holds both until the block ends.

        Args:
            load: What the job needs.
            stopped: Whether to give up: the block then begins at once, for its first callback to end it.
            waiting: Is told again and again while there is no room.

        Raises BusyError if the visitor has too many jobs here, or all visitors together.
        """
        job = self._enter(load)
        try:
            self._wait_for_room(job, stopped, waiting)
            with self._changed:
                self._choose()
                self._wait_for_turn(job, stopped)
            self._mine.job = job
            yield
        finally:
            self._mine.job = None
            self._leave(job)

    @contextmanager
    def batch(self, visitor: Visitor) -> Iterator[None]:
        """Counts a batch until the block ends: work whose jobs follow one another, and wait where others are refused.

        Raises BusyError if there are too many; an address has the same part of them as of the jobs.
        """
        with self._changed:
            of_address = sum(other.address == visitor.address for other in self._batches)
            per_address = max(1, MOST_BATCHES * self._per_address // self._most)
            if visitor.address and of_address >= per_address:
                raise BusyError(_too_many_of_yours(per_address))
            if len(self._batches) >= MOST_BATCHES:
                raise BusyError(_TOO_MANY)
            self._batches.append(visitor)
        try:
            yield
        finally:
            with self._changed:
                self._batches.remove(visitor)

    def lets_in(self, visitor: Visitor, *, held_mb: float) -> bool:
        """Whether a job of theirs that holds so much while it waits would not be refused now."""
        with self._changed:
            return not self._refusal(visitor, held_mb)

    def take(self, *, stopped: Callable[[], bool]) -> bool:
        """Called by a job between two pieces of work: returns when it is its turn, or False once ``stopped``."""
        job: _Job | None = getattr(self._mine, "job", None)
        if job is None:
            return True
        with self._changed:
            now = self._clock()
            if job in self._working and now - job.slice_at < SLICE_SECONDS:
                return True
            self._rest(job)
            self._choose()
            return self._wait_for_turn(job, stopped)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Within this the job of the calling thread, if it has one, keeps its room, and leaves the turns to others."""
        job: _Job | None = getattr(self._mine, "job", None)
        if job is None:
            yield
            return
        with self._changed:
            self._rest(job)
            job.away = True
            self._choose()
        self._mine.job = None  # what calls back meanwhile waits for nobody
        try:
            yield
        finally:
            self._mine.job = job
            with self._changed:
                job.away, job.rested_at = False, self._clock()
                self._choose()
                self._wait_for_turn(job, lambda: False)

    @property
    def counts(self) -> tuple[int, int]:
        """(waiting for room, under way)."""
        with self._changed:
            under_way = sum(job.under_way for job in self._jobs)
            return len(self._jobs) - under_way, under_way

    def _enter(self, load: Load) -> _Job:
        with self._changed:
            if refusal := self._refusal(load.visitor, load.held_mb):
                raise BusyError(refusal)
            now = self._clock()
            for name, account in list(self._accounts.items()):
                is_here = any(job.account is account for job in self._jobs)
                if not is_here and now - account.seen > FORGET_SECONDS:
                    del self._accounts[name]
            job = _Job(load, self._accounts.setdefault(load.visitor.account, _Account()), now)
            self._jobs.append(job)
            return job

    def _refusal(self, visitor: Visitor, held_mb: float) -> str:
        """Why a job cannot be let in; empty if it can."""
        of_session = sum(job.load.visitor.session == visitor.session for job in self._jobs)
        of_address = sum(job.load.visitor.address == visitor.address for job in self._jobs)
        if of_session >= self._per_session:
            return _too_many_of_yours(self._per_session)
        if visitor.address and of_address >= self._per_address:
            return _too_many_of_yours(self._per_address)
        held = sum(job.load.held_mb for job in self._jobs if not job.under_way)
        is_full = len(self._jobs) >= self._most or (held and held + held_mb > self._budget_mb)
        return _TOO_MANY if is_full else ""

    def _leave(self, job: _Job) -> None:
        with self._changed:
            self._rest(job)
            job.account.seen = self._clock()
            self._jobs.remove(job)
            self._choose()
            self._changed.notify_all()

    def _wait_for_room(self, job: _Job, stopped: Callable[[], bool], waiting: Callable[[Place], None]) -> None:
        while True:
            with self._changed:
                if self._has_room(job) or stopped():
                    job.under_way = True
                    return
                place = self._place(job)
            waiting(place)
            with self._changed:
                if not self._has_room(job):
                    self._changed.wait(_LOOK_UP_SECONDS)

    def _has_room(self, job: _Job) -> bool:
        """Whether the next of its kind fits: small ones share a quarter of the memory, large ones the rest.

        One of each kind always fits, and nobody overtakes another of their kind. Where other machines do the work, each
        has as much memory; what is done here has this one's.
        """
        small = self._is_small(job)
        kind = [other for other in self._beside(job) if self._is_small(other) == small]
        if any(not other.under_way for other in kind[: kind.index(job)]):
            return False
        used = sum(other.load.megabytes for other in kind if other.under_way)
        share = self._budget_mb * (0.25 if small else 0.75) * self._abreast(job)
        return not used or used + job.load.megabytes <= share

    def _beside(self, job: _Job) -> list[_Job]:
        """All that are done where this one is, itself included, in order of arrival."""
        return [other for other in self._jobs if other.load.elsewhere == job.load.elsewhere]

    def _abreast(self, job: _Job) -> int:
        """How many may work at a time where this one does."""
        return self._at_once() if job.load.elsewhere else 1

    def _is_small(self, job: _Job) -> bool:
        return job.load.megabytes <= SMALL_SHARE * self._budget_mb

    def _place(self, job: _Job) -> Place:
        """At worst: everybody under way and ahead is done first."""
        beside = self._beside(job)
        ahead = [other for other in beside[: beside.index(job)] if not other.under_way]
        number = 1 + sum(self._is_small(other) == self._is_small(job) for other in ahead)
        starts_in = sum(other.remaining for other in beside if other.under_way or other in ahead)
        return Place(number, starts_in, starts_in + job.load.seconds)

    def _wait_for_turn(self, job: _Job, stopped: Callable[[], bool]) -> bool:
        while job not in self._working:
            if stopped():
                return False
            self._changed.wait(_LOOK_UP_SECONDS)
        return True

    def _rest(self, job: _Job) -> None:
        if job in self._working:
            now = self._clock()
            job.account.attained += now - job.slice_at
            job.done += now - job.slice_at
            job.rested_at = now
            self._working.remove(job)

    def _choose(self) -> None:
        """Gives turns to the most urgent, while there are any to give."""
        now = self._clock()
        ready = [job for job in self._jobs if job.under_way and not job.away and job not in self._working]
        for job in sorted(ready, key=lambda job: urgency(job.account.attained, now - job.rested_at)):
            if sum(other.load.elsewhere == job.load.elsewhere for other in self._working) < self._abreast(job):
                job.slice_at = now
                self._working.append(job)
                self._changed.notify_all()
