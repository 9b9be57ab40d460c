"""Explanations drawn with Matplotlib: PNG for the screen, SVG and PDF for papers, captions included.

Figures are made without pyplot, so they share no state and any thread may draw. Colour maps are perceptually uniform.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, PowerNorm, to_hex
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import ConnectionPatch, Rectangle

from hpinet.attribution.explain import Explanation, facts_of, in_words
from hpinet.attribution.lam import FAINT, contribution_area, level_holding
from hpinet.attribution.reach import TilingCost, field_in_words
from hpinet.attribution.regions import Box
from hpinet.errors import OptionError

HEAT = "inferno"
STAGES = "viridis"
FORMATS = (".png", ".svg", ".pdf")
SPOT = "#19d3f3"  # the explained window: a colour that neither map has

_DOTS_PER_INCH = 150
_LINE_LENGTH = 172  # letters of a caption


def heat_pixels(strength: np.ndarray) -> np.ndarray:
    """(H, W) -> (H, W, 4) uint8 RGBA: the strongest pixel brightest, on a logarithmic scale down to `FAINT` of it.

    Weaker pixels fade out, so that the picture underneath stays visible where nothing happens.
    """
    level = 1 + np.log10(np.maximum(strength / strength.max(), FAINT)) / -np.log10(FAINT)
    colours = colormaps[HEAT](level)
    colours[..., 3] = np.minimum(1, 2 * level)
    return (colours * 255).round().astype(np.uint8)


def area_pixels(density: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1] -> (H, W, 4) uint8 RGBA, on a linear scale; where nothing contributes the picture shows."""
    colours = colormaps[HEAT](density)
    colours[..., 3] = 0.85 * np.sqrt(density)
    return (colours * 255).round().astype(np.uint8)


def faded(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 in grey and half the contrast, so that colours on it mean something."""
    grey = 64 + pixels.mean(-1, keepdims=True) / 2
    return np.repeat(grey, 3, axis=2).astype(np.uint8)


def stage_colours(count: int) -> list[str]:
    """A colour for each stage, dark to light, as #rrggbb."""
    levels = np.linspace(0.15, 1, count) if count > 1 else [0.6]
    return [to_hex(colormaps[STAGES](level)) for level in levels]


def explanation_figure(explanation: Explanation, *, title: str) -> Figure:
    """Attribution map, contribution area, result and matched patches of one spot, with a caption."""
    matching = bool(explanation.stages)
    caption = _wrapped(in_words(explanation))
    heights = [3.6, *([3.7] if matching else []), 0.25 * len(caption) + 0.1]
    figure = Figure(figsize=(12, sum(heights)), layout="constrained")
    figure.suptitle(title, fontweight="bold", parse_math=False)  # a file's name may have signs of formulas
    strips = [figure.add_subfigure(row) for row in figure.add_gridspec(len(heights), 1, height_ratios=heights)]
    attribution, area, result = strips[0].subplots(1, 3, width_ratios=[1.22, 1, 1])
    _draw_map(attribution, explanation)
    _draw_area(area, explanation)
    _draw_result(result, explanation)
    if matching:
        left, middle, right = (strips[1].add_subfigure(part) for part in strips[1].add_gridspec(1, 3))
        _draw_chain(left.subplots(), explanation)
        _draw_pairs(middle, explanation)
        _draw_distances(right.subplots(), explanation)
    _write(strips[-1], caption)
    return _arranged(figure)


def reach_figure(field: np.ndarray, seen: np.ndarray, cost: TilingCost, *, title: str) -> Figure:
    """The receptive field over the pixels ``seen``; the picture enlarged whole, in tiles, and where the two differ."""
    caption = _wrapped([field_in_words(field), cost.in_words()])
    heights = [3.2, 0.25 * len(caption) + 0.1]
    figure = Figure(figsize=(12, sum(heights)), layout="constrained")
    figure.suptitle(title, fontweight="bold", parse_math=False)  # a file's name may have signs of formulas
    above, below = (figure.add_subfigure(row) for row in figure.add_gridspec(2, 1, height_ratios=heights))
    reached, whole, tiled, difference = above.subplots(1, 4, width_ratios=[1.2, 1, 1, 1.2])
    reached.imshow(faded(seen))
    reached.imshow(heat_pixels(field), interpolation="nearest")
    reached.set_title("What the middle depends on")
    _add_heat_legend(reached)
    whole.imshow(cost.whole)
    whole.set_title("Whole")
    tiled.imshow(cost.tiled)
    tiled.set_title(f"In tiles of {cost.tile} pixels")
    most = max(1, cost.difference.max())  # where nothing differs, the scale needs an end too
    shown = difference.imshow(cost.difference, cmap=HEAT, norm=PowerNorm(0.5, vmin=0, vmax=most))  # small ones show too
    difference.set_title("Difference")
    difference.figure.colorbar(shown, ax=difference, label="grey levels", shrink=0.8)
    for axes in (reached, whole, tiled, difference):
        axes.set_axis_off()
    _write(below, caption)
    return _arranged(figure)


def check_formats(paths: Sequence[Path]) -> Sequence[Path]:
    """The paths, if figures can be written to all of them. Raises OptionError otherwise."""
    for path in paths:
        if path.suffix.lower() not in FORMATS:
            raise OptionError(f"A figure is written as {', '.join(FORMATS)}, not {path.suffix or path.name!r}.")
        if not path.parent.is_dir():
            raise OptionError(f"{path} cannot be written: there is no such folder.")
    return paths


def save_figure(figure: Figure, path: Path) -> None:
    """Writes PNG, SVG or PDF by the suffix, undated. Raises OptionError for another one."""
    check_formats([path])
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
    with rc_context({"svg.hashsalt": "hpinet", "pdf.fonttype": 42}):
        figure.savefig(path, dpi=_DOTS_PER_INCH, metadata=undated)


def _arranged(figure: Figure) -> Figure:
    """The figure with its layout settled: every drawing would change it a little, and take its time."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _draw_map(axes: Axes, explanation: Explanation) -> None:
    extent = _extent(explanation.region)
    axes.imshow(faded(explanation.cut(explanation.region)), extent=extent)
    axes.imshow(heat_pixels(explanation.attribution.strength), extent=extent, interpolation="nearest")
    _mark_window(axes, explanation)
    axes.set_title("Local attribution map")
    _add_heat_legend(axes)


def _add_heat_legend(axes: Axes) -> None:
    legend = axes.figure.colorbar(ScalarMappable(LogNorm(FAINT, 1), HEAT), ax=axes, shrink=0.8)
    legend.ax.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    legend.set_label("of the strongest pixel")


def _draw_area(axes: Axes, explanation: Explanation) -> None:
    density = contribution_area(explanation.attribution.strength)
    extent = left, right, bottom, top = _extent(explanation.region)
    axes.imshow(faded(explanation.cut(explanation.region)), extent=extent)
    axes.imshow(area_pixels(density), extent=extent, interpolation="nearest")
    outer, inner = (level_holding(density, share) for share in (0.9, 0.5))
    if outer < inner:
        across, down = np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5
        lines = axes.contour(across, down, density, levels=[outer, inner], colors="white", linewidths=1.2)
        axes.clabel(lines, fmt={outer: "90%", inner: "50%"}, fontsize=9)
    _mark_window(axes, explanation)
    axes.set_title("Contribution area")


def _draw_result(axes: Axes, explanation: Explanation) -> None:
    axes.imshow(explanation.result, extent=_extent(explanation.surroundings))
    left, top, right, bottom = explanation.window
    margin = 1.5 * (right - left)
    axes.set_xlim(left - margin, right + margin)
    axes.set_ylim(bottom + margin, top - margin)
    _mark_window(axes, explanation)
    axes.set_title(f"What is explained, enlarged ×{explanation.scale}")


def _draw_chain(axes: Axes, explanation: Explanation) -> None:
    axes.imshow(faded(explanation.pixels), extent=_extent(explanation.surroundings))
    for match, colour in zip(explanation.chain, stage_colours(len(explanation.stages)), strict=True):
        for (left, top, right, bottom), style in ((match.box, ":"), (match.reference, "-")):
            axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, ec=colour, lw=2, ls=style))
        ends = _centre(match.box), _centre(match.reference)
        axes.add_artist(ConnectionPatch(*ends, "data", arrowstyle="-|>", color=colour, lw=1.4))
    _mark_window(axes, explanation)
    axes.set_title("Matched patches, a colour a stage")


def _draw_pairs(figure: SubFigure, explanation: Explanation) -> None:
    """Each stage's patch and the reference it chose, as they look."""
    chain = explanation.chain
    columns = 2 if len(chain) > 4 else 1
    grid = figure.subplots(-(-len(chain) // columns), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    colours = stage_colours(len(chain))
    for axes, match, colour in zip(grid.T.flat, chain, colours, strict=False):
        for box, left in ((match.box, 0.0), (match.reference, 1.4)):
            axes.imshow(explanation.cut(box), extent=(left, left + 1, 1, 0))
            axes.add_patch(Rectangle((left, 0), 1, 1, fill=False, ec=colour, lw=2, ls=":" if left == 0 else "-"))
        axes.add_artist(ConnectionPatch((1.05, 0.5), (1.37, 0.5), "data", arrowstyle="-|>", color=colour, lw=1.4))
        axes.set_xlim(-0.05, 4.6 if columns == 1 else 4.4)
        axes.set_ylim(1.05, -0.05)
        axes.text(2.55, 0.5, "\n".join(facts_of(match)), va="center", fontsize=8)
    figure.suptitle("The patch, and what it referred to", fontsize="large")


def _draw_distances(axes: Axes, explanation: Explanation) -> None:
    stages = explanation.stages
    axes.hist([s.distances for s in stages], bins=20, stacked=True, color=stage_colours(len(stages)))
    axes.set_xlabel("pixels from a patch to its reference")
    axes.set_ylabel("patches of the picture")
    axes.set_title("How far the network reaches")
    axes.spines[["top", "right"]].set_visible(False)


def _wrapped(sentences: Sequence[str]) -> list[str]:
    """Lines as long as a figure is wide, every sentence on new ones."""
    return [line for sentence in sentences for line in textwrap.wrap(sentence, _LINE_LENGTH)]


def _write(figure: SubFigure, lines: Sequence[str]) -> None:
    figure.text(0.01, 0.5, "\n".join(lines), fontsize=9.5, va="center", linespacing=1.5)


def _mark_window(axes: Axes, explanation: Explanation) -> None:
    left, top, right, bottom = explanation.window
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, ec=SPOT, lw=1.8))
    axes.set_xticks([])
    axes.set_yticks([])


def _extent(box: Box) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left, right, bottom, top


def _centre(box: Box) -> tuple[float, float]:
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2
