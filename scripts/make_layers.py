"""Draws `docs/layers.svg`: the rooms of the package, each resting on those below; by `tests/test_layers.py`'s order."""

import ast
from html import escape
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "layers.svg"
WIDTH, ROW, GAP, SIGN = 900, 34, 8, 7.6  # pixels; the last is a letter's width

SHELVES = (
    ("known to everybody", "#e8eef0", ("version", "terminal")),
    ("the network and pictures", "#d5e8e6", ("patches", "plan")),
    ("weights and engines", "#bcdcd8", ("checkpoints", "apart")),
    ("what is done with them", "#d9e4f2", ("comparison", "integrations")),
    ("the page", "#f3e3d0", ("ui.languages", "ui")),
    ("many machines", "#f2dede", ("cluster", "cluster")),
    ("doors", "#eadcea", ("space", "app")),
)
"""Title, colour, and the first and last layer of each shelf, from the bottom up."""


def layers() -> list[str]:
    """The order that the test enforces."""
    tree = ast.parse((ROOT / "tests" / "test_layers.py").read_text(encoding="utf-8"))
    [value] = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "LAYERS"
    ]
    return list(ast.literal_eval(value))


def purposes() -> dict[str, str]:
    """The first sentence of each room's docstring."""
    told = {}
    for layer in layers():
        path = ROOT / "hpinet" / layer.replace(".", "/")
        file = next(file for file in (path.with_suffix(".py"), path / "__init__.py", ROOT / "app.py") if file.is_file())
        told[layer] = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    return told


def rows() -> list[list[str]]:
    """The layers on each shelf, from the bottom up."""
    order = layers()
    return [order[order.index(first) : order.index(last) + 1] for _, _, (first, last) in SHELVES]


def drawing() -> str:
    """The picture as SVG: upper shelves know the lower ones, and within a shelf what is right knows what is left."""
    told, shapes, y = purposes(), [], GAP
    for (title, colour, _), names in reversed(list(zip(SHELVES, rows(), strict=True))):
        lines = _wrapped(names)
        height = ROW * len(lines) + 2 * GAP
        shapes.append(f'<rect x="{GAP}" y="{y}" width="{WIDTH - 2 * GAP}" height="{height}" rx="8" fill="{colour}"/>')
        shapes.append(f'<text x="{2 * GAP}" y="{y + GAP + ROW * 0.65:.0f}" class="title">{escape(title)}</text>')
        for number, line in enumerate(lines):
            x = 230.0
            for name in line:
                box = len(name) * SIGN + 18
                top = y + GAP + ROW * number + 3
                shapes.append(
                    f'<g><title>{escape(told[name])}</title><rect x="{x:.0f}" y="{top}" width="{box:.0f}" '
                    f'height="{ROW - 6}" rx="5" fill="white"/>'
                    f'<text x="{x + 9:.0f}" y="{top + 19}">{escape(name)}</text></g>'
                )
                x += box + GAP
        y += height + GAP
    style = "text{font:13px monospace;fill:#123}.title{font:600 14px sans-serif}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" '
        f'aria-label="The layers of the package"><style>{style}</style>\n' + "\n".join(shapes) + "\n</svg>\n"
    )


def _wrapped(names: list[str]) -> list[list[str]]:
    """Names in lines that fit."""
    ends, width = [], 230.0
    for name in names:
        box = len(name) * SIGN + 18 + GAP
        width = 230.0 + box if width + box > WIDTH - GAP else width + box
        ends.append(width == 230.0 + box)
    line_of = [sum(ends[: number + 1]) for number in range(len(ends))]
    return [[name for _, name in group] for _, group in groupby(zip(line_of, names, strict=True), lambda pair: pair[0])]


if __name__ == "__main__":
    PICTURE.write_text(drawing(), encoding="utf-8")
