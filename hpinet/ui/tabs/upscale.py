"""The first tab: one picture, larger."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from hpinet.ui.jobs import previews
from hpinet.ui.jobs.examples import Example
from hpinet.ui.parts import html
from hpinet.ui.parts.controls import (
    FormatFields,
    SizeFields,
    example_gallery,
    format_fields,
    model_field,
    picture_field,
    run_buttons,
    size_fields,
    treatment_field,
)
from hpinet.ui.parts.events import COMPUTE, LIGHT, RAW
from hpinet.ui.parts.spots import spot_fields
from hpinet.ui.server import values
from hpinet.ui.tabs import lens, upscale_events

# What the lens shows may be far below what was clicked.
_SHOW_CROPS = """(...values) => {
  document.getElementById("crops")?.scrollIntoView({ block: "nearest", behavior: "smooth" });
  return values;
}"""
WELCOME = "Choose a picture or click an example."


@dataclass(frozen=True)
class UpscaleTab:
    """The settings that links restore."""

    model: gr.Radio
    size: SizeFields
    treatment: gr.Radio
    file: FormatFields


def build(examples: list[Example]) -> UpscaleTab:
    """Lays out the tab and wires it."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            image = picture_field(
                "Your picture", "or paste it, or tap to choose one", "picture", height=216, classes="spotted"
            )
            size = size_fields()
            treatment = treatment_field()
            # Before the model, so that it is in view on a laptop.
            buttons = run_buttons("Upscale", "upscale")
            forecast = gr.HTML(upscale_events.NOTHING_FORESEEN, elem_id="forecast", elem_classes="forecast")
            model = model_field()
            file = format_fields()
        with gr.Column(scale=7, min_width=320):
            status = gr.HTML(html.quiet(WELCOME), elem_id="status", elem_classes="status", container=True)
            with gr.Column(visible=False) as result:
                slider = gr.ImageSlider(
                    label="Before and after",
                    buttons=["fullscreen"],
                    interactive=False,
                    max_height=560,
                    elem_id="result",
                )
                with gr.Row(elem_classes="under-result"):
                    before = gr.Radio(
                        list(previews.ENLARGERS), value="Bicubic", label="Compared with", elem_id="before"
                    )
                    download = gr.DownloadButton("Download", variant="primary", elem_id="download")
            with gr.Accordion("Lens: which model?", open=False, elem_id="lens") as glass:
                gr.Markdown(lens.EXPLANATION)
                with gr.Row():
                    spot = spot_fields("picture")
                    look = gr.Button("Look", elem_id="look")
                crops = gr.HTML(html.quiet("Nothing looked at yet."), elem_id="crops", min_height=60)
            tiles = [(example.path, f"{example.caption} ({example.licence})") for example in examples]
            gallery = example_gallery("Examples: one click enlarges", tiles, "examples")

    source, shown = gr.State(None), gr.State(None)
    settings_of_run = {"model": model, **size.inputs, "treatment": treatment, **file.inputs}

    # What the page says about the picture and the settings.
    foreseen: dict[str, Any] = {
        "fn": upscale_events.foresee,
        "inputs_kwargs": {"source": source, **settings_of_run},
        "outputs": [forecast, model],
        "trigger_mode": "always_last",  # by default, what follows while the one before is under way would be dropped
        **LIGHT,
    }
    opened = [source, image, status, result, shown, spot.x, spot.y]
    image.change(upscale_events.open_source, [image, source], opened, **LIGHT, **RAW).then(**foreseen)
    gr.on([control.change for control in settings_of_run.values()], **foreseen)

    # Running.
    run: dict[str, Any] = {
        "handler": upscale_events.upscale,
        "inputs": {"image": image, "source": source, **settings_of_run, "before": before, "shown": shown},
        "outputs": [status, result, slider, download, shown],
        "status": status,
    }
    picked = gallery.select(_pick(examples), None, [image, source], **LIGHT)
    events = [buttons.start(buttons.run.click, **run), buttons.start(picked.then, **run)]
    buttons.stop_on_click(events, status, html.quiet("Stopped. Your picture and settings are as they were."))

    # Looking at the result.
    before.change(upscale_events.compare_with, [shown, before], slider, **LIGHT)
    gr.on(
        [file.format.change, file.quality.release],
        upscale_events.offer,
        [shown, *file.inputs.values()],
        download,
        **LIGHT,
    )
    clicked = spot.follow(image).then(lambda: gr.update(open=True), None, glass, **LIGHT)
    for looked in (clicked.then, look.click):
        looked(lens.magnify, [source, spot.x, spot.y], crops, js=_SHOW_CROPS, **COMPUTE)
    return UpscaleTab(model, size, treatment, file)


def _pick(examples: list[Example]) -> Callable[..., Any]:
    def pick(event: gr.EventData) -> tuple[str, upscale_events.Source]:
        source = upscale_events.read_source(examples[values.picked(event._data, examples)].path)
        return str(source.shown), source

    return pick
