"""Treatments: how strongly a picture is freed of what a JPEG left in it, while it is enlarged.

A visitor chooses `Treatment`; what is found in the picture (`examine`) then says which JPEG quality it shall be treated
for. Which weights that means is the checkpoint's business, see `hpinet.checkpoints.levels`.
"""

from dataclasses import replace
from typing import Literal, cast, get_args

from hpinet.errors import OptionError
from hpinet.images import Picture
from hpinet.images.compression import Compression, find_former_jpeg

Treatment = Literal["auto", "photo", "clean"]
"""``auto``: as strong as what is found in the picture asks for. ``photo``: the same, and where nothing is found, as for
a photograph with visible losses. ``clean``: none, for drawings, screenshots and whatever shall stay as it is."""

TREATMENTS = cast(tuple[Treatment, ...], get_args(Treatment))

USUAL_QUALITY = 75  # what photographs are taken for of which nothing is known
GUESSED_QUALITY = 85  # what losses are treated like of which the file says nothing: those of WebP, for one
APART = 8  # qualities that an earlier save must be below the last one to be told from it


def check_treatment(name: object) -> Treatment:
    """The treatment of that name. Raises OptionError if there is none."""
    if not isinstance(name, str) or name not in TREATMENTS:
        raise OptionError(f"The treatment must be one of {', '.join(TREATMENTS)}, not {str(name)[:40]!r}.")
    return cast(Treatment, name)


def examine(picture: Picture) -> Compression | None:
    """What losses a picture went through, by its file and its pixels; None if there is no sign of any.

    What was seen in pixels already is not looked for again: those of a part tell less than those of the whole.
    """
    told = picture.compression
    if told is None:
        return find_former_jpeg(picture.colour)
    if told.quality is None or told.from_pixels or told.earlier is not None:
        return told
    earlier = find_former_jpeg(picture.colour, below=told.quality - APART)
    return replace(told, earlier=earlier.quality) if earlier else told


def quality_to_treat(found: Compression | None, treatment: Treatment) -> int | None:
    """The JPEG quality that a picture is treated for, from 1 to 100; None for no treatment at all."""
    if treatment == "clean":
        return None
    if found is None:
        return USUAL_QUALITY if treatment == "photo" else None
    known = [quality for quality in (found.quality, found.earlier) if quality is not None]
    return min(known, default=GUESSED_QUALITY)
