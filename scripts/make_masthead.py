"""Makes the picture of the masthead, `hpinet/ui/parts/masthead.svg`: squares, and those that T compared them with.

What it shows is what the network does: the first stages of model T at one spot of an example.
"""

import base64
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hpinet import Upscaler, open_picture
from hpinet.attribution.matches import matched_patches
from hpinet.ui.parts.theme import MASTHEAD_PICTURE  # an empty file will do

EXAMPLE, SPOT = Path(__file__).parents[1] / "examples" / "facade.png", (57, 62)
LEFT, TOP, SIDE = 0, 8, 128  # of the example, in pixels
PAIRS = 3
GAP = 6
SECONDS = 6.0  # for all pairs, once

Box = tuple[int, int, int, int]


def pairs() -> list[tuple[Box, Box]]:
    """Squares around the spot, and what each was compared with, in pixels of the part that is shown."""
    upscaler = Upscaler.load("T", scale=4, engine="torch")
    pixels = np.ascontiguousarray(open_picture(EXAMPLE).to_8_bit_rgb())
    stages, _ = matched_patches(upscaler.engine.model, torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255)
    found = [stage.at(*SPOT) for stage in stages[:PAIRS]]
    return [(_moved(match.box), _moved(match.reference)) for match in found]


def _moved(box: Box) -> Box:
    left, top, right, bottom = box
    return left - LEFT, top - TOP, right - LEFT, bottom - TOP


def svg(shown: list[tuple[Box, Box]]) -> str:
    """The picture; it holds still for whoever asked for less motion."""
    with Image.open(EXAMPLE) as example:
        part = example.convert("RGB").crop((LEFT, TOP, LEFT + SIDE, TOP + SIDE))
    file = io.BytesIO()
    part.save(file, "WEBP", quality=60)
    data = base64.b64encode(file.getvalue()).decode()
    large = (SIDE - GAP) // 2
    each = 100 / PAIRS
    frames = "".join(
        f"@keyframes asks-{number}{{0%{{opacity:{int(not number)}}}"
        f"{max(0, each * number - 1):.1f}%{{opacity:{int(not number)}}}{each * number + 1:.1f}%{{opacity:1}}"
        f"{each * (number + 1) - 1:.1f}%{{opacity:1}}{each * (number + 1) + 1:.1f}%{{opacity:0}}"
        f"100%{{opacity:{int(not number)}}}}}.asks-{number}{{animation:asks-{number} {SECONDS:g}s 1.5s 1 both}}"
        for number in range(PAIRS)
    )
    groups = "".join(_group(number, *pair, large) for number, pair in enumerate(shown))
    return (
        f'<svg viewBox="0 0 {SIDE + GAP + large} {SIDE}" role="img" aria-label="A square of a picture, '
        'and the square of the same picture that the network compared it with">'
        f"<style>.asks{{opacity:0;filter:drop-shadow(0 0 1.5px #11161b)}}.asks-0{{opacity:1}}{frames}</style>"
        f'<image id="asked" width="{SIDE}" height="{SIDE}" href="data:image/webp;base64,{data}"/>{groups}</svg>\n'
    )


def _group(number: int, box: Box, reference: Box, large: int) -> str:
    parts = []
    middles = [((one[0] + one[2]) / 2, (one[1] + one[3]) / 2) for one in (box, reference)]
    (x1, y1), (x2, y2) = middles
    for place, (one, dashes) in enumerate(((box, ' stroke-dasharray="5 3"'), (reference, ""))):
        left, top, right, bottom = one
        y = place * (large + GAP)
        parts.append(
            f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"{dashes}/>'
            f'<svg x="{SIDE + GAP}" y="{y}" width="{large}" height="{large}" '
            f'viewBox="{left} {top} {right - left} {bottom - top}"><use href="#asked"/></svg>'
            f'<rect x="{SIDE + GAP + 1}" y="{y + 1}" width="{large - 2}" height="{large - 2}"{dashes}/>'
        )
    line = f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>'
    return f'<g class="asks asks-{number}" fill="none" stroke="#ffd166" stroke-width="2.5">{line}{"".join(parts)}</g>'


if __name__ == "__main__":
    MASTHEAD_PICTURE.write_text(svg(pairs()), "utf-8")
