"""Pictures worked on band by band: wider copies of all of one would be the largest arrays there are."""

from collections.abc import Iterator

PIXELS = 1 << 18
"""Of a band: what is computed of them takes up to some 80 bytes each."""


def bands(lines: int, length: int, *, window: int = 1) -> Iterator[slice]:
    """So many lines of a length, rows or columns, in bands: every ``window`` of lines lies in one, and in no other."""
    step = max(1, PIXELS // length)
    for start in range(0, lines - window + 1, step):
        yield slice(start, start + step + window - 1)
