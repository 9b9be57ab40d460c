"""Draws examples/spots/fabric.png, an example of the "Look inside" tab: `python scripts/make_fabric.py [file]`.

Striped cloth that falls in folds, drawn at four times its size and reduced by antialiased bicubic.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 160, 128
FACTOR = 4
STRIPE = 14.0  # pixels before reduction
COLOURS = np.array([(236, 228, 210), (38, 62, 104), (236, 228, 210), (38, 62, 104), (236, 228, 210), (176, 52, 46)])


def fabric() -> Image.Image:
    """Cream cloth with blue stripes and a red one among them."""
    rng = np.random.default_rng(11)
    y, x = np.mgrid[: HEIGHT * FACTOR, : WIDTH * FACTOR].astype(float)
    fold = 26 * np.sin(x / 90 + 0.6 * np.sin(y / 120)) + 12 * np.sin(x / 37 - y / 160)
    across = (0.82 * y + 0.30 * x + fold) / STRIPE
    # Stripes with edges one pixel soft.
    lower, part = np.divmod(across, 1.0)
    blend = np.clip((part - 0.5) * STRIPE + 0.5, 0, 1)[..., None]
    number = lower.astype(int)
    colour = COLOURS[number % len(COLOURS)] * (1 - blend) + COLOURS[(number + 1) % len(COLOURS)] * blend
    light = 0.86 + 0.22 * np.gradient(fold, axis=1)
    weave = 1 + 0.05 * np.sin(x * 1.5) * np.sin(y * 1.5) + rng.normal(0, 0.015, x.shape)
    pixels = colour * (light * weave)[..., None]
    drawn = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return drawn.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def main(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fabric().save(file, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "examples" / "spots" / "fabric.png")
