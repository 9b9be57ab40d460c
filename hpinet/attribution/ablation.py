"""What Global Pixel Access is worth: the diffusion index with it, and with every patch made its own reference."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from hpinet import markdown
from hpinet.attribution.explain import REGION
from hpinet.attribution.lam import QUICK, BlurPath, Window, attribute
from hpinet.attribution.matches import without_global_access
from hpinet.attribution.regions import square_around, to_tensor
from hpinet.errors import OptionError
from hpinet.model import HPINet
from hpinet.progress import Progress, ignore

DETAIL_SIDE = 5  # pixels a side over which detail is averaged


@dataclass(frozen=True)
class AccessEffect:
    """One spot of one picture, attributed twice."""

    picture: str
    x: int
    y: int
    with_access: float  # diffusion index
    without_access: float
    completeness_error: float  # the larger of the two


def access_effects(
    model: HPINet,
    pixels: np.ndarray,
    *,
    name: str,
    spots: int = 1,
    path: BlurPath = QUICK,
    region: int = REGION,
    memory_mb: int | None = None,
    progress: Progress = ignore,
) -> list[AccessEffect]:
    """Attributes the most detailed spots of a picture (H, W, 3) uint8 with GPA and without it.

    ``progress`` counts attribution maps; the other arguments are those of `hpinet.attribution.explain.explain`. Raises
    OptionError if the picture is flat, or too small for an attribution.
    """
    places = detailed_spots(pixels, spots)
    if not places:
        raise OptionError("There is no detail in this picture.")
    height, width = pixels.shape[:2]
    progress(0, 2 * len(places))
    effects = []
    for number, (x, y) in enumerate(places):
        left, top, right, bottom = seen = square_around(x, y, region, width, height)
        picture = to_tensor(pixels, seen, like=model)
        window = Window.around(x - left, y - top, scale=model.config.scale, shape=(bottom - top, right - left))
        usual = attribute(model, picture, window, path=path, memory_mb=memory_mb)
        progress(2 * number + 1, 2 * len(places))
        with without_global_access(model):
            alone = attribute(model, picture, window, path=path, memory_mb=memory_mb)
        progress(2 * number + 2, 2 * len(places))
        error = max(usual.completeness_error, alone.completeness_error)
        effects.append(AccessEffect(name, x, y, usual.diffusion_index, alone.diffusion_index, error))
    return effects


def detailed_spots(pixels: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Up to ``count`` spots (x, y) of a picture (H, W, 3) with the most detail, far apart from each other.

    Detail is the gradient magnitude of the brightness, averaged over a few pixels; the next spot is at least a third of
    the longer side away. So the picture alone decides, and nobody picks the spots that suit an argument.
    """
    if min(pixels.shape[:2]) < 2:  # no gradient to speak of
        return []
    detail = np.hypot(*np.gradient(pixels.mean(-1)))
    margin = DETAIL_SIDE // 2
    padded = np.pad(detail, margin)
    detail = np.lib.stride_tricks.sliding_window_view(padded, (DETAIL_SIDE, DETAIL_SIDE)).mean((2, 3))
    rows, columns = np.indices(detail.shape)
    spots: list[tuple[int, int]] = []
    while len(spots) < count and detail.max() > 0:
        y, x = (int(at) for at in np.unravel_index(detail.argmax(), detail.shape))
        spots.append((x, y))
        detail = np.where(np.hypot(columns - x, rows - y) < max(detail.shape) / 3, 0, detail)
    return spots


def to_markdown(effects: Sequence[AccessEffect]) -> str:
    """A table, a row a spot and a last one for the mean."""
    rows = [
        (f"{e.picture} ({e.x}, {e.y})", e.with_access, e.without_access, f"{e.completeness_error:.1%}") for e in effects
    ]
    means = mean(e.with_access for e in effects), mean(e.without_access for e in effects)
    worst = f"{max(e.completeness_error for e in effects):.1%}"
    cells = [
        (name, f"{usual:.2f}", f"{alone:.2f}", f"{alone - usual:+.2f}", error)
        for name, usual, alone, error in [*rows, ("**mean** (worst error)", *means, worst)]
    ]
    header = ("picture (spot)", "DI with GPA", "DI without", "change", "completeness error")
    return markdown.table(header, cells, numbers=4)
