"""Values from outside, parsed into what they are meant to be: page and endpoints know no other way to one.

Whatever JSON can hold may arrive: every kind, NaN and infinities, lists where a word belongs. Each function returns the
value in its type, or raises OptionError with a sentence to show. Files are the business of `hpinet.ui.server.storage`.
"""

from collections.abc import Callable, Collection, Iterable
from math import isfinite
from pathlib import PurePosixPath
from typing import TypeVar

from hpinet.errors import OptionError

T = TypeVar("T", str, int)

MAX_PIXELS = 65535
"""The longest side of any picture, as far as fields are concerned; what is possible is less."""

MAX_NAME = 200  # characters of a file's name; file systems take 255 bytes
FOLDER_SIGN = "\u2215"  # between folders and file where a name holds its path, looking like a slash; put by hooks.js

MISFIT = "A value does not fit its field: reload the page, and choose again."
"""Of what no field of ours lets through, before it has reached anything that could say more."""


def told(value: object) -> str:
    """A value in a message: what can be typed into a field as it is, on one line, and nothing else of it."""
    if value is None:
        return "nothing"
    if isinstance(value, (bool, int, float)):
        return str(value).lower()[:40]
    return " ".join(value[:40].split()) if isinstance(value, str) else "something else"


def number(name: str, value: object, least: int, most: int) -> int:
    """A whole number, as an integer or a float without a fraction."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not least <= value <= most  # false for NaN
        or value != int(value)
    ):
        raise OptionError(f"{name} must be a whole number from {least} to {most}, not {told(value)}.")
    return int(value)


def clamped(name: str, value: object, least: int, most: int) -> int:
    """A number, moved to the nearest whole one within the limits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise OptionError(f"{name} must be a number, not {told(value)}.")
    return round(min(max(least, value), most))


def choice(name: str, value: object, options: Iterable[T]) -> T:
    """One of the options, which are all strings or all whole numbers."""
    known = list(options)
    for option in known:
        if not isinstance(value, bool) and isinstance(value, (str, int, float)) and value == option:
            return option
    raise OptionError(f"{name} must be one of {', '.join(map(str, known))}, not {told(value)}.")


def flag(name: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise OptionError(f"{name} must be true or false, not {told(value)}.")
    return value


def text(name: str, value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise OptionError(f"{name} must be a text, not {told(value)}.")
    return value


def maybe_text(value: object) -> str | None:
    """A string, or nothing for anything else."""
    return value if isinstance(value, str) else None


def several(name: str, value: object, parse: Callable[[object], T]) -> list[T]:
    """A list, each item of it parsed."""
    return [parse(item) for item in many(name, value)]


def many(name: str, value: object) -> list[object]:
    """A list of anything; nothing at all is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise OptionError(f"{name} must be a list, not {told(value)}.")
    return value


def file_name(value: object, otherwise: str) -> str:
    """The last part of a name that a stranger gave a file, as far as it can be printed; ``otherwise`` if nothing is."""
    given = value if isinstance(value, str) else ""
    printable = "".join(character for character in given.replace("\\", "/") if character.isprintable())
    name = PurePosixPath(printable).name
    return name[-MAX_NAME:] if name.strip(".") else otherwise


def path_in_folder(value: object, otherwise: str) -> str:
    """The same of a name that holds the folders above the file, as those from the field for whole folders do."""
    given = value if isinstance(value, str) else ""
    return "/".join(filter(None, (file_name(part, "") for part in given.split(FOLDER_SIGN)))) or otherwise


def picked(event: object, tiles: Collection[object]) -> int:
    """Which tile of a gallery was clicked, from the data of its event."""
    return number("The tile", _index(event), 0, len(tiles) - 1)


def spot(event: object) -> tuple[int, int]:
    """Where a picture was clicked, from the data of its event: pixels from the left and from the top."""
    at = _index(event)
    if not isinstance(at, (list, tuple)) or len(at) != 2:
        raise OptionError("Click a spot on the picture.")
    return clamped("The spot", at[0], 0, MAX_PIXELS), clamped("The spot", at[1], 0, MAX_PIXELS)


def place(x: object, y: object) -> tuple[int, int]:
    """A spot as its two fields give it: pixels from the left and from the top."""
    return number("From the left", x, 0, MAX_PIXELS), number("From the top", y, 0, MAX_PIXELS)


def _index(event: object) -> object:
    """What Gradio's browser side sends as ``index`` with a selection."""
    return event.get("index") if isinstance(event, dict) else None


def frame(event: object) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a part of a picture, as an event ``{"index": [...]}`` of the viewer names it."""
    sides = many("The part", _index(event))
    if len(sides) != 4:
        raise OptionError(MISFIT)
    left, top, right, bottom = (number("A side of the part", side, 0, MAX_PIXELS) for side in sides)
    if left >= right or top >= bottom:
        raise OptionError(MISFIT)
    return left, top, right, bottom
