"""How many lossless pictures are taken for former JPEGs, and how many former JPEGs are found.

    python -m scripts.former_jpegs data/cid22 data/clic2025

Pieces of up to 1024 pixels of each PNG and WebP below the folders, as they are, halved and in thirds: clean, then saved
as JPEG of each quality and read again.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from hpinet.images.compression import find_former_jpeg
from hpinet.images.degradations import as_jpeg

QUALITIES = (95, 90, 85, 75, 50, 30)
_PIECE, _CORNER = 1024, (5, 3)  # where no grid of a former JPEG begins


def main(folders: Annotated[list[Path], typer.Argument(help="Folders of clean pictures.")]) -> None:
    """Print a Markdown table."""
    kinds = ("clean", *QUALITIES)
    found = dict.fromkeys(kinds, 0)
    count = 0
    for piece in pieces(folders):
        count += 1
        for kind in kinds:
            pixels = piece if isinstance(kind, str) else as_jpeg(piece, kind)
            found[kind] += find_former_jpeg(pixels) is not None
    if not count:
        raise SystemExit("There are no PNG or WebP files in these folders.")
    print(f"| {count} pieces | taken for former JPEGs |\n|---|---:|")
    for kind in kinds:
        print(f"| {'' if isinstance(kind, str) else 'quality '}{kind} | {found[kind]} |")


def pieces(folders: list[Path]) -> Iterator[np.ndarray]:
    """The pieces, RGB of 8 bits, that are looked at."""
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in (".png", ".webp")):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        left, top = _CORNER
        image = image.crop((left, top, min(left + _PIECE, image.width), min(top + _PIECE, image.height)))
        for part in (1, 2, 3):
            small = image.resize((image.width // part, image.height // part), Image.Resampling.BICUBIC)
            yield np.asarray(small)


if __name__ == "__main__":
    typer.run(main)
