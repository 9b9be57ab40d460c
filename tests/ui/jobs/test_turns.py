"""Turns of heavy jobs: the policy in simulation, and the threads."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from hpinet.ui.jobs.turns import (
    MOST_BATCHES,
    SLICE_SECONDS,
    BusyError,
    Load,
    Place,
    Turns,
    Visitor,
    urgency,
)

# ------------------------------------------------------------------------------------------------------ the simulation


@dataclass(eq=False)
class Simulated:
    """A job, and what has become of it."""

    arrives: float
    seconds: float
    forecast: float
    attained: float = 0.0
    rested_at: float = 0.0
    ends: float = 0.0

    @property
    def slowdown(self) -> float:
        """How many times longer it takes than alone."""
        return (self.ends - self.arrives) / self.seconds


Policy = Callable[[Simulated, float], float]


def first_come(job: Simulated, now: float) -> float:
    return job.arrives


def shortest_remaining(job: Simulated, now: float) -> float:
    return max(0.0, job.forecast - job.attained) / (1 + now - job.rested_at)


def least_attained(job: Simulated, now: float) -> float:
    return urgency(job.attained, now - job.rested_at)


def simulate(policy: Policy, jobs: list[Simulated]) -> list[Simulated]:
    """Lets jobs work one slice after the other."""
    coming = sorted(jobs, key=lambda job: job.arrives)
    here: list[Simulated] = []
    now = 0.0
    while coming or here:
        if not here:
            now = max(now, coming[0].arrives)
        while coming and coming[0].arrives <= now:
            job = coming.pop(0)
            job.rested_at = job.arrives
            here.append(job)
        job = min(here, key=lambda job: policy(job, now))
        worked = min(SLICE_SECONDS, job.seconds - job.attained)
        now += worked
        job.attained += worked
        job.rested_at = now
        if job.attained >= job.seconds - 1e-9:
            job.ends = now
            here.remove(job)
    return jobs


def crowd(seed: int) -> list[Simulated]:
    """An hour at seven tenths of what the machine can do: mostly seconds, now and then a quarter of an hour."""
    rng = random.Random(seed)
    jobs, at = [], 0.0
    while at < 3600:
        seconds = min(900.0, 0.4 * rng.paretovariate(1.1))
        jobs.append(Simulated(at, seconds, seconds * 4 ** rng.uniform(-1, 1)))
        at += rng.expovariate(0.7 / 2.5)
    return jobs


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


def test_short_jobs_fare_better_by_service_attained_than_by_arrival() -> None:
    def short(policy: Policy) -> list[float]:
        return [job.slowdown for seed in range(4) for job in simulate(policy, crowd(seed)) if job.seconds < 2]

    by_service, by_forecast, by_arrival = (short(p) for p in (least_attained, shortest_remaining, first_come))
    assert quantile(by_service, 0.95) < 3.5
    assert quantile(by_service, 0.95) < quantile(by_arrival, 0.95) / 10
    # Forecasts that are wrong by a factor of up to four either way gain little or nothing.
    assert quantile(by_service, 0.95) < 2 * quantile(by_forecast, 0.95) + 1


def test_nobody_starves() -> None:
    stream = [Simulated(0.5 * number, 0.45, 0.45) for number in range(2000)]
    large = Simulated(0.0, 60, 60)
    simulate(least_attained, [large, *stream])
    assert large.ends < 1000


def test_a_small_picture_beside_four_large_ones() -> None:
    for at in (0.0, 1.0, 100.0, 300.0):
        large, small = [Simulated(0.0, 75, 75) for _ in range(4)], Simulated(at, 0.4, 0.4)
        simulate(least_attained, [*large, small])
        assert small.ends - small.arrives < 3 * small.seconds + 2


# --------------------------------------------------------------------------------------------------------- the threads

NEVER: Callable[[], bool] = lambda: False  # noqa: E731


def turns(**options: float) -> Turns:
    limits = {"budget_mb": 1000, "most": 100, "per_session": 4, "per_address": 6, **options}
    return Turns(**limits)


def load(session: str, *, megabytes: float = 10, address: str = "", seconds: float = 1, held_mb: float = 0) -> Load:
    return Load(Visitor(session, address), megabytes, seconds, held_mb)


def started(*works: Callable[[], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    return threads


@contextmanager
def held(order: Turns, *loads: Load, until: Callable[[], bool]) -> Iterator[None]:
    """Within this, jobs of these loads are there, and as many of them under way as make ``until`` true."""
    stop = threading.Event()

    def hold(one: Load) -> None:
        with order.job(one, stopped=stop.is_set):
            stop.wait(10)

    threads = started(*(lambda one=one: hold(one) for one in loads))
    deadline = time.monotonic() + 10
    while not until() and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


def toil(order: Turns, name: str, seconds: float, ends: dict[str, float], alone: threading.Lock) -> None:
    """Works in pieces of 10 ms; two jobs that do so at once are an error."""
    with order.job(load(name), stopped=NEVER):
        done = 0.0
        while done < seconds:
            assert alone.acquire(blocking=False)
            time.sleep(0.01)
            done += 0.01
            alone.release()
            assert order.take(stopped=NEVER)
    ends[name] = time.monotonic()


def test_a_short_job_is_done_before_long_ones_and_nobody_works_beside_another() -> None:
    order, ends, alone = turns(), dict[str, float](), threading.Lock()
    long = started(*(lambda name=name: toil(order, name, 1.5, ends, alone) for name in "abc"))
    time.sleep(0.5)
    began = time.monotonic()
    [short] = started(lambda: toil(order, "short", 0.2, ends, alone))
    for thread in (short, *long):
        thread.join(60)
    assert set(ends) == {*"abc", "short"}
    assert min(ends, key=lambda name: ends[name]) == "short"
    assert ends["short"] - began < 3 * 0.2 + 2
    assert order.counts == (0, 0)


def test_programs_that_pass_by_share_what_one_address_has_had() -> None:
    """Each of their calls is a session of its own, which would always go first."""
    assert Visitor("call 1", "here", passes_by=True).account == Visitor("call 2", "here", passes_by=True).account
    assert Visitor("call 1", passes_by=True).account != Visitor("call 2", passes_by=True).account
    assert Visitor("page", "here").account != Visitor("call", "here", passes_by=True).account
    now = [0.0]
    order = Turns(budget_mb=1000, most=9, per_session=9, per_address=9, clock=lambda: now[0])
    for number in range(3):
        with order.job(Load(Visitor(f"call {number}", "here", passes_by=True), 10, 1), stopped=NEVER):
            now[0] += 1
    assert [account.attained for account in order._accounts.values()] == [3]


def test_stopped_jobs_wait_no_longer() -> None:
    order, entered, stop = turns(), threading.Event(), threading.Event()
    told: list[bool] = []

    def second() -> None:
        with order.job(load("b"), stopped=stop.is_set):
            told.append(order.take(stopped=stop.is_set))
        entered.set()

    with order.job(load("a"), stopped=NEVER):
        started(second)
        time.sleep(0.1)
        assert not entered.is_set()
        stop.set()
        assert entered.wait(1)
        assert told == [False]
        assert order.take(stopped=NEVER)


def test_large_jobs_wait_for_room_and_are_told_and_small_ones_pass() -> None:
    order, places, stop = turns(), list[Place](), threading.Event()

    def second() -> None:
        with order.job(load("b", megabytes=500, seconds=5), stopped=stop.is_set, waiting=places.append):
            pass

    with order.job(load("a", megabytes=5000, seconds=30), stopped=NEVER):  # alone, even the largest has room
        [large] = started(second)
        ends, alone = dict[str, float](), threading.Lock()
        [small] = started(lambda: toil(order, "small", 0.01, ends, alone))
        deadline = time.monotonic() + 10
        while not (ends and places) and time.monotonic() < deadline:
            time.sleep(SLICE_SECONDS)
            order.take(stopped=NEVER)
        small.join(10)
        assert ends
        assert order.counts == (1, 1)
        assert places[0].number == 1
        assert 29 < places[0].starts_in <= 30
        assert places[0].ends_in == places[0].starts_in + 5
    large.join(10)
    assert order.counts == (0, 0)


def test_caps() -> None:
    order = turns(per_session=2, per_address=3)
    with held(order, *(load(session, address="x") for session in "aab"), until=lambda: sum(order.counts) == 3):
        with pytest.raises(BusyError, match=r"\(2\)"), order.job(load("a", address="y"), stopped=NEVER):
            pass
        with pytest.raises(BusyError, match=r"\(3\)"), order.job(load("c", address="x"), stopped=NEVER):
            pass
    with order.job(load("a", address="x"), stopped=NEVER):
        pass


def test_pictures_that_wait_take_a_bounded_memory() -> None:
    order = turns()
    large = (load(session, megabytes=700, held_mb=400) for session in "abc")
    with held(order, *large, until=lambda: order.counts == (2, 1)):
        with pytest.raises(BusyError, match="Too many"), order.job(load("d", held_mb=300), stopped=NEVER):
            pass
        with order.job(load("d", held_mb=100), stopped=NEVER):  # small enough, and done before the others
            pass


def test_all_visitors_together_have_no_more_than_so_many() -> None:
    order = turns(most=1)
    with order.job(load("a"), stopped=NEVER):
        with pytest.raises(BusyError, match="Too many"), order.job(load("b"), stopped=NEVER):
            pass
        assert order.counts == (0, 1)


def test_there_are_only_so_many_batches() -> None:
    order = turns()
    with ExitStack() as under_way:
        for number in range(MOST_BATCHES):
            under_way.enter_context(order.batch(Visitor(f"{number}", f"address {number}")))
        with pytest.raises(BusyError, match="Too many"), order.batch(Visitor("one more", "elsewhere")):
            pass
    with order.batch(Visitor("one more", "elsewhere")):
        pass


@pytest.mark.parametrize(("per_address", "share"), [(1, 1), (50, MOST_BATCHES // 2), (200, MOST_BATCHES)])
def test_an_address_has_its_part_of_the_batches(per_address: int, share: int) -> None:
    order = turns(per_address=per_address)
    with ExitStack() as under_way:
        for number in range(share):
            under_way.enter_context(order.batch(Visitor(f"{number}", "x")))
        with pytest.raises(BusyError), order.batch(Visitor("one more", "x")):
            pass
        if share < MOST_BATCHES:
            under_way.enter_context(order.batch(Visitor("another", "y")))
            under_way.enter_context(order.batch(Visitor("nobody knows where")))


def test_who_would_be_refused_is_told_without_a_job() -> None:
    order = turns(per_session=2)
    assert order.lets_in(Visitor("a"), held_mb=5000)
    large = (load(session, megabytes=700, held_mb=400) for session in "aab")
    with held(order, *large, until=lambda: order.counts == (2, 1)):
        assert not order.lets_in(Visitor("a"), held_mb=0)
        assert order.lets_in(Visitor("b"), held_mb=200)
        assert not order.lets_in(Visitor("b"), held_mb=300)


def test_what_takes_no_turns_is_not_held_up() -> None:
    assert turns().take(stopped=NEVER)


def test_a_job_that_is_done_elsewhere_for_now_keeps_its_room_and_leaves_its_turn_to_others() -> None:
    order, ends, alone, places, stop = turns(), dict[str, float](), threading.Lock(), list[Place](), threading.Event()

    def another() -> None:
        with order.job(load("b", megabytes=800), stopped=stop.is_set, waiting=places.append):
            pass

    with order.away():  # without a job there is nothing to leave
        pass
    with order.job(load("a", megabytes=800), stopped=NEVER):
        [small, large] = started(lambda: toil(order, "small", 0.05, ends, alone), another)
        with order.away():
            small.join(10)
            assert ends
            deadline = time.monotonic() + 10
            while not places and time.monotonic() < deadline:
                time.sleep(0.01)
            assert order.counts == (1, 1)
            assert order.take(stopped=NEVER)  # by whoever works there
        stop.set()
    large.join(10)
    assert order.counts == (0, 0)


def test_a_job_that_is_back_waits_for_its_turn() -> None:
    order, busy, free = turns(), threading.Event(), threading.Event()

    def other() -> None:
        with order.job(load("a"), stopped=NEVER):
            busy.set()
            free.wait(10)

    with order.job(load("b"), stopped=NEVER):
        began = time.monotonic()
        with order.away():
            [thread] = started(other)
            assert busy.wait(10)
            threading.Timer(0.3, free.set).start()
        assert time.monotonic() - began > 0.25
        thread.join(10)


@pytest.mark.parametrize(("elsewhere", "expected"), [(True, 3), (False, 1)])
def test_where_other_machines_work_several_do_at_once(elsewhere: bool, expected: int) -> None:
    """What is done here takes turns there too."""
    order, working, most = Turns(budget_mb=1000, most=100, per_session=4, per_address=6, at_once=lambda: 3), [0], [0]
    lock = threading.Lock()

    def one(name: str) -> None:
        with order.job(Load(Visitor(name), 10, 1, elsewhere=elsewhere), stopped=NEVER):
            for _ in range(20):
                with lock:
                    working[0] += 1
                    most[0] = max(most[0], working[0])
                time.sleep(0.01)
                with lock:
                    working[0] -= 1
                assert order.take(stopped=NEVER)

    for thread in started(*(lambda name=name: one(name) for name in "abcdefgh")):
        thread.join(60)
        assert not thread.is_alive()
    assert most[0] == expected
    assert order.counts == (0, 0)


@pytest.mark.parametrize("machines", [1, 3])
def test_other_machines_have_memory_of_their_own(machines: int) -> None:
    """Each as much as this one: a large picture need not wait for room while a machine has nothing to do."""
    order = Turns(budget_mb=1000, most=100, per_session=9, per_address=9, at_once=lambda: machines)
    waited: list[int] = []

    def begin(under_way: ExitStack) -> None:
        large = Load(Visitor("a"), 700, 1, elsewhere=machines > 1)
        job = order.job(large, stopped=lambda: bool(waited), waiting=lambda place: waited.append(place.number))
        under_way.enter_context(job)

    with ExitStack() as under_way:
        for _ in range(machines):
            begin(under_way)
        assert not waited
        begin(under_way)
        assert waited


def test_work_here_has_the_memory_of_this_machine_alone() -> None:
    """And waits for nothing that other machines do, nor they for it."""
    order = Turns(budget_mb=1000, most=100, per_session=9, per_address=9, at_once=lambda: 3)
    here, there = (Load(Visitor("a"), 700, 30, elsewhere=elsewhere) for elsewhere in (False, True))
    places: list[Place] = []

    def begin(load: Load) -> None:
        job = order.job(load, stopped=lambda: bool(places), waiting=places.append)
        under_way.enter_context(job)

    with ExitStack() as under_way:
        for each in (there, here, there):
            begin(each)
        assert not places
        begin(here)
        assert places[0].number == 1
        assert places[0].starts_in <= 30
