"""A piece of a picture: shown before a long run, or chosen to be upscaled alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from hpinet.errors import HPINetError, OptionError
from hpinet.images import Picture, format_of, save_picture
from hpinet.ui.jobs import examples, previews, tiles
from hpinet.ui.jobs.glimpse import glimpse, side_of
from hpinet.ui.jobs.models import choice_of
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.parts import html
from hpinet.ui.parts.controls import new_word, wanted_from
from hpinet.ui.parts.events import LIGHT, PRIVATE, chosen
from hpinet.ui.parts.viewer import showing
from hpinet.ui.server import values
from hpinet.ui.server.storage import new_folder
from hpinet.ui.tabs.upscale_events import (
    LARGE_MEGAPIXELS,
    Shown,
    Source,
    followed,
    offer_no_more,
    opened,
    source_of,
    upscale,
)

_BEGINS = "(...values) => { window.runBegins(); return values; }"
_SHOW = """() => {
  setTimeout(() => document.querySelector("#download")?.offsetParent ?? window.showOutcome("result"), 200);
  return [];
}"""
"""Brings a viewer that shows no result yet into sight, as if that were the outcome."""

LEAST_SIDE = 16  # pixels of a part
HOW_TO_CHOOSE = "Zoom and move until you see the part you want, then press “Upscale what I see”."


def upscale_piece_first(
    request: gr.Request,
    progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio looks for it)
    *,
    image: dict[str, Any] | None,
    source: Source | None,
    shown: Shown | None,
    results: tuple[Shown, ...] = (),
    **fields: object,
) -> Iterator[tuple[Any, ...]]:
    """The Upscale button: what `upscale` answers, and before that, if it takes long, the most telling piece."""
    if piece := first_piece(request, image=image, source=source, **fields):
        offer_no_more(request)
        yield piece
        shown = None
    yield upscale(request, progress, image=image, source=source, shown=shown, results=results, **fields)


def first_piece(
    request: gr.Request, *, image: dict[str, Any] | None, source: Source | None, **fields: object
) -> tuple[Any, ...] | None:
    """The most telling piece of a long run, in the outputs of `upscale`; None where there is no time for one.

    Whatever is wrong is left for the run to tell.
    """
    try:
        if source is None or source.path != chosen(image):
            return None
        wanted = wanted_from(**fields)
        plan, choice = wanted.plan(source.size), choice_of(wanted.model)
        side = side_of(choice, wanted, plan, rounds=source.rounds)
        if side is None or examples.is_kept(source.path, plan, wanted):
            return None
        stop = StopFlag.of(request, "upscale")
        found = glimpse(source.path, wanted, plan, side, found=source.found, stop=stop, new_folder=new_folder)
    except HPINetError:  # stopped too
        return None
    label = f"HPINet {wanted.model}: a piece of it"
    viewer = showing(opened(found.view, request), found.view, label, corner=found.corner)
    return gr.skip(), gr.update(visible=True), viewer, gr.update(visible=False), gr.skip(), None


def connect(part: gr.Button, source: gr.State, looking: gr.HTML, outputs: list[Any]) -> None:
    """Shows the button where it makes sense, and what `choose_part` says in the ``outputs``.

    The viewer ``looking`` comes into sight with whatever is not a result.
    """
    seen = gr.State(None)
    source.change(offer_parts, source, part, **LIGHT)
    part.click(choose_part, [source, seen], [*outputs, seen], js=_BEGINS, **LIGHT)
    looking.change(None, None, None, js=_SHOW, queue=False, **PRIVATE)


def offer_parts(source: Source | None) -> Any:
    """The button that lets a part be chosen, for pictures that are large already."""
    return gr.update(visible=source is not None and source.width * source.height >= LARGE_MEGAPIXELS * 1e6)


@dataclass(frozen=True)
class Seen:
    """A picture of which a part was to be chosen: written out once, however often that is wished for."""

    path: Path
    view: tiles.View
    name: str  # of the view, another one each time: a viewer's value that stays the same would change nothing


def choose_part(request: gr.Request, source: Source | None, seen: Seen | None) -> tuple[Any, ...]:
    """The picture itself in the viewer: status, group of the result, viewer, download button, what is shown, `Seen`."""
    if source is None:
        return (gr.skip(),) * 6
    if seen is not None and seen.path == source.path and seen.view.is_there:
        view = seen.view
        tiles.VIEWS.close(seen.name)
    else:
        try:
            view = tiles.keep_upload(previews.open_sent(source.path), new_folder(), upload=source.path)
        except HPINetError as error:
            return html.trouble(str(error)), *[gr.skip()] * 5
    offer_no_more(request)
    seen = Seen(source.path, view, opened(view, request))
    viewer = showing(seen.name, view, "", is_upload=True)
    return html.quiet(HOW_TO_CHOOSE), gr.update(visible=True), viewer, gr.update(visible=False), None, seen


def cut(
    event: gr.EventData, *, source: Source | None, wishes: object, placed: dict[str, Any], **present: object
) -> tuple[Any, ...]:
    """The part in sight as a picture of its own: picture, source, what `followed` says, and a word to go on."""
    if source is None:
        raise OptionError("Choose a picture first.")
    left, top, right, bottom = values.frame(event._data)
    right, bottom = min(right, source.width), min(bottom, source.height)
    if right - left < LEAST_SIDE or bottom - top < LEAST_SIDE:
        raise OptionError(f"A part must be at least {LEAST_SIDE} pixels wide and high.")
    path = new_folder() / f"{source.path.stem[:80]}-part.png"
    picture = _part_of(source, left, top, right - left, bottom - top)
    save_picture(picture, path)
    part = source_of(path, picture)
    return str(part.shown), part, *followed(part, wishes, placed, **present), new_word()


def _part_of(source: Source, left: int, top: int, width: int, height: int) -> Picture:
    """A part of the picture, with all that is known of the whole: the part itself tells less, and its file nothing."""
    part = previews.cropped(previews.open_sent(source.path), left, top, width, height)
    said, format = source.said.of((width, height)), format_of(source.follows)
    return replace(part, compression=source.found, metadata=said, format=format)
