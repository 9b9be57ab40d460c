"""The lens: one spot, enlarged by every model that is here, to choose one without running the whole picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from hpinet import wording
from hpinet.errors import Cancelled, HPINetError, OptionError
from hpinet.images import Picture, resize_bicubic
from hpinet.treatment import Treatment, check_treatment
from hpinet.ui.jobs import previews
from hpinet.ui.jobs.models import SHELF, Choice, choices, pass_operations, pass_seconds
from hpinet.ui.jobs.running import Needs, Reporter, StopFlag, end_newest, heavy, only_one
from hpinet.ui.jobs.zerogpu import PACE
from hpinet.ui.parts import html
from hpinet.ui.parts.events import COMPUTE, LIGHT
from hpinet.ui.parts.spots import SpotFields, spot_fields
from hpinet.ui.server import values
from hpinet.ui.server.ending import Ending
from hpinet.ui.tabs.upscale_events import Source

EXPLANATION = """Click a spot on your picture, or give its place in pixels, to see it enlarged by every model that is
on this machine, pixel for pixel. Here the models see only the surroundings of the spot: a full run may differ."""

SCALE = 4
SIDE = 56  # pixels of the picture that are shown
CONTEXT = 112  # pixels of it that the models see

_NOTHING = html.quiet("Nothing looked at yet.")

# What the lens shows may be far below what was clicked.
_SHOW_CROPS = """(...values) => { window.bringNear("crops"); return values; }"""


@dataclass(frozen=True)
class Lens:
    """The controls of the lens, folded away."""

    panel: gr.Accordion
    spot: SpotFields
    look: gr.Button
    crops: gr.HTML


def build(image: str) -> Lens:
    """Lays out the lens for the picture with the element id ``image``."""
    with gr.Accordion("Lens: which model?", open=False, elem_id="lens") as panel:
        gr.Markdown(EXPLANATION)
        with gr.Row():
            spot = spot_fields(image)
            look = gr.Button("Look", elem_id="look")
        crops = gr.HTML(_NOTHING, elem_id="crops", min_height=60)
    return Lens(panel, spot, look, crops)


def connect(lens: Lens, chosen: Sequence[Any], source: gr.State, treatment: gr.Radio) -> None:
    """Opens the lens and looks after each event of ``chosen``, which has filled the fields of the spot.

    What was seen of a picture goes with it.
    """
    source.change(_forget, None, lens.crops, **LIGHT)
    opened = [event.then(lambda: gr.update(open=True), None, lens.panel, **LIGHT) for event in chosen]
    for trigger in (*(event.then for event in opened), lens.look.click):
        trigger(
            magnify,
            inputs_kwargs={"source": source, "treatment": treatment, **lens.spot.inputs},
            outputs=lens.crops,
            js=_SHOW_CROPS,
            trigger_mode="multiple",
            **COMPUTE,
        )


def _forget(request: gr.Request) -> str:
    end_newest(StopFlag.of(request, "lens"))
    return _NOTHING


def magnify(
    request: gr.Request,
    progress: gr.Progress = gr.Progress(),  # noqa: ARG001, B008 (Gradio looks for it)
    *,
    source: Source | None,
    treatment: object,
    x: object,
    y: object,
) -> Any:
    """The spot, or the middle, as bicubic and every installed model enlarge it, side by side."""
    if source is None:
        return html.quiet("Choose a picture first, then click on it.")
    try:
        picture = previews.open_sent(source.path)
    except HPINetError as error:
        return html.trouble(str(error))
    try:
        width, height = picture.width, picture.height
        left = width // 2 if x is None else values.number("From the left", x, 0, values.MAX_PIXELS)
        top = height // 2 if y is None else values.number("From the top", y, 0, values.MAX_PIXELS)
        if left >= width or top >= height:
            size = wording.size((width, height))
            raise OptionError(f"The spot {left}, {top} lies outside the picture of {size} pixels.")
        stop = StopFlag.of(request, "lens")
        stop.lower()  # Gradio takes a connection that was lost for a moment for a page that was closed
        # Its losses are those of the whole: so small a piece tells little of them.
        surroundings = previews.with_losses(previews.around(picture, left, top, CONTEXT), source.found)
        del picture  # the work on its piece may wait for its turn
        with only_one(stop):
            views = _enlarged(surroundings, check_treatment(treatment), stop)
    except Cancelled as stopped:  # by another spot or picture, whose turn it is now
        return html.quiet(str(stopped)) if isinstance(stopped, Ending) else gr.skip()
    except HPINetError as error:
        return html.trouble(str(error))
    # The spot within its surroundings, which were moved inside the picture near its borders.
    spot = _within(left, width), _within(top, height)
    return html.figures((_view(view, *spot), name) for name, view in views)


def _declared_seconds(surroundings: Picture, treatment: Treatment, stop: StopFlag) -> int:  # noqa: ARG001 (as the work is)
    width, height = surroundings.width, surroundings.height
    return PACE.to_ask_for(sum(pass_operations(choice, SCALE, width, height) for choice in _ready()))


def _needs(surroundings: Picture, treatment: Treatment, stop: StopFlag) -> Needs:  # noqa: ARG001
    side = max(surroundings.width, surroundings.height)
    return Needs(stop, 50, sum(pass_seconds(choice, SCALE, side, side) for choice in _ready()))


def _ready() -> list[Choice]:
    """The models that need not be fetched."""
    return [choice for choice in choices().values() if SCALE in choice.natives and choice.natives[SCALE].installed]


@heavy(duration=_declared_seconds, needs=_needs)
def _enlarged(surroundings: Picture, treatment: Treatment, stop: StopFlag) -> list[tuple[str, Picture]]:
    views = [("bicubic", resize_bicubic(surroundings, surroundings.width * SCALE, surroundings.height * SCALE))]
    ready = _ready()
    for number, choice in enumerate(ready):
        info = choice.natives[SCALE]
        progress = Reporter(info.name, stop, start=number / len(ready), share=1 / len(ready))
        upscaler, own = SHELF.upscaler(choice.key, SCALE), treatment if info.levels else "clean"
        views.append((info.name, upscaler(surroundings, treatment=own, progress=progress)))
    return views


def _within(at: int, length: int) -> int:
    return at - min(max(0, at - CONTEXT // 2), max(0, length - CONTEXT))


def _view(picture: Picture, x: int, y: int) -> Picture:
    return previews.around(picture, x * SCALE, y * SCALE, SIDE * SCALE)
