"""Draws what treatments do: pieces of pictures saved as JPEG, enlarged by bicubic, without treatment and with it.

    python -m scripts.make_photo_figure docs/photographs.webp [pictures ...]

By default of pictures in examples/, which were never JPEGs. Of others the piece with most detail is taken.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image, ImageDraw, ImageFont

from hpinet.images import Picture, open_picture, resize_bicubic
from hpinet.images.degradations import degrade
from hpinet.upscaler import Upscaler

EXAMPLES = Path(__file__).parents[1] / "examples"
QUALITIES = (85, 60, 30)
SIDE = 56  # pixels of a piece
SCALE = 4
GAP, TITLE = 6, 26  # pixels
# Left and top of the piece of each example.
PLACES = {"astronaut": (36, 20), "text": (8, 6), "towers": (90, 30), "line-art": (10, 60)}


def main(
    output: Annotated[Path, typer.Argument(help="Picture to write.")],
    pictures: Annotated[list[Path] | None, typer.Argument(help="Pictures instead of the examples.")] = None,
) -> None:
    """Write the figure."""
    upscaler = Upscaler.load("T", scale=SCALE)
    rows = []
    for path in pictures or [EXAMPLES / f"{name}.png" for name in PLACES]:
        colour = open_picture(path).to_8_bit().colour
        pixels = np.ascontiguousarray(np.broadcast_to(colour, (*colour.shape[:2], 3)))
        place = PLACES[path.stem] if not pictures else _detailed(pixels)
        rows.append([tile for quality in QUALITIES for tile in _tiles(upscaler, pixels, place, quality)])
    titles = [f"JPEG {quality}, {how}" for quality in QUALITIES for how in ("bicubic", "T clean", "T auto")]
    _sheet(rows, titles).save(output, quality=92)


def _detailed(pixels: np.ndarray) -> tuple[int, int]:
    """Left and top of the square where neighbours differ most."""
    edges = np.abs(np.diff(pixels.astype(float).mean(axis=2), axis=1))
    down, across = (range(0, max(1, side - SIDE), 8) for side in pixels.shape[:2])
    places = [(left, top) for top in down for left in across]
    return max(places, key=lambda place: edges[place[1] : place[1] + SIDE, place[0] : place[0] + SIDE].sum())


def _tiles(upscaler: Upscaler, pixels: np.ndarray, place: tuple[int, int], quality: int) -> list[np.ndarray]:
    """The piece by bicubic, untreated and treated; the whole picture is enlarged, as a visitor's would be."""
    small = degrade(pixels, f"jpeg-{quality}")
    results = [
        resize_bicubic(small, SCALE * small.width, SCALE * small.height),
        upscaler(small, treatment="clean"),
        upscaler(small, treatment="auto"),
    ]
    left, top = (SCALE * offset for offset in place)
    return [_cut(result, left, top) for result in results]


def _cut(picture: Picture, left: int, top: int) -> np.ndarray:
    return picture.colour[top : top + SCALE * SIDE, left : left + SCALE * SIDE]


def _sheet(rows: list[list[np.ndarray]], titles: list[str]) -> Image.Image:
    step = SCALE * SIDE + GAP
    sheet = Image.new("RGB", (len(titles) * step - GAP, TITLE + len(rows) * step - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((column * step + 2, 4), title, fill="black", font=ImageFont.load_default(15))
        for row, tiles in enumerate(rows):
            sheet.paste(Image.fromarray(tiles[column]), (column * step, TITLE + row * step))
    return sheet


if __name__ == "__main__":
    typer.run(main)
