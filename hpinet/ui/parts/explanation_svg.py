"""Explanations as SVG for the page: heat map, linked patches, distances. What they say is also in their labels."""

import base64
from collections.abc import Sequence
from html import escape

import numpy as np

from hpinet.attribution.explain import Explanation, facts_of, in_words
from hpinet.attribution.lam import FAINT, contribution_area
from hpinet.attribution.matches import Box, Match
from hpinet.images import Picture, encode_picture

_BARS = 24  # of the histogram
_LEGEND_STOPS = 9

# The slider and the switch above the drawings set these on the document, so that nothing is computed or sent anew.
STYLE = """<style>
.look svg { display: block; width: 100%; height: auto; border-radius: 6px; }
.look image, .pair img { image-rendering: pixelated; }
.look .heat { opacity: var(--heat-opacity, 1); }
:root[data-heat="area"] .look .pixels, :root:not([data-heat="area"]) .look .area { display: none; }
.look .legend { display: flex; align-items: center; gap: 8px; margin-top: 6px; font-size: .84rem; }
.look .legend span.bar { flex: 1; height: 12px; border-radius: 3px; }
.look line, .look rect { vector-effect: non-scaling-stroke; }
.pairs { display: flex; flex-wrap: wrap; gap: 10px 18px; margin-top: 10px; font-size: .84rem; line-height: 1.35; }
.pair { display: flex; align-items: center; gap: 6px; }
.pair img { width: 52px; height: 52px; margin: 0; border: 3px solid; border-radius: 3px; }
.pair img:first-child { border-style: dotted; }
[dir=rtl] .pair > [aria-hidden] { transform: scaleX(-1); }
.cards { display: flex; flex-wrap: wrap; gap: 12px; }
.cards figure { margin: 0; width: 150px; }
.cards figcaption { font-size: .82rem; line-height: 1.35; margin-top: 4px; }
</style>"""

SET_OPACITY = "(value) => { document.documentElement.style.setProperty('--heat-opacity', value / 100); return []; }"
SET_LAYER = "(value) => { document.documentElement.dataset.heat = value; return []; }"


def in_short(explanation: Explanation) -> tuple[str, str, str]:
    """Heat map, with the style of all drawings; what it says, as Markdown; and the linked patches."""
    words = "\n".join(f"- {sentence}" for sentence in in_words(explanation))
    return STYLE + heat_view(explanation), words, chain_view(explanation)


def heat_view(explanation: Explanation, *, legend: bool = True) -> str:
    """The attributed region, its heat map and contribution area in layers over it, and the explained window."""
    from hpinet.attribution.figures import SPOT, area_pixels, faded, heat_pixels  # noqa: PLC0415 (Matplotlib is slow to come)

    strength = explanation.attribution.strength
    height, width = strength.shape
    left, top, _, _ = explanation.region
    window = _rectangle(explanation.window, left, top, f'fill="none" stroke="{SPOT}" stroke-width="2"')
    label = (
        f"Heat map of {width} by {height} pixels around ({explanation.x}, {explanation.y}); half of the influence lies "
        f"within {explanation.radius(0.5):.0f} pixels, 99% within {explanation.radius(0.99):.0f}."
    )
    layers = (
        _image(faded(explanation.cut(explanation.region))),
        _image(heat_pixels(strength), "heat pixels"),
        _image(area_pixels(contribution_area(strength)), "heat area"),
        window,
    )
    return f'<div class="look">{_svg(width, height, label, layers)}{_legend() if legend else ""}</div>'


def chain_view(explanation: Explanation) -> str:
    """The patches around the spot, stage by stage, each linked to its reference; then both as they look."""
    from hpinet.attribution.figures import SPOT, faded, stage_colours  # noqa: PLC0415

    left, top, right, bottom = explanation.surroundings
    colours = stage_colours(len(explanation.chain))
    links = [_link(match, colour, left, top) for match, colour in zip(explanation.chain, colours, strict=True)]
    window = _rectangle(explanation.window, left, top, f'fill="none" stroke="{SPOT}" stroke-width="2"')
    label = "Matched patches: " + "; ".join(map(_told, explanation.chain))
    layers = (_image(faded(explanation.pixels)), *links, window)
    pairs = (_pair(explanation, match, colour) for match, colour in zip(explanation.chain, colours, strict=True))
    drawing = _svg(right - left, bottom - top, label, layers)
    return f'<div class="look">{drawing}<div class="pairs">{"".join(pairs)}</div></div>'


def distances_view(explanation: Explanation) -> str:
    """Histogram: how far from their references the patches of the picture are."""
    counts, edges = np.histogram(explanation.distances, bins=_BARS)
    tallest = max(1, counts.max())
    bars = [
        f'<rect x="{10 * number}" y="{60 - 60 * count / tallest:.1f}" width="9" height="{60 * count / tallest:.1f}" '
        f'fill="var(--primary-500)"><title>{count} patches at {low:.0f} to {high:.0f} pixels</title></rect>'
        for number, (count, low, high) in enumerate(zip(counts, edges[:-1], edges[1:], strict=True))
    ]
    ends = f"{edges[0]:.0f}", f"{edges[-1]:.0f} pixels"
    label = f"Distances from patches to their references: {ends[0]} to {ends[1]}."
    axis = f'<div class="legend"><span>{ends[0]}</span><span class="bar"></span><span>{ends[1]}</span></div>'
    return f'<div class="look">{_svg(10 * _BARS, 60, label, bars)}{axis}</div>'


def card(explanation: Explanation, title: str) -> str:
    """A small heat map with its name and numbers, to compare it with others."""
    attribution = explanation.attribution
    told = (
        f"{title}<br>({explanation.x}, {explanation.y}), {attribution.path.steps} steps<br>"
        f"<b>DI {attribution.diffusion_index:.1f}</b>, within {attribution.completeness_error:.1%}"
    )
    return f"<figure>{heat_view(explanation, legend=False)}<figcaption>{told}</figcaption></figure>"


def _link(match: Match, colour: str, left: int, top: int) -> str:
    """Dotted box, line and solid box of one stage."""
    stroke = f'stroke="{colour}" stroke-width="2"'
    box = _rectangle(match.box, left, top, f'fill="none" {stroke} stroke-dasharray="2 3"')
    reference = _rectangle(match.reference, left, top, f'fill="{colour}" fill-opacity=".2" {stroke}')
    (x1, y1), (x2, y2) = (_middle(each, left, top) for each in (match.box, match.reference))
    line = f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="1.5"/>'
    # Towards a corner of its own, since several stages may choose the same place.
    aside = (match.reference[2] - match.reference[0]) / 6
    x, y = x2 + aside * (1 if match.stage % 2 == 0 else -1), y2 + aside * (1 if (match.stage - 1) % 4 > 1 else -1)
    number = (
        f'<text x="{x}" y="{y}" font-size="10" text-anchor="middle" dominant-baseline="central" fill="white" '
        f'stroke="#1a2027" stroke-width="2" paint-order="stroke">{match.stage}</text>'
    )
    return f"<g><title>{escape(', '.join(facts_of(match)))}</title>{box}{line}{reference}{number}</g>"


def _told(match: Match) -> str:
    return ", ".join(facts_of(match))


def _pair(explanation: Explanation, match: Match, colour: str) -> str:
    """A patch and its reference as they look."""
    before, after = (_thumbnail(explanation, box, colour) for box in (match.box, match.reference))
    told = "<br>".join(map(escape, facts_of(match)))
    return f'<div class="pair">{before}<span aria-hidden="true">→</span>{after}<span>{told}</span></div>'


def _legend() -> str:
    from hpinet.attribution.figures import heat_pixels  # noqa: PLC0415

    stops = heat_pixels(np.geomspace(FAINT, 1, _LEGEND_STOPS))[:, :3]
    gradient = ", ".join(f"rgb({r} {g} {b})" for r, g, b in stops)
    bar = f'<span class="bar" style="background: linear-gradient(90deg, {gradient})"></span>'
    return f'<div class="legend"><span>{FAINT:.1%}</span>{bar}<span>100% of the strongest pixel</span></div>'


def _svg(width: float, height: float, label: str, layers: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{"".join(layers)}</svg>'


def _image(pixels: np.ndarray, kind: str = "") -> str:
    height, width = pixels.shape[:2]
    return f'<image class="{kind}" href="{_data(pixels)}" width="{width}" height="{height}"/>'


def _thumbnail(explanation: Explanation, box: Box, colour: str) -> str:
    return f'<img src="{_data(explanation.cut(box))}" alt="" style="border-color: {colour}">'


def _data(pixels: np.ndarray) -> str:
    png = encode_picture(Picture.from_array(np.ascontiguousarray(pixels)))
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _rectangle(box: Sequence[float], left: float, top: float, style: str) -> str:
    x, y, right, bottom = box
    return f'<rect x="{x - left}" y="{y - top}" width="{right - x}" height="{bottom - y}" {style}/>'


def _middle(box: Box, left: int, top: int) -> tuple[float, float]:
    return (box[0] + box[2]) / 2 - left, (box[1] + box[3]) / 2 - top
