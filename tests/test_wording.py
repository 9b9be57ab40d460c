"""Quantities in words."""

import pytest

from hpinet.wording import duration, hours, pictures, time_left


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "under 1 s"), (7.6, "about 8 s"), (89, "about 89 s"), (150, "about 2 min"), (9000, "about 2.5 h")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "59 s"), (362, "6 min 2 s"), (416.9, "6 min 56 s")]
)
def test_a_countdown_never_goes_up(seconds: float, words: str) -> None:
    assert time_left(seconds) == words


def test_one_is_not_several() -> None:
    assert (pictures(0), pictures(1), pictures(2)) == ("0 pictures", "1 picture", "2 pictures")
    assert (hours(0.5), hours(1), hours(3)) == ("0.5 hours", "1 hour", "3 hours")
