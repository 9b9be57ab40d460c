"""Stop flags, progress in words, and what is asked of a GPU."""

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import gradio as gr
import pytest
from gradio.context import LocalContext

from hpinet.attribution.explain import Explanation
from hpinet.attribution.lam import BlurPath
from hpinet.errors import Cancelled, ImageError
from hpinet.images import open_picture
from hpinet.plan import Plan, TargetSize, make_plan
from hpinet.settings import settings
from hpinet.ui.jobs import running, zerogpu
from hpinet.ui.jobs.countdown import Countdown
from hpinet.ui.jobs.enlarge import Wanted, _run
from hpinet.ui.jobs.explain import Question, _look
from hpinet.ui.jobs.measure import Trial, _restore, _Task
from hpinet.ui.jobs.models import choice_of
from hpinet.ui.jobs.running import Needs, Reporter, StopFlag, gpu_seconds, heavy
from hpinet.ui.jobs.turns import Visitor
from hpinet.ui.server.storage import results_root
from hpinet.ui.tabs.lens import _enlarged

T = TypeVar("T")


def visitor(session: str | None) -> gr.Request:
    return cast(gr.Request, SimpleNamespace(session_hash=session))


def little(*_: Any, **__: Any) -> Needs:
    return Needs(StopFlag.of(None, "nothing"), megabytes=1, seconds=1)


def test_flags_are_of_one_visitor_and_one_kind_of_work() -> None:
    mine, yours = StopFlag.of(visitor("a"), "upscale"), StopFlag.of(visitor("b"), "upscale")
    mine.raise_it()
    assert StopFlag.of(visitor("a"), "upscale").is_raised
    assert not yours.is_raised
    assert not StopFlag.of(visitor("a"), "batch").is_raised
    mine.lower()
    mine.lower()
    assert not StopFlag.of(visitor("a"), "upscale").is_raised


def test_no_session_shares_no_flag() -> None:
    assert StopFlag.of(visitor(None), "api") != StopFlag.of(visitor(None), "api")
    assert StopFlag.of(None, "api") != StopFlag.of(None, "api")


@pytest.mark.parametrize("session", ["the call", "a session"])
def test_a_call_without_a_session_passes_by(session: str) -> None:
    token = LocalContext.event_id.set("the call")
    try:
        assert StopFlag.of(visitor(session), "api").visitor.passes_by == (session == "the call")
    finally:
        LocalContext.event_id.reset(token)
    assert not StopFlag.of(visitor(session), "api").visitor.passes_by


def test_session_names_are_not_paths() -> None:
    flag = StopFlag.of(visitor("../../../etc/cron.d/x"), "upscale")
    assert flag.path.parent == results_root()


class Bar:
    """Stands for `gradio.Progress`."""

    def __init__(self) -> None:
        self.told: list[tuple[float, str]] = []

    def __call__(self, fraction: float, desc: str) -> None:
        self.told.append((fraction, desc))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(running.gr, "Progress", Bar)
    return now


def reporter(**options: Any) -> tuple[Reporter, Bar]:
    made = Reporter("Enlarging", StopFlag.of(visitor("clock"), "upscale"), **options)
    return made, cast(Bar, made.bar)


def test_time_left(clock: list[float]) -> None:
    report, bar = reporter()
    report(0, 100)
    clock[0] += 10
    report(20, 100)
    clock[0] += 290
    report(50, 100)
    assert bar.told == [(0, "Enlarging"), (0.2, "Enlarging: 40 s left"), (0.5, "Enlarging: 5 min 0 s left")]


def test_it_ticks_while_the_work_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running.gr, "Progress", Bar)
    monkeypatch.setattr(running, "TICK_SECONDS", 0.02)
    report, bar = reporter()
    report.say("Loading")
    with report.ticking(expected=20.0):
        time.sleep(0.1)
        assert {words for _, words in bar.told} == {"Loading"}
        bar.told.clear()
        report(0, 100)
        time.sleep(0.2)
    fractions = [fraction for fraction, _ in bar.told]
    assert len(fractions) > 3
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] < 0.2
    assert bar.told[-1][1] == "Enlarging: 19 s left"


def test_not_every_step_is_told_but_the_last_one(clock: list[float]) -> None:
    report, bar = reporter()
    for done in range(1001):
        clock[0] += 0.001
        report(done, 1000)
    assert 5 < len(bar.told) < 15
    assert bar.told[-1][0] == 1


def test_a_share_of_the_bar(clock: list[float]) -> None:
    report, bar = reporter(start=0.5, share=0.25, countdown=Countdown())
    clock[0] += 9
    report(0, 2)
    clock[0] += 1
    report(1, 2)
    assert bar.told == [(0.5, "Enlarging: 9 s left"), (0.625, "Enlarging: 6 s left")]  # of the whole bar


def test_stop_raises(clock: list[float]) -> None:
    report, _ = reporter()
    report.stop.raise_it()
    clock[0] += 1
    with pytest.raises(Cancelled):
        report(1, 2)
    report.stop.lower()
    report(1, 2)


def test_everything_crosses_to_a_worker() -> None:
    """ZeroGPU pickles arguments and results."""
    flag = StopFlag.of(visitor("a"), "upscale")
    assert pickle.loads(pickle.dumps(Reporter("Enlarging", flag))).stop == flag
    for error in (ImageError("What is wrong."), Cancelled()):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy)) == (type(error), str(error))


def test_errors_of_heavy_work_arrive_as_they_were_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    # As ZeroGPU has it: what comes back from a worker has been pickled, and of exceptions a name is left.
    def gpu(duration: int) -> Callable[[Callable[[], object]], Callable[[], object]]:
        def decorate(work: Callable[[], object]) -> Callable[[], object]:
            def in_worker() -> object:
                try:
                    return pickle.loads(pickle.dumps(work()))
                except Exception as error:
                    raise RuntimeError(type(error).__name__) from None

            return in_worker

        return decorate

    monkeypatch.setattr(zerogpu.spaces, "GPU", gpu)
    for error in (ImageError("What is wrong."), Cancelled()):

        @heavy(duration=15, needs=little)
        def fail(error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error), match=str(error)):
            fail()


def there_and_back(value: T) -> T:
    return pickle.loads(pickle.dumps(value))


@pytest.mark.usefixtures("own_engine")
def test_so_does_what_the_other_tabs_ask_and_are_told(picture: Path) -> None:
    """What runs on the GPU itself, called as a worker would call it."""
    flag = StopFlag.of(visitor("a"), "measure")
    plan = make_plan((28, 20), TargetSize(scale=2), natives=choice_of("T").natives)
    small, reporter = open_picture(picture), Reporter("Enlarging", flag)
    way = Wanted("T", TargetSize(scale=2)).plan((small.width, small.height))
    larger = there_and_back(_run(*there_and_back(("T", "clean", small, way, reporter)))).result
    assert (larger.width, larger.height) == way.target

    trials = [Trial(choice_of("T"), plan, "clean"), Trial(choice_of("T"), plan, "auto")]
    attempts = there_and_back(_restore(there_and_back(_Task(picture, small, 2, trials, flag))))
    assert [one.name for one in attempts] == ["hpinet-t-x2", "hpinet-t-x2, treated"]
    assert all((one.picture.width, one.picture.height) == plan.target for one in attempts)

    question = Question(picture, 14, 10, "T", 4, flag, path=BlurPath(steps=1), window=8)
    explanation, _ = there_and_back(_look(*there_and_back((question, 0.0, small.to_8_bit_rgb()))))
    assert isinstance(explanation, Explanation)

    views = there_and_back(_enlarged(*there_and_back((open_picture(picture), "clean", flag))))
    assert [name for name, _ in views] == ["bicubic", "hpinet-t-x4"]


def test_of_a_kind_of_work_the_newest_call_counts(tmp_path: Path) -> None:
    first, second, other = (
        StopFlag(tmp_path / kind, Visitor("a"), tmp_path / call) for kind, call in (("x", "1"), ("x", "2"), ("y", "3"))
    )
    assert not running.is_under_way(first)
    running.announce(first)
    assert running.is_under_way(second)
    with running.only_one(first), running.only_one(other):
        assert running.is_under_way(first)
        assert not first.is_raised
        with running.only_one(second):
            assert first.is_raised
            assert running.is_under_way(first)  # the second
            running.end_newest(first)
            assert second.is_raised
            assert not running.is_under_way(second)
        assert not other.is_raised
    assert not any(map(running.is_under_way, (first, second, other)))


@pytest.fixture
def own_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """One that is ready at once, with nothing but the bundled weights."""
    monkeypatch.setenv("HPINET_ENGINE", "torch")
    monkeypatch.setenv("HPINET_CACHE", str(tmp_path / "cache"))
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def test_little_is_asked_of_a_gpu() -> None:
    small = Plan((256, 256), (1024, 1024), (4,))
    large = Plan((4000, 3000), (16000, 12000), (4,))
    assert gpu_seconds([(choice_of("T"), small)]) < 15
    assert gpu_seconds([(choice_of("T"), small)]) < gpu_seconds([(choice_of("M"), large)]) <= 120


def test_a_server_that_ends_waits_for_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CREW", running.Crew())
    monkeypatch.setattr(running, "REPORT_EVERY_SECONDS", 0)
    under_way, ends = threading.Event(), list[str]()
    reporter = Reporter("Enlarging", StopFlag.of(None, "upscale"))

    @heavy(duration=15, needs=little)
    def toil(label: str) -> None:
        try:
            while True:
                reporter(0, 1)
                under_way.set()
        except Cancelled:
            ends.append(label)

    worker = threading.Thread(target=toil, args=("here",), daemon=True)
    worker.start()
    assert under_way.wait(10)
    running.CREW.close()
    assert ends == ["here"]
    worker.join(10)
    running.CREW.close()  # nothing under way: returns at once
