"""How far work is and how long it still takes, also while it says nothing."""

import time
from collections.abc import Callable
from math import exp

TRUSTED = 0.1
"""From this part of the way on, the pace so far counts alone; before, less and less of what was expected."""

JUMP = 1.3
"""The time left grows only if it would by this factor: what swings about less is no news."""


class Countdown:
    """A fraction that only grows, and seconds left that only shrink unless they were clearly too few.

    Between two words of the work both go on at its pace, slower the longer it is silent.
    """

    def __init__(self, expected: float | None = None, *, clock: Callable[[], float] | None = None) -> None:
        """``expected`` are the seconds that all of it should take."""
        self._expected, self._clock = expected, clock or time.monotonic
        self._began = self._heard_at = self._clock()
        self._heard = self._shown = 0.0
        self._left: float | None = None

    def hear(self, fraction: float) -> None:
        """The work says how far it is, from 0 to 1."""
        self._heard, self._heard_at = max(self._heard, fraction), self._clock()

    def now(self) -> tuple[float, float | None]:
        """The fraction done, and the seconds left; None as long as nobody can know."""
        total = self._total()
        if total is None:
            return self._heard, None
        rest = 1 - self._heard
        silent = self._clock() - self._heard_at
        going_on = rest * (1 - exp(-silent / max(total * rest, 1e-3))) if self._heard < 1 else 0.0
        self._shown = max(self._shown, self._heard + going_on)
        left = total * (1 - self._shown)
        if self._left is None or not self._left < left < JUMP * self._left + 1:
            self._left = left
        return self._shown, self._left

    def _total(self) -> float | None:
        """Seconds that all of it takes, as far as one can know."""
        measured = (self._heard_at - self._began) / self._heard if self._heard else None
        if self._expected is None or measured is None:
            return measured if self._expected is None else self._expected
        trust = min(1.0, self._heard / TRUSTED)
        return (1 - trust) * self._expected + trust * measured
