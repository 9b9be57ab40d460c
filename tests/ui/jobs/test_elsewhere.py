"""Other machines take the place of this process's own engines, and jobs do not know."""

from pathlib import Path

import pytest

from hpinet.apart import Answer, Request, carry_out
from hpinet.errors import Cancelled
from hpinet.images import open_picture
from hpinet.plan import Plan, TargetSize
from hpinet.progress import Progress
from hpinet.ui.jobs import elsewhere, running
from hpinet.ui.jobs.enlarge import Wanted, enlarge
from hpinet.ui.jobs.running import Needs, StopFlag, heavy
from hpinet.ui.jobs.turns import Load, Turns
from hpinet.upscaler import Upscaler

WANTED = Wanted("T", TargetSize(scale=2))


class Machines:
    at_once = 3

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def run(self, request: Request, progress: Progress) -> Answer:
        self.asked.append(request)

        def upscaler(scale: int) -> Upscaler:
            return Upscaler.load(request.checkpoints[scale], scale=scale)

        return carry_out(request.picture, request.plan, upscaler, request.treatment, progress)


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Machines:
    monkeypatch.setattr(elsewhere, "_machines", [])
    used = Machines()
    elsewhere.use(used)
    return used


def done(picture: Path, folder: Path, *, stopped: bool = False) -> Path:
    def target(_plan: Plan) -> Path:
        return folder / "result.png"

    stop = StopFlag.of(None, "test")
    if stopped:
        stop.raise_it()
    return enlarge(picture, WANTED, target=target, stop=stop).picture


def test_pictures_are_enlarged_elsewhere(machines: Machines, picture: Path, tmp_path: Path) -> None:
    assert elsewhere.at_once() == 3
    result = done(picture, tmp_path / "elsewhere")
    [request] = machines.asked
    assert request.plan.target == (56, 40)
    elsewhere._machines.clear()
    assert elsewhere.at_once() == 1
    assert open_picture(done(picture, tmp_path / "here")).colour.tobytes() == open_picture(result).colour.tobytes()
    assert len(machines.asked) == 1


def test_they_enlarge_and_all_else_takes_turns_here(
    machines: Machines, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Load] = []
    order = Turns(budget_mb=1000, most=9, per_session=9, per_address=9, at_once=elsewhere.at_once)
    job = order.job
    monkeypatch.setattr(order, "job", lambda load, **more: loads.append(load) or job(load, **more))
    monkeypatch.setattr(running, "turns", lambda: order)
    done(picture, tmp_path)
    stop = StopFlag.of(None, "test")
    for kind in ("hpinet.ui.jobs.measure", "hpinet.ui.jobs.explain", "hpinet.ui.tabs.lens"):

        def work() -> None:
            assert order.counts == (0, 1)

        work.__module__ = kind
        heavy(None, lambda: Needs(stop, 1, 1))(work)()
    assert [load.elsewhere for load in loads] == [True, False, False, False]
    elsewhere._machines.clear()
    done(picture, tmp_path)
    assert not loads[-1].elsewhere


def test_stop_reaches_them(machines: Machines, picture: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        done(picture, tmp_path, stopped=True)
    assert not (tmp_path / "result.png").exists()
