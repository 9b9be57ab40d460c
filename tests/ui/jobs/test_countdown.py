"""Progress that moves at once, and a time left that does not jump."""

import pytest

from hpinet.ui.jobs.countdown import Countdown


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_moves_while_the_work_is_silent() -> None:
    clock = Clock()
    countdown = Countdown(60.0, clock=clock)
    countdown.hear(0)
    clock.now += 0.5
    fraction, left = countdown.now()
    assert 0.005 < fraction < 0.02
    assert left == pytest.approx(59.5, abs=0.1)
    clock.now += 600  # ten times as long as expected
    fraction, left = countdown.now()
    assert fraction < 1
    assert left is not None
    assert left >= 0


def test_the_pace_so_far_replaces_what_was_expected() -> None:
    clock = Clock()
    countdown = Countdown(60.0, clock=clock)
    clock.now += 30
    countdown.hear(0.25)
    _, left = countdown.now()
    assert left == pytest.approx(90)  # clearly more than was expected: it says so


def test_the_time_left_does_not_swing() -> None:
    clock = Clock()
    countdown = Countdown(None, clock=clock)
    assert countdown.now() == (0, None)
    clock.now += 100
    countdown.hear(0.5)
    assert countdown.now() == (0.5, pytest.approx(100))
    shown = []
    for fraction in (0.52, 0.55, 0.555, 0.56, 0.6, 0.9, 1.0):  # it stumbles, and recovers
        clock.now += 10
        countdown.hear(fraction)
        shown.append(countdown.now())
    lefts = [left for _, left in shown]
    assert lefts == sorted(lefts, reverse=True)
    assert [fraction for fraction, _ in shown] == sorted(fraction for fraction, _ in shown)
    assert shown[-1] == (1, 0)
