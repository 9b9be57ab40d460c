"""A piece of a picture: shown before a long run, or chosen to be upscaled alone."""

from typing import Any

import gradio as gr

from hpinet.errors import HPINetError, OptionError
from hpinet.images import open_picture, save_picture
from hpinet.ui.jobs import examples, previews, tiles
from hpinet.ui.jobs.glimpse import glimpse, side_of
from hpinet.ui.jobs.models import choice_of
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.parts import html
from hpinet.ui.parts.controls import wanted_from
from hpinet.ui.parts.events import LIGHT, PRIVATE, chosen
from hpinet.ui.parts.viewer import showing
from hpinet.ui.server import values
from hpinet.ui.server.storage import new_folder
from hpinet.ui.tabs.upscale_events import LARGE_MEGAPIXELS, Shown, Source, followed, opened, read_source

_BEGINS = "(...values) => { window.runBegins(); return values; }"
SHOW = """() => {
  setTimeout(() => document.querySelector("#download")?.offsetParent ?? window.showOutcome("result"), 200);
  return [];
}"""
"""Brings a viewer that shows no result yet into sight, as if that were the outcome."""

LEAST_SIDE = 16  # pixels of a part
HOW_TO_CHOOSE = "Zoom and move until you see the part you want, then press “Upscale what I see”."


def show_first(
    request: gr.Request,
    progress: gr.Progress = gr.Progress(),  # noqa: ARG001, B008 (Gradio looks for it)
    *,
    image: dict[str, Any] | None,
    source: Source | None,
    shown: Shown | None,  # noqa: ARG001 (inputs are those of the run)
    results: tuple[Shown, ...],  # noqa: ARG001
    **fields: object,
) -> tuple[Any, ...]:
    """Before a long run, its most telling piece: group of the result, viewer, download button, what is shown.

    Whatever is wrong is left for the run to tell.
    """
    unchanged = (gr.skip(),) * 4
    try:
        if source is None or source.path != chosen(image):
            return unchanged
        wanted = wanted_from(**fields)
        plan, choice = wanted.plan(source.size), choice_of(wanted.model)
        side = side_of(choice, wanted, plan, rounds=source.rounds)
        if side is None or examples.is_kept(source.path, plan, wanted):
            return unchanged
        found = glimpse(source.path, wanted, plan, side, stop=StopFlag.of(request, "upscale"), new_folder=new_folder)
    except HPINetError:  # stopped too
        return unchanged
    label = f"HPINet {wanted.model}: a piece of it"
    return (
        gr.update(visible=True),
        showing(opened(found.view, request), found.view, label, corner=found.corner),
        gr.update(visible=False),
        None,
    )


def connect(part: gr.Button, source: gr.State, outputs: list[Any]) -> None:
    """Shows the button where it makes sense, and what `choose_part` says in the ``outputs``."""
    source.change(offer_parts, source, part, **LIGHT)
    chosen = part.click(choose_part, source, outputs, js=_BEGINS, **LIGHT)
    chosen.then(None, None, None, js=SHOW, queue=False, **PRIVATE)


def offer_parts(source: Source | None) -> Any:
    """The button that lets a part be chosen, for pictures that are large already."""
    return gr.update(visible=source is not None and source.width * source.height >= LARGE_MEGAPIXELS * 1e6)


def choose_part(request: gr.Request, source: Source | None) -> tuple[Any, ...]:
    """The picture itself in the viewer: status, group of the result, viewer, download button, what is shown."""
    if source is None:
        return (gr.skip(),) * 5
    try:
        view = tiles.keep_upload(open_picture(source.path), new_folder(), upload=source.path)
    except HPINetError as error:
        return html.trouble(str(error)), *[gr.skip()] * 4
    viewer = showing(opened(view, request), view, "", is_upload=True)
    return html.quiet(HOW_TO_CHOOSE), gr.update(visible=True), viewer, gr.update(visible=False), None


def cut(
    event: gr.EventData, *, source: Source | None, wishes: object, placed: dict[str, Any], **present: object
) -> tuple[Any, ...]:
    """The part in sight as a picture of its own: picture, source, and what `followed` says."""
    if source is None:
        raise OptionError("Choose a picture first.")
    left, top, right, bottom = values.frame(event._data)
    right, bottom = min(right, source.width), min(bottom, source.height)
    if right - left < LEAST_SIDE or bottom - top < LEAST_SIDE:
        raise OptionError(f"A part must be at least {LEAST_SIDE} pixels wide and high.")
    path = new_folder() / f"{source.path.stem[:80]}-part.png"
    save_picture(previews.cropped(open_picture(source.path), left, top, right - left, bottom - top), path)
    part = read_source(path)
    return str(part.shown), part, *followed(part, wishes, placed, **present)
