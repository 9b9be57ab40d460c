"""What can be done here with a picture, and what is therefore preselected: nothing that would be refused."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from math import sqrt

from hpinet.errors import HPINetError
from hpinet.images import Picture, format_of
from hpinet.images.compression import Compression
from hpinet.images.formats import BY_NAME
from hpinet.plan import MAX_SCALE, Size, TargetSize
from hpinet.settings import settings
from hpinet.ui.jobs.enlarge import Wanted
from hpinet.ui.jobs.models import Choice, check_memory, expected_seconds

COMFORTABLE_MEGAPIXELS = 50
"""A result that nobody asked to be larger has no more: it opens anywhere, and prints a metre wide."""

_LOSSY = ("JPEG", "WEBP")
"""Kinds of pictures that have lost something and are given back so."""

TOO_SMALL = "small"
"""The one obstacle that is no model's fault, and is not shown: the size wished for is no enlargement."""

USUAL_SIDE = 1920  # pixels of most screens' longer side


def obstacle(choice: Choice, wanted: Wanted, source: Size, *, rounds: int, found: Compression | None) -> str:
    """In two words, why this cannot be done here with a picture of that size; empty if it can.

    ``rounds`` is how often the network goes over it, ``found`` what losses it went through.
    """
    if max(target / own for target, own in zip(wanted.size.size(*source), source, strict=True)) <= 1:
        return TOO_SMALL
    try:
        plan = wanted.plan(source, choice)
        check_memory(choice, plan)
    except HPINetError:
        return "too large"
    try:
        choice.natives[plan.passes[0]].strength(found, wanted.treatment)
    except HPINetError:
        return "no treatment"
    return "too long" if expected_seconds(choice, plan, rounds=rounds) > settings().max_seconds else ""


def scale_for(
    source: Size, scales: Iterable[int], works: Callable[[TargetSize], bool], wish: int | None, usual: int
) -> int | None:
    """The scale to preselect, None if none ``works``: the ``wish`` of the visitor, or else the ``usual`` one.

    Where that cannot be done it is the largest below that can, then the smallest of all. What nobody asked for does not
    become larger than comfortable while a smaller one works.
    """
    possible = [scale for scale in sorted(scales) if works(TargetSize(scale=scale))]
    if not possible:
        return None
    most = wish or usual
    below = [
        scale
        for scale in possible
        if scale <= most and (wish or source[0] * source[1] * scale**2 <= COMFORTABLE_MEGAPIXELS * 1e6)
    ]
    return max(below, default=min(possible))


def side_for(source: Size, works: Callable[[TargetSize], bool], scale: int | None) -> int:
    """The longest side to begin with where a size is given in pixels: that of a screen, or what ``scale`` makes."""
    longest = max(source)
    if longest < USUAL_SIDE and works(TargetSize(longest_side=USUAL_SIDE)):
        return USUAL_SIDE
    return longest * (scale or 2)


def format_for(picture: Picture) -> str:
    """The kind of file to make of a picture, whatever scale is chosen for it: lossy where the picture is."""
    if picture.compression is None:
        return "PNG"
    most = min(MAX_SCALE, sqrt(settings().max_result_megapixels * 1e6 / (picture.width * picture.height)))
    return kind_that_follows(picture.format, most * max(picture.width, picture.height))


def kind_that_follows(kind: str, longest_side: float) -> str:
    """The kind of file to make of a lossy picture of that ``kind``, a name in `hpinet.images.formats`.

    The same where it can hold results with a side of so many pixels, else PNG; PNG too for kinds that are not lossy.
    """
    format = BY_NAME[kind]
    return format.label if kind in _LOSSY and longest_side <= format.longest_side else "PNG"


def format_wished(wish: str | None, follows: str, traits: Collection[str]) -> str:
    """The kind of file to preselect: the visitor's ``wish`` where it keeps the picture's ``traits``."""
    return follows if wish is None or lost(wish, traits) else wish


def lost(kind: str, traits: Collection[str]) -> list[str]:
    """Which of a picture's ``traits`` a kind of file does not keep."""
    format = BY_NAME[format_of(kind)]
    kept = {"transparent": format.has_alpha, "16 bit": 16 in format.written_bits}
    return [trait for trait, is_kept in kept.items() if trait in traits and not is_kept]


def in_pixels(wanted: Wanted, size: TargetSize) -> Wanted:
    """The same for another size, as a PNG, which holds any."""
    return replace(wanted, size=size, format="PNG")
