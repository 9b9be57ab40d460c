"""Quantities in words, as every front end says them."""


def size(size: tuple[int, int]) -> str:
    """A picture's width and height in pixels."""
    return f"{size[0]}×{size[1]}"


def megabytes(count: float) -> str:
    """The size of a file of ``count`` bytes."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"


def pictures(count: int) -> str:
    """So many of them."""
    return f"{count:d} {'picture' if count == 1 else 'pictures'}"


def hours(count: float) -> str:
    """A span of time, as somebody has set it."""
    return f"{count:g} {'hour' if count == 1 else 'hours'}"


def duration(seconds: float) -> str:
    """An estimate, no more exact than it is: "about 8 s"."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def time_left(seconds: float) -> str:
    """A countdown, which never shows more minutes than there are: "6 min 2 s"."""
    whole = int(seconds)
    return f"{whole:d} s" if whole < 60 else f"{whole // 60:d} min {whole % 60:d} s"
