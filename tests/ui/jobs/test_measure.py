"""Measuring a picture is one job, comparing included; and what is asked of a GPU for it."""

import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hpinet.comparison import Attempt, Comparison
from hpinet.errors import Cancelled, OptionError
from hpinet.images import Picture, resize_bicubic
from hpinet.plan import TargetSize, make_plan
from hpinet.progress import Progress
from hpinet.treatment import Treatment
from hpinet.ui.jobs import measure as jobs
from hpinet.ui.jobs import models, running, zerogpu
from hpinet.ui.jobs.measure import Trial, measure
from hpinet.ui.jobs.models import choice_of, choices
from hpinet.ui.jobs.running import StopFlag, gpu_seconds
from hpinet.ui.jobs.turns import Load, Turns, Visitor
from hpinet.ui.jobs.zerogpu import LONGEST_SECONDS
from hpinet.ui.tabs.measure import _told

Restore = Callable[[Any], list[Attempt]]


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """800 x 600 pixels."""
    path = tmp_path / "truth.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (600, 800, 3), dtype=np.uint8)).save(path)
    return path


def by_bicubic(task: Any) -> list[Attempt]:
    """What stands for the networks."""
    size = task.small.width * task.scale, task.small.height * task.scale
    return [Attempt(trial.name, resize_bicubic(task.small, *size), 1.0) for trial in task.trials]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Turns:
    """Turns that nobody else takes; and no network runs."""
    order = Turns(budget_mb=1000, most=10, per_session=4, per_address=4)
    monkeypatch.setattr(running, "turns", lambda: order)
    monkeypatch.setattr(jobs, "_restore", by_bicubic)
    return order


def task(truth: tuple[int, int], keys: str, *, is_jpeg: bool) -> Any:
    """What `measure` makes of these models for a truth of that size at ×2."""
    size = truth[0] // 2, truth[1] // 2
    plans = [(choice, make_plan(size, TargetSize(scale=2), natives=choice.natives)) for choice in map(choice_of, keys)]
    trials = [trial for each in plans for trial in jobs._trials(*each, is_jpeg=is_jpeg)]
    small = Picture(np.zeros((size[1], size[0], 3), np.uint8))
    return jobs._Task(Path("truth.png"), small, 2, trials, StopFlag.of(None, "measure"))


def test_pictures_are_compared_and_shown_within_the_job(alone: Turns, truth: Path) -> None:
    def tell(comparison: Comparison, _progress: Progress) -> list[str]:
        assert alone.counts == (0, 1)
        return [one.name for one in comparison.restored]

    names, missing = measure(truth, 4, ["T"], StopFlag.of(None, "measure"), tell=tell)
    assert (names, missing) == (["bicubic", "hpinet-t-x4"], [])
    assert alone.counts == (0, 0)


def test_comparing_can_be_stopped(alone: Turns, truth: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "REPORT_EVERY_SECONDS", 0)
    stop = StopFlag.of(None, "measure")

    def tell(_comparison: Comparison, progress: Progress) -> None:
        stop.raise_it()
        progress(0, 1)
        pytest.fail("it goes on")

    with pytest.raises(Cancelled):
        measure(truth, 4, ["T"], stop, tell=tell)
    assert alone.counts == (0, 0)


def test_comparing_lets_others_work(alone: Turns, truth: Path) -> None:
    stop, theirs = StopFlag.of(None, "measure"), threading.Event()

    def other() -> None:
        with alone.job(Load(Visitor("other"), 1, 1), stopped=lambda: False):
            theirs.set()

    def tell(_comparison: Comparison, progress: Progress) -> bool:
        threading.Thread(target=other, daemon=True).start()
        for _ in range(200):
            if theirs.wait(0.05):
                return True
            progress(0, 1)
        return False

    assert measure(truth, 4, ["T"], stop, tell=tell)[0]


@pytest.mark.parametrize("keys", ["T", "TSM"])
def test_what_comparing_takes_is_counted(alone: Turns, monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    """Beside the bands that scores are made of, which take the same of every picture."""
    monkeypatch.setattr(models.Choice, "is_installed", lambda *_: True)
    pixels = np.random.default_rng(5).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    monkeypatch.setattr(jobs, "open_sent", lambda _path: Picture(pixels.copy()))
    loads: list[Load] = []
    job = alone.job
    monkeypatch.setattr(alone, "job", lambda load, **more: loads.append(load) or job(load, **more))

    def run() -> None:
        measure(Path(), 4, [*keys], StopFlag.of(None, "measure"), tell=lambda *all: _told(*all, quality=None))

    run()  # what is imported and loaded once
    tracemalloc.start()
    try:
        run()
        assert tracemalloc.get_traced_memory()[1] / 1e6 < loads[-1].megabytes + 25
    finally:
        tracemalloc.stop()
    assert loads[-1].megabytes == pytest.approx((20 + 3 * len(keys)) * 1.92, rel=0.6)


def test_each_attempt_is_held_until_all_are_compared() -> None:
    one, three = (jobs._needs(task((4000, 3000), keys, is_jpeg=False), None) for keys in ("M", "TSM"))
    assert three.megabytes == pytest.approx(one.megabytes + 2 * 3 * 12)
    assert three.seconds > one.seconds


def test_too_many_attempts_at_a_large_picture_are_refused(
    alone: Turns, truth: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one] = task((800, 600), "M", is_jpeg=False).trials
    needed = models.expected_megabytes(one.choice, one.plan)
    monkeypatch.setattr(models, "settings", lambda: SimpleNamespace(job_mb=needed + 2, max_seconds=1e9))
    monkeypatch.setattr(models.Choice, "is_installed", lambda *_: True)
    stop = StopFlag.of(None, "measure")
    assert measure(truth, 2, ["M"], stop, tell=lambda *_: "told")[0] == "told"
    with pytest.raises(OptionError, match=r"of memory with model M.*take a smaller picture, or model T"):
        measure(truth, 2, ["M", "T"], stop, tell=lambda *_: None)


@pytest.mark.parametrize("jpeg", [None, 40])
def test_the_longest_job_is_the_sum_of_the_trials(
    alone: Turns, truth: Path, monkeypatch: pytest.MonkeyPatch, jpeg: int | None
) -> None:
    """Each alone would be allowed; with JPEG, T alone is two of them."""
    monkeypatch.setattr(jobs, "settings", lambda: SimpleNamespace(max_seconds=100))
    monkeypatch.setattr(jobs, "expected_seconds", lambda *_: 60.0)
    monkeypatch.setattr(models.Choice, "is_installed", lambda *_: True)
    stop, keys = StopFlag.of(None, "measure"), ["T"] if jpeg else ["S", "M"]
    with pytest.raises(OptionError, match=r"takes about 2 min here, and .* is the limit: choose fewer models"):
        measure(truth, 2, keys, stop, tell=lambda *_: None, jpeg=jpeg)
    assert measure(truth, 2, ["M"], stop, tell=lambda *_: "told")[0] == "told"


def test_what_runs_twice_is_counted_twice_and_nothing_else() -> None:
    """Of T alone there are weights for JPEGs."""
    jpeg, plain = (task((9000, 6000), "TM", is_jpeg=is_jpeg) for is_jpeg in (True, False))
    assert [trial.name for trial in jpeg.trials] == ["hpinet-t-x2", "hpinet-t-x2, treated", "hpinet-m-x2"]
    assert [trial.treatment for trial in jpeg.trials] == ["clean", "auto", "clean"]
    assert [trial.treatment for trial in plain.trials] == ["clean", "clean"]
    t = plain.trials[0]
    assert jobs._needs(jpeg, None).seconds == pytest.approx(
        jobs._needs(plain, None).seconds + models.expected_seconds(t.choice, t.plan) + jobs._SECONDS * 54
    )
    assert jobs._declared_seconds(jpeg) == gpu_seconds([(t.choice, t.plan)] * 2 + [(choice_of("M"), t.plan)])


def test_no_more_is_asked_of_a_gpu_than_may_be() -> None:
    assert jobs._declared_seconds(task((9000, 6000), "TTTTTTTTTMMMMMMMMM", is_jpeg=True)) == LONGEST_SECONDS


@pytest.mark.parametrize("treatment", ["clean", "auto"])
def test_what_a_result_is_called(treatment: Treatment) -> None:
    choice = models.Choice("T", {2: choice_of("T").natives[2]})
    plan = make_plan((50, 50), TargetSize(scale=3), natives=choice.natives)
    name = "hpinet-t-x2 + hpinet-t-x2, reduced" + ("" if treatment == "clean" else ", treated")
    assert Trial(choice, plan, treatment).name == name


def test_what_needs_no_gpu_is_refused_before_one_is_asked_for(
    alone: Turns, truth: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zerogpu, "IS_HERE", True)
    monkeypatch.setattr(jobs, "_compare", lambda *_: pytest.fail("it has begun"))
    with pytest.raises(OptionError, match="T-cpu enlarges pictures and nothing else: choose T"):
        measure(truth, 4, ["T-cpu"], StopFlag.of(None, "measure"), tell=lambda *_: None)
    assert "T-cpu" not in choices()
