"""Makes the icons of the page, `hpinet/ui/server/icon-*.png`: a disc, coarse before and smooth after."""

import numpy as np
from PIL import Image

from hpinet.ui.server.install import FOLDER, ICON_SIZES

BEHIND, BEFORE, AFTER, BORDER = (19, 79, 77), (116, 207, 196), (238, 250, 248), (255, 255, 255)
BLOCKS = 8  # of the coarse half, each way
RADIUS, LINE = 0.36, 0.012  # shares of the side; launchers cut off whatever lies beyond 0.4
SMOOTHING = 4


def draw(side: int) -> Image.Image:
    """The icon, (side, side) pixels."""
    fine = side * SMOOTHING
    rows, columns = (np.mgrid[:fine, :fine] + 0.5) / fine - 0.5

    def disc(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.hypot(x, y) < RADIUS

    # Eight blocks fill the square around the disc: each is one if its middle is.
    block = 2 * RADIUS / BLOCKS
    middles = [(np.floor(at / block) + 0.5) * block for at in (rows, columns)]
    pixels = np.full((fine, fine, 3), BEHIND, np.uint8)
    pixels[disc(*middles) & (columns < 0)] = BEFORE
    pixels[disc(rows, columns) & (columns >= 0)] = AFTER
    pixels[(np.abs(columns) < LINE) & (np.abs(rows) < 0.42)] = BORDER
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BOX)


def main() -> None:
    for side in ICON_SIZES:
        draw(side).quantize(32).save(FOLDER / f"icon-{side}.png", optimize=True)


if __name__ == "__main__":
    main()
