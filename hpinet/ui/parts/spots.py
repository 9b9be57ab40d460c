"""A spot of a picture: clicked or given in pixels, and marked on the picture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from hpinet.ui.parts.controls import new_word
from hpinet.ui.parts.events import LIGHT, PRIVATE
from hpinet.ui.server import values

_MARK = "() => { setTimeout(window.markSpots, 50); return []; }"


@dataclass(frozen=True)
class SpotFields:
    """The place of a spot, in pixels of the picture."""

    x: gr.Number
    y: gr.Number

    @property
    def inputs(self) -> dict[str, Any]:
        """For handlers that take ``x`` and ``y``."""
        return {"x": self.x, "y": self.y}

    def follow(self, image: gr.Image) -> Any:
        """Fills the fields when the picture is clicked. Returns the event."""
        return self.take(image.select)

    def take(self, chosen: Callable[..., Any]) -> Any:
        """Fills the fields when a spot is chosen, by an event with a spot such as ``image.select``."""
        return chosen(_clicked, None, [self.x, self.y], **LIGHT)

    def take_and_go(self, chosen: Callable[..., Any], go: gr.State) -> Any:
        """The same, and lets the work begin that waits for `hpinet.ui.parts.controls.RunButtons.go`."""
        return chosen(_clicked_to_go, None, [self.x, self.y, go], **LIGHT)


def spot_fields(image: str) -> SpotFields:
    """Two fields for a spot on the picture with the element id ``image``.

    The page's script marks the spot on pictures of the class "spotted", and finds the fields by these ids.
    """
    x = gr.Number(None, label="From the left", precision=0, elem_id=f"{image}-x")
    y = gr.Number(None, label="From the top", precision=0, elem_id=f"{image}-y")
    gr.on([x.change, y.change], None, None, None, js=_MARK, queue=False, **PRIVATE)
    return SpotFields(x, y)


def _clicked(event: gr.EventData) -> tuple[int, int]:
    return values.spot(event._data)


def _clicked_to_go(event: gr.EventData) -> tuple[int, int, str]:
    return *_clicked(event), new_word()
