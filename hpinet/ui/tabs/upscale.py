"""The first tab: one picture, larger."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from hpinet.ui.jobs.examples import Example
from hpinet.ui.parts import html, pictures
from hpinet.ui.parts.controls import (
    FormatFields,
    example_gallery,
    format_fields,
    model_details,
    model_field,
    new_word,
    picture_field,
    run_buttons,
    size_fields,
    treatment_field,
)
from hpinet.ui.parts.events import COMPUTE, FORESIGHT, LIGHT, PRIVATE, RAW
from hpinet.ui.parts.viewer import viewer
from hpinet.ui.parts.wishes import STORAGE
from hpinet.ui.server import values
from hpinet.ui.tabs import lens, my_results, pieces, upscale_events, why
from hpinet.ui.tabs.look_inside import Spotted

# The address follows what is chosen, so that the same link is shared and shown.
_SHARE = """async (file, ...choices) => {
  window.history.replaceState(window.history.state, "", window.linkOf(...choices));
  await window.shareResult(file, ...choices);
}"""
_FOLLOW = f"(told, ...values) => window.followed(told, {list(upscale_events.PRESELECTED)}, values)"


@dataclass(frozen=True)
class UpscaleTab:
    """Its settings, where those are kept that outlast a page, and where it is asked why."""

    fields: dict[str, Any]  # by their names; those of `hpinet.ui.parts.wishes.Wishes` outlast the page
    kept: gr.BrowserState  # what was chosen by hand, for the next visit
    wishes: gr.State  # the same, and what a link asks for
    placed: gr.State  # what the page has set by itself
    reset: gr.Button
    source: gr.State  # the picture that is there
    explain: Spotted


def build(examples: list[Example]) -> UpscaleTab:
    """Lays out the tab and wires it."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            image = picture_field(
                "Your picture", "or paste it, or tap to choose one", "picture", height=200, classes="spotted"
            )
            part = gr.Button("Upscale only a part of it…", size="sm", visible=False, elem_id="part")
            refusal = gr.HTML(visible=False, elem_id="refusal")
            size = size_fields()
            treatment = treatment_field()
            model = model_field()
            # Before the rest, so that it is in view on a laptop.
            buttons = run_buttons("Upscale", "upscale")
            forecast = gr.HTML(upscale_events.NOTHING_FORESEEN, elem_id="forecast", elem_classes="forecast")
            file = format_fields()
            more = model_details(model)
            reset = gr.Button("Reset all settings", size="sm", elem_id="reset")
        with gr.Column(scale=7, min_width=320):
            status = gr.HTML(
                html.quiet(upscale_events.WELCOME), elem_id="status", elem_classes="status", container=True
            )
            with gr.Column(visible=False) as result:
                # First, so that it is in sight however tall the result is.
                download, share = _file_buttons()
                looking = viewer("result")
                because = why.build()
            mine = my_results.build()
            glass = lens.build("picture")
            tiles = [(example.path, f"{example.caption} ({example.licence})") for example in examples]
            gallery = example_gallery("Examples: one click enlarges", tiles, "examples")

    results = gr.State(())
    source, shown, wishes, placed = gr.State(None), gr.State(None), gr.State({}), gr.State(upscale_events.FIRST)
    kept = gr.BrowserState({}, storage_key=STORAGE, secret=STORAGE)  # no secret: what anybody would choose
    settings_of_run = {"model": model, **size.inputs, "treatment": treatment, **file.inputs}
    preselected = [settings_of_run[name] for name in upscale_events.PRESELECTED]
    present = {"placed": placed, **dict(zip(upscale_events.PRESELECTED, preselected, strict=True))}

    told, place = gr.JSON(visible=False), pictures.stand_in()

    # What the page says about the picture and the settings. "always_last": else a picture that is chosen while the one
    # before is read would go unheard.
    changed = image.change(
        upscale_events.open_source,
        inputs_kwargs={"image": image, "known": source, "wishes": wishes, **present},
        outputs=[source, *place.outputs, refusal, status, result, shown, glass.spot.x, glass.spot.y, told, placed],
        trigger_mode="always_last",
        **LIGHT,
        **RAW,
    )
    place.follow(changed, image)
    _follow(changed, told, preselected)
    gr.on(
        [source.change, more.change, *(control.change for control in settings_of_run.values())],
        upscale_events.foresee,
        inputs_kwargs={"source": source, "more": more, **settings_of_run},
        outputs=[forecast, size.scale, model, file.format],
        **FORESIGHT,
    )

    # Running.
    run: dict[str, Any] = {
        "handler": pieces.upscale_piece_first,
        "inputs": {"image": image, "source": source, **settings_of_run, "shown": shown, "results": results},
        "outputs": [status, result, looking, download, results, shown],
        "status": status,
    }
    running = buttons.start(**run)
    buttons.stop_on_click(running, status, html.quiet("Stopped. Your picture and settings are as they were."))
    # Another picture ends a run: its result would stand beside that one.
    buttons.end_on([image.upload, image.clear, gallery.select, looking.frame], running)
    picked = gallery.select(
        _pick(examples),
        inputs_kwargs={"wishes": wishes, **present},
        outputs=[image, source, told, placed, buttons.go],
        **LIGHT,
    )
    pieces.connect(part, source, looking, [status, result, looking, download, shown])
    taken = looking.frame(
        pieces.cut,
        inputs_kwargs={"source": source, "wishes": wishes, **present},
        outputs=[image, source, told, placed, buttons.go],
        **LIGHT,
    )
    for begun in (picked, taken):
        buttons.start_after(_follow(begun, told, preselected))

    opened = my_results.connect(
        mine,
        results,
        running,
        formats=file.inputs,
        outputs=[image, source, status, result, looking, download, shown],
    )

    _offer_as_chosen(file, [running, opened], shown, download)

    # Looking at the result.
    lens.connect(glass, [glass.spot.follow(image), glass.spot.take(looking.compare)], source, treatment)
    asked = glass.spot.take(looking.explain)
    why.connect(because, asked, source=source, shown=shown, spot=glass.spot)
    share.click(
        None,
        [download, model, size.scale, treatment, file.format],
        None,
        js=_SHARE,
        queue=False,
        **PRIVATE,
    )
    fields = {**settings_of_run, "more": more}
    return UpscaleTab(fields, kept, wishes, placed, reset, source, Spotted(because.more.click, source, because.asked))


def _follow(chosen: Any, told: gr.JSON, fields: list[Any]) -> Any:
    """After a picture was ``chosen``, the fields follow it in one step of the browser's: what was touched stays."""
    return chosen.success(None, [told, *fields], fields, js=_FOLLOW, queue=False, **PRIVATE)


def _offer_as_chosen(file: FormatFields, followed: list[Any], shown: gr.State, download: gr.DownloadButton) -> None:
    """Offers what is ``shown`` as the fields say, which may change while it is made too.

    "multiple": what is quick does not wait for what is not; the one that was asked for last counts.
    """
    offered: dict[str, Any] = {
        "fn": upscale_events.offer,
        "inputs_kwargs": {"shown": shown, **file.inputs},
        "outputs": download,
        "show_progress": "hidden",
        "trigger_mode": "multiple",
        **COMPUTE,
    }
    gr.on([file.format.change, file.quality.release, file.metadata.change], **offered)
    for event in followed:
        event.then(**offered)


def _file_buttons() -> tuple[gr.DownloadButton, gr.Button]:
    with gr.Row(elem_classes="offer"):
        download = gr.DownloadButton("Download", variant="primary", elem_id="download", scale=4)
        share = gr.Button("Share", elem_id="share", scale=1)
    return download, share


def _pick(examples: list[Example]) -> Callable[..., Any]:
    def pick(event: gr.EventData, *, wishes: object, placed: dict[str, Any], **present: object) -> tuple[Any, ...]:
        source = upscale_events.read_source(examples[values.picked(event._data, examples)].path)
        following = upscale_events.followed(source, wishes, placed, **present)
        return str(source.shown), source, *following, new_word()

    return pick
