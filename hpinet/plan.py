"""From "this large, please" to the networks to run: native passes, then a reduction where they overshoot.

A model exists for a few scales only (its *native* scales). Any other size is reached by a cascade of native passes
to the next size they can reach, then an antialiased reduction. Every front end plans here: they agree to the pixel.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Protocol

from hpinet.errors import OptionError, telling_of_memory
from hpinet.images import Picture, resize_bicubic
from hpinet.progress import Progress, ignore, part
from hpinet.settings import settings
from hpinet.treatment import Treatment
from hpinet.wording import size as words

MAX_SCALE = 16
"""Largest enlargement offered: beyond it nothing of the picture is left to go by."""

MOST_PIXELS = 10**9
"""Along a side of a result: more than any picture has."""

Size = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True)
class TargetSize:
    """How large the result shall be: exactly one of the fields, in their own units. Raises OptionError otherwise."""

    scale: int | None = None  # times along each side, 2..16
    longest_side: int | None = None  # pixels
    width: int | None = None  # pixels

    def __post_init__(self) -> None:
        given = [value for value in (self.scale, self.longest_side, self.width) if value is not None]
        if len(given) != 1:
            raise OptionError("Choose one of scale, longest side and width.")
        if self.scale is not None and not 2 <= self.scale <= MAX_SCALE:
            raise OptionError(f"The scale must be from 2 to {MAX_SCALE}, not {self.scale}.")
        if given[0] < 1:
            raise OptionError(f"A size in pixels must be positive, not {given[0]}.")
        if given[0] > MOST_PIXELS:  # and fractions of it may be too large for a float
            raise OptionError(f"A size in pixels must be at most {MOST_PIXELS:,}.")

    def size(self, width: int, height: int) -> Size:
        """Width and height of the result for a ``width`` x ``height`` picture; its proportions are kept."""
        if self.scale is not None:
            return width * self.scale, height * self.scale
        if self.width is not None:
            return self.width, max(1, round(height * self.width / width))
        side = self.longest_side or 0
        longest = max(width, height)
        return max(1, round(width * side / longest)), max(1, round(height * side / longest))


@dataclass(frozen=True)
class Plan:
    """What to run on a ``source`` sized picture to get a ``target`` sized one. Build with `make_plan`."""

    source: Size
    target: Size
    passes: tuple[int, ...]  # native scales in the order they run

    @property
    def scale(self) -> int | None:
        """How many times larger the target is along each side; None where no whole number is that for both."""
        times, rest = divmod(self.target[0], self.source[0])
        return None if rest or self.target[1] != times * self.source[1] else times

    @property
    def reached(self) -> Size:
        """Size after the passes; larger than the target where a reduction follows."""
        factor = math.prod(self.passes)
        return self.source[0] * factor, self.source[1] * factor

    @property
    def inputs(self) -> list[Size]:
        """Size of the picture that each pass is given."""
        factors = [math.prod(self.passes[:number]) for number in range(len(self.passes))]
        return [(self.source[0] * factor, self.source[1] * factor) for factor in factors]

    @property
    def is_reduced(self) -> bool:
        """Whether a reduction follows the passes."""
        return self.reached != self.target


def make_plan(source: Size, request: TargetSize, *, natives: Iterable[int]) -> Plan:
    """The cheapest way from ``source`` to the requested size with the ``natives`` scales a model exists for.

    Of all cascades that reach the size, the one with the least to throw away is taken, then the one with the fewest
    passes, then the one whose small steps come first (the work of a pass grows with its input).
    Raises OptionError if the size is not larger than the picture, too large, or out of reach.
    """
    target = request.size(*source)
    factor = max(target[0] / source[0], target[1] / source[1])
    if factor <= 1:
        raise OptionError(f"{words(target)} is not larger than the picture, which is {words(source)}.")
    if factor > MAX_SCALE:
        raise OptionError(f"{words(target)} is more than {MAX_SCALE} times the picture, which is {words(source)}.")
    reaching = [passes for passes in _cascades(tuple(sorted(set(natives)))) if math.prod(passes) >= factor]
    if not reaching:
        raise OptionError("This model does not exist for that enlargement.")
    plans = [Plan(source, target, passes) for passes in reaching]
    plan = min(plans, key=lambda p: (math.prod(p.passes), len(p.passes), sum(w * h for w, h in p.inputs)))
    largest = max(w * h for w, h in plan.inputs) / 1e6
    limit = settings().max_megapixels
    if largest > limit:
        raise OptionError(
            f"{words(target)} is too large: a pass would start from {largest:.0f} megapixels, the limit is {limit:g}."
        )
    return plan


def _cascades(natives: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Every order of native passes, up to as many as the smallest of them needs for the largest enlargement."""
    longest = math.ceil(math.log(MAX_SCALE, min(natives))) if natives else 0
    return {order for length in range(1, longest + 1) for order in product(natives, repeat=length)}


class Enlarges(Protocol):
    """What a pass needs of an `hpinet.upscaler.Upscaler`."""

    def __call__(self, image: Picture, /, *, treatment: Treatment = ..., progress: Progress = ...) -> Picture:
        """The picture enlarged by the pass's scale."""
        ...


def run_plan(
    picture: Picture,
    plan: Plan,
    upscaler: Callable[[int], Enlarges],
    *,
    treatment: Treatment = "clean",
    progress: Progress = ignore,
) -> Picture:
    """Carries out ``plan``; ``upscaler(scale)`` gives the upscaler of a native scale.

    The treatment is the first pass's: what comes out of it is clean. Progress runs over all passes, each counted by the
    pixels it is given.

    Raises what an upscaler does, and MemoryShortageError where the machine refuses memory.
    """
    weights = [width * height for width, height in plan.inputs]
    with telling_of_memory():
        for number, scale in enumerate(plan.passes):
            told = part(progress, sum(weights[:number]), weights[number], sum(weights))
            picture = upscaler(scale)(picture, treatment="clean" if number else treatment, progress=told)
        return resize_bicubic(picture, *plan.target) if plan.is_reduced else picture
