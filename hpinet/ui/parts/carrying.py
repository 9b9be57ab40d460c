"""The picture of the first tab, taken over by another one: nobody chooses and sends the same picture twice."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from hpinet.ui.parts.events import LIGHT, RAW, uploaded

LABEL = "Use the picture from Upscale"


def carry_button(prefix: str) -> gr.Button:
    """Shows where the tab has another picture than the first one; `connect` lets it work."""
    return gr.Button(LABEL, size="sm", visible=False, elem_id=f"{prefix}carry")


def connect(
    button: gr.Button,
    tab: gr.Tab,
    source: gr.State,
    image: gr.Image,
    *,
    fill: Callable[[Any], tuple[Any, ...]],
    outputs: list[Any],
) -> None:
    """Whoever comes to the ``tab`` finds the picture of ``source`` where there is none, and else the ``button``.

    ``source`` holds an object with the ``path`` of the picture and the file that is ``shown`` of it, or None.
    ``fill`` makes the values of the ``outputs`` of it.
    """

    unchanged = [gr.skip()] * len(outputs)

    def take(source: Any) -> tuple[Any, ...]:
        return gr.update(visible=False), *(unchanged if source is None else fill(source))

    def come(image: object, source: Any) -> tuple[Any, ...]:
        present = uploaded(image)
        if source is None or present is None:
            return take(source)
        return gr.update(visible=present not in (source.path, source.shown)), *unchanged

    tab.select(come, [image, source], [button, *outputs], **LIGHT, **RAW)
    button.click(take, source, [button, *outputs], **LIGHT)
