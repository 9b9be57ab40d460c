"""Makes the small input pictures of examples/ and their README: `python scripts/make_examples.py [folder]`.

Photographs come with scikit-image (a development dependency) and are free of copyright; the rest is drawn here at four
times its size. Everything is then reduced by antialiased bicubic, the degradation the networks are trained for. Some
are saved as JPEG, as most pictures on the web were.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

DRAWN = "drawn by scripts/make_examples.py"
OURS = "CC0"


@dataclass(frozen=True)
class Example:
    """One input picture: how it is made, and what may be done with it."""

    name: str  # of the file, without its suffix
    caption: str
    source: str
    licence: str
    make: Callable[[], Image.Image]
    saved: tuple[int, ...] = ()  # JPEG qualities, 4:2:0, one save after the other; none: PNG

    @property
    def file(self) -> str:
        """Its name."""
        return f"{self.name}.{'jpg' if self.saved else 'png'}"


def photograph(
    pixels: Callable[[], np.ndarray], reduction: int, box: tuple[int, int, int, int] | None = None
) -> Image.Image:
    """A photograph of scikit-image, cropped to ``box`` (left, top, right, bottom) and reduced."""
    return reduce(Image.fromarray(pixels()).crop(box) if box else Image.fromarray(pixels()), reduction)


def reduce(picture: Image.Image, factor: int) -> Image.Image:
    return picture.resize((picture.width // factor, picture.height // factor), Image.Resampling.BICUBIC)


def facade() -> Image.Image:
    """Rows of equal windows, one of them lit: what a network that looks across the whole picture can use."""
    width, height = 768, 640
    rng = np.random.default_rng(5)
    bricks = np.empty((height, width, 3))
    for top in range(0, height, 16):
        for left in range(-(top // 16 % 2) * 24, width, 48):
            tone = np.array([158, 92, 70]) + rng.normal(0, 9)
            bricks[top : top + 16, max(0, left) : left + 48] = tone
            bricks[top : top + 3, max(0, left) : left + 48] = (196, 184, 170)
            if left > 0:
                bricks[top : top + 16, left : left + 3] = (196, 184, 170)
    picture = Image.fromarray(bricks.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for row in range(4):
        for column in range(6):
            x, y = 28 + column * 122, 26 + row * 154
            lit = (row, column) == (1, 3)
            draw.rectangle((x - 8, y - 8, x + 92, y + 116), fill=(226, 220, 208))
            draw.rectangle((x, y, x + 84, y + 108), fill=(250, 214, 120) if lit else (54, 74, 92))
            if not lit:
                draw.polygon([(x, y + 70), (x + 84, y + 12), (x + 84, y + 40), (x, y + 98)], fill=(82, 106, 126))
            for bar in (28, 56):
                draw.line((x + bar, y, x + bar, y + 108), fill=(240, 238, 232), width=5)
            for bar in (36, 72):
                draw.line((x, y + bar, x + 84, y + bar), fill=(240, 238, 232), width=5)
            draw.rectangle((x - 14, y + 116, x + 98, y + 128), fill=(206, 198, 184))
    # A photographer never stands square to a house.
    return reduce(
        picture.transform((width, height), Image.Transform.QUAD, (0, 0, 30, 600, 760, 640, 700, 40), resample=3), 4
    )


def text() -> Image.Image:
    """Print in several sizes, dark on light and light on dark."""
    picture = Image.new("RGB", (832, 512), (250, 248, 243))
    draw = ImageDraw.Draw(picture)
    lines = [
        (72, "From coarse to fine"),
        (46, "Every patch asks the whole picture"),
        (34, "for the patch it most resembles, then its own"),
        (34, "pixels, and at last its nearest neighbours."),
    ]
    y = 28
    for size, line in lines:
        draw.text((40, y), line, fill=(28, 30, 36), font=ImageFont.load_default(size))
        y += int(size * 1.32)
    draw.rectangle((0, 308, 832, 512), fill=(30, 52, 86))
    for y, size, line in (
        (330, 52, "0123456789  ABCDEFG  %&?!@"),
        (408, 34, "The small print: sharpness cannot be certain."),
        (456, 30, "A network guesses; look twice."),
    ):
        draw.text((40, y), line, fill=(246, 240, 220), font=ImageFont.load_default(size))
    return reduce(picture, 4)


def line_art() -> Image.Image:
    """A compass rose in ink: thin lines at every angle, hatching and circles, in grey."""
    side, middle = 704, 352
    picture = Image.new("L", (side, side), 255)
    draw = ImageDraw.Draw(picture)
    for radius, width in ((330, 6), (312, 2), (236, 3), (120, 3)):
        draw.ellipse((middle - radius, middle - radius, middle + radius, middle + radius), outline=0, width=width)
    for degree in range(0, 360, 5):
        inner = 284 if degree % 15 == 0 else 298
        draw.line((*_polar(middle, degree, inner), *_polar(middle, degree, 312)), fill=0, width=3)
    for number in range(16):
        angle, length = number * 22.5, (228, 120, 176, 120)[number % 4]
        points = ((0, length), (11, 52), (-11, 52))
        tip, side_a, side_b = (_polar(middle, angle + turn, reach) for turn, reach in points)
        draw.polygon([(middle, middle), side_a, tip], fill=0)
        draw.polygon([(middle, middle), side_b, tip], fill=255, outline=0, width=3)
    for number, letter in enumerate("NESW"):
        draw.text(_polar(middle, number * 90, 262), letter, fill=0, font=ImageFont.load_default(52), anchor="mm")
    for offset in range(0, 96, 9):  # hatched corners
        draw.line((0, 96 - offset, 96 - offset, 0), fill=0, width=2)
        draw.line((side, side - 96 + offset, side - 96 + offset, side), fill=0, width=2)
    return reduce(picture, 4)


def badge() -> Image.Image:
    """A shape on nothing: hard edges, a soft shadow and a half-transparent ring, with alpha."""
    side, middle = 640, 320
    grid = np.mgrid[:side, :side].astype(float)
    shadow = np.exp(-((((grid[1] - middle - 14) ** 2 + (grid[0] - middle - 22) ** 2) / 262**2) ** 6))
    picture = Image.fromarray(
        np.dstack([np.zeros((side, side, 3)), shadow * 110]).astype(np.uint8),
    )
    layer = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(layer)
    scallop = [_polar(middle, d / 2, 246 + 14 * math.cos(math.radians(d / 2 * 20))) for d in range(720)]
    draw.polygon(scallop, fill=(22, 120, 116, 255))
    draw.ellipse((120, 120, 520, 520), outline=(255, 255, 255, 150), width=16)
    petals = 8
    for number in range(petals):
        angle = number * 360 / petals
        petal = [_polar(middle, angle + turn, reach) for turn, reach in ((-13, 90), (0, 172), (13, 90), (0, 44))]
        draw.polygon(petal, fill=(250, 196, 62, 255), outline=(120, 70, 12, 255), width=4)
    draw.ellipse((280, 280, 360, 360), fill=(0, 0, 0, 0))  # a hole: what is behind shows through
    return reduce(Image.alpha_composite(picture, layer), 4)


def _polar(middle: float, degrees: float, radius: float) -> tuple[float, float]:
    """The point at a compass bearing."""
    return middle + radius * math.sin(math.radians(degrees)), middle - radius * math.cos(math.radians(degrees))


SCIKIT = "scikit-image, `skimage.data.{}`"

EXAMPLES = (
    Example(
        "cat",
        "Cat: fur and whiskers",
        SCIKIT.format("chelsea") + ", photograph by Stéfan van der Walt",
        "CC0",
        lambda: photograph(data.chelsea, 2),
    ),
    Example(
        "astronaut",
        "Face: astronaut Eileen Collins",
        SCIKIT.format("astronaut") + ", photograph by NASA",
        "public domain",
        lambda: photograph(data.astronaut, 2, (96, 0, 352, 288)),
    ),
    Example("facade", "Architecture: repeated windows", DRAWN, OURS, facade),
    Example(
        "towers",
        "Steel lattice at dusk",
        SCIKIT.format("rocket") + ", photograph by SpaceX",
        "public domain",
        lambda: photograph(data.rocket, 3, (0, 25, 639, 427)),
    ),
    Example(
        "coffee",
        "A JPEG of low quality: coffee",
        SCIKIT.format("coffee") + ", photograph by Rachel Michetti",
        "CC0",
        lambda: photograph(data.coffee, 3, (0, 10, 600, 394)),
        saved=(40,),
    ),
    Example("text", "Text", DRAWN, OURS, text),
    Example("line-art", "Line art, grey", DRAWN, OURS, line_art),
    Example("badge", "Transparent background", DRAWN, OURS, badge),
    Example(
        "launch",
        "A JPEG saved twice: rocket at night",
        SCIKIT.format("rocket") + ", photograph by SpaceX",
        "public domain",
        lambda: photograph(data.rocket, 2, (160, 60, 512, 316)),
        saved=(55, 70),
    ),
    Example(
        "photographer",
        "Photograph, grey",
        SCIKIT.format("camera") + ", photograph by Lav Varshney",
        "CC0",
        lambda: photograph(data.camera, 3, (30, 50, 510, 512)),
    ),
)


def save(picture: Image.Image, path: Path, qualities: tuple[int, ...]) -> None:
    """As PNG, or as JPEG time after time, each with a grid of blocks that begins elsewhere."""
    if not qualities:
        picture.save(path, optimize=True)
    for number, quality in enumerate(qualities):
        if number:
            with Image.open(path) as before:
                picture = before.crop((3, 5, before.width, before.height))
        picture.save(path, quality=quality, subsampling="4:2:0", optimize=True)


def readme(sizes: dict[str, tuple[int, int]]) -> str:
    rows = [
        f"| `{e.file}` | {sizes[e.name][0]}×{sizes[e.name][1]} | {e.caption} | {e.source} | {e.licence} |"
        for e in EXAMPLES
    ]
    return "\n".join(
        [
            "# Example pictures",
            "",
            "Small inputs for the page, the command line and the tests, made by `scripts/make_examples.py`.",
            "",
            "| file | pixels | shows | source | licence |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {}
    for example in EXAMPLES:
        picture = example.make()
        save(picture, folder / example.file, example.saved)
        with Image.open(folder / example.file) as saved:
            sizes[example.name] = saved.size
    (folder / "README.md").write_text(readme(sizes), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "examples")
