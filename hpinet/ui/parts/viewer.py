"""The viewer of a result: pixel for pixel, beside the picture before. Its script is the element `<hpinet-viewer>`."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

import gradio as gr

from hpinet.ui.jobs.tiles import View

_HERE = Path(__file__).parent
_STYLE = json.dumps((_HERE / "viewer.css").read_text("utf-8"))
SCRIPT = (_HERE / "viewer.js").read_text("utf-8").replace('"__STYLE__"', _STYLE)
"""Defines the element, its style included."""

HEAD = f"<script>{SCRIPT}</script>"

# Spots that were chosen become events of the component: "compare" and "explain".
_ON_LOAD = """element.addEventListener("hpinet-spot", ({ detail: { what, x, y } }) =>
  trigger(what === "compare" ? "compare" : "explain", { index: [x, y] }));
element.addEventListener("hpinet-frame", ({ detail }) => trigger("frame", { index: detail }));"""


def viewer(elem_id: str) -> gr.HTML:
    """An empty viewer; `showing` makes its values.

    Its events ``compare`` and ``explain`` carry a spot of the upload, as a click on a picture does; ``frame`` carries
    the part of it that is in sight.
    """
    return gr.HTML(js_on_load=_ON_LOAD, elem_id=elem_id)


def showing(
    name: str,
    view: View,
    model: str,
    others: Sequence[tuple[str, View, str]] = (),
    *,
    corner: tuple[int, int] | None = None,
    is_upload: bool = False,
) -> str:
    """The value that shows a view by its ``name`` in `hpinet.ui.jobs.tiles.VIEWS`; ``model`` names the result.

    ``others`` are results of the same picture that it can be compared with: their names, views and models.
    ``corner`` is that of a view of a piece alone, in pixels of the upload; why a piece looks as it does is not asked.
    With ``is_upload`` nothing is compared: a part of the upload is chosen.
    """
    told = {
        "name": name,
        "upload": view.upload,
        "result": view.result,
        "picture": view.picture,
        "spot": view.spot,
        "alpha": view.has_alpha,
        "model": model,
        "others": [{"name": other, "size": seen.result, "model": by} for other, seen, by in others],
        "corner": corner,
        "isUpload": is_upload,
    }
    return f'<hpinet-viewer data-model="{escape(model)}" data-view="{escape(json.dumps(told))}"></hpinet-viewer>'
