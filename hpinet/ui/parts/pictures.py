"""What a field shows of the picture that was chosen: the file, or a stand-in where browsers cannot show its kind.

To open a file takes time, and another may be chosen meanwhile. So the answer does not set the field: it tells of which
file it is, and the browser, which knows what is there by now, shows the stand-in in place of that file alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from hpinet.errors import HPINetError
from hpinet.ui.jobs import previews
from hpinet.ui.parts import html
from hpinet.ui.parts.events import LIGHT, PRIVATE, RAW, uploaded
from hpinet.ui.server.storage import given_path

_SHOW = "(told, shown, held) => told && held?.path === told.of ? shown : undefined"  # which leaves the field alone
_NOW = "() => []"

Instead = tuple[dict[str, str] | None, str | None]
AS_IT_IS: Instead = None, None
"""The field shows what it holds."""


@dataclass(frozen=True)
class StandIn:
    """What a handler tells of a field, see `instead`: kept in the browser, and not seen."""

    of: gr.JSON
    shown: gr.Image

    @property
    def outputs(self) -> list[Any]:
        """For the handler."""
        return [self.of, self.shown]

    def follow(self, opened: Any, image: gr.Image) -> None:
        """After the event ``opened``, whose handler has filled the `outputs`, the ``image`` shows what these tell."""
        opened.success(None, [*self.outputs, image], image, js=_SHOW, queue=False, **PRIVATE)


def stand_in() -> StandIn:
    """Without anything to tell yet."""
    return StandIn(gr.JSON(visible=False), gr.Image(visible=False))


def instead(held: object, shown: Path | None) -> Instead:
    """What the field that ``held`` this raw value shall show in place of that file, None for nothing any more."""
    path = given_path(held)
    return AS_IT_IS if path is None else ({"of": path}, shown and str(shown))


def on_arrival(image: gr.Image, handler: Any, outputs: list[Any]) -> None:
    """Calls the ``handler`` with the raw value of the ``image`` once one was sent or taken away.

    Of several in a row the last counts. It answers what `instead` says, and the values of the ``outputs``.
    """
    place = stand_in()
    # A step of its own: Gradio lets an event happen again for whatever had to wait, and ends runs on this one.
    arrived = gr.on([image.upload, image.clear], None, None, None, js=_NOW, queue=False, **PRIVATE)
    outputs = [*place.outputs, *outputs]
    place.follow(arrived.then(handler, image, outputs, trigger_mode="always_last", **LIGHT, **RAW), image)


def look_at(held: object, *, empty: str, ready: str) -> tuple[Any, ...]:
    """What there is to say of the picture that a field has ``held``.

    That is what `instead` says, the status, the results, which are of another picture and hidden, and its middle, for a
    spot. ``empty`` is said where there is none, and what is wrong with one that cannot be opened.
    """
    hidden, nowhere = gr.update(visible=False), [gr.skip()] * 2
    try:
        path = uploaded(held)
        if path is None:
            return *AS_IT_IS, html.quiet(empty), hidden, *nowhere
        picture = previews.open_sent(path)
        shown = previews.shown_instead(path, picture)
    except HPINetError as error:
        return *AS_IT_IS, html.trouble(str(error)), hidden, *nowhere
    told = AS_IT_IS if shown == path else instead(held, shown)
    return *told, html.quiet(ready), hidden, picture.width // 2, picture.height // 2
