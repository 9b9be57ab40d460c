"""Writes the README's table of formats from `hpinet.images.formats`.

python -m scripts.write_formats
"""

import re
from pathlib import Path

from hpinet.images.formats import FORMATS, FileFormat
from hpinet.markdown import table

README = Path(__file__).parents[1] / "README.md"
_HEADER = ("format", "names", "read", "bits", "written", "alpha", "ICC profile", "can be kept")
_PLACE = re.compile(r"(?<=<!-- formats -->\n).*(?=\n<!-- end of formats -->)", re.DOTALL)


def rows() -> str:
    """The table."""
    return table(_HEADER, [_row(format) for format in FORMATS])


def _row(format: FileFormat) -> tuple[str, ...]:
    return (
        format.label,
        " ".join(f"`{suffix}`" for suffix in format.suffixes),
        format.kinds,
        _listed(format.read_bits),
        _written(format),
        "yes" if format.has_alpha else "no: white",
        format.profile,
        ", ".join(format.metadata) or "nothing",
    )


def _written(format: FileFormat) -> str:
    if not format.writable:
        return "no"
    bits = f"{_listed(format.written_bits)} bits"
    where = "" if format.in_browsers else ", command line"
    return bits + (f", to {format.longest_side:,} pixels a side" if format.longest_side < 2**31 - 1 else "") + where


def _listed(bits: tuple[int, ...]) -> str:
    return ", ".join(map(str, bits))


def written(document: str) -> str:
    """The document with the table in its place."""
    return _PLACE.sub(lambda _: rows(), document)


if __name__ == "__main__":
    README.write_text(written(README.read_text("utf-8")), "utf-8")
