"""Progress of pieces is progress of the whole: it never falls, and ends at the end."""

import time

from hypothesis import given
from hypothesis import strategies as st

from hpinet.progress import Stopwatch, nth, part


@given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 50)), min_size=1, max_size=5))
def test_pieces_of_any_size(pieces: list[tuple[int, int]]) -> None:
    told: list[tuple[int, int]] = []
    whole = sum(share for share, _ in pieces)
    before = 0
    for share, steps in pieces:
        tell = part(lambda *step: told.append(step), before, share, whole)
        for done in range(steps + 1):
            tell(done, steps)
        tell(steps or 1, steps or 1)
        before += share
    assert told[0] == (0, whole)
    assert told == sorted(told)
    assert told[-1] == (whole, whole)


def test_like_pieces() -> None:
    told: list[float] = []
    for number in range(4):
        tell = nth(lambda done, total: told.append(done / total), number, 4)
        tell(0, 7)
        tell(7, 7)
    assert told == [0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1]


def test_what_a_callback_takes_is_none_of_the_work() -> None:
    told: list[tuple[int, int]] = []

    def slow(done: int, total: int) -> None:
        told.append((done, total))
        time.sleep(0.3)

    watch = Stopwatch(slow)
    for done in range(3):
        watch(done, 2)
    time.sleep(0.1)
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert 0.1 <= watch.seconds < 0.7
