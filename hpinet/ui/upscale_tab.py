"""The first tab: one picture, larger."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from hpinet.settings import settings
from hpinet.ui import fragments, lens, pictures, upscaling
from hpinet.ui.events import COMPUTE, LIGHT, RAW
from hpinet.ui.examples import Example
from hpinet.ui.fields import FormatFields, SizeFields, format_fields, model_field, run_buttons, size_fields
from hpinet.ui.storage import KEEP_SECONDS

WELCOME = "Choose a picture or click an example."


@dataclass(frozen=True)
class UpscaleTab:
    """The settings that links restore."""

    model: gr.Radio
    size: SizeFields
    file: FormatFields


def build(examples: list[Example]) -> UpscaleTab:
    """Lays out the tab and wires it."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            image = _picture_field()
            size = size_fields()
            model = model_field()
            file = format_fields()
            forecast = gr.HTML(elem_id="forecast", elem_classes="forecast")
            buttons = run_buttons("Upscale", "upscale")
        with gr.Column(scale=7, min_width=320):
            status = gr.HTML(fragments.quiet(WELCOME), elem_id="status", elem_classes="status", container=True)
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
                        list(pictures.ENLARGERS), value="Bicubic", label="Before, enlarged by", elem_id="before"
                    )
                    download = gr.DownloadButton("Download", variant="primary", elem_id="download")
            gallery = _gallery(examples)
            with gr.Accordion("Lens: which model?", open=False, elem_id="lens"):
                gr.Markdown(lens.EXPLANATION)
                with gr.Row():
                    x = gr.Number(0, label="From the left", precision=0, minimum=0, elem_id="spot-x")
                    y = gr.Number(0, label="From the top", precision=0, minimum=0, elem_id="spot-y")
                    look = gr.Button("Look", elem_id="look")
                crops = gr.HTML(fragments.quiet("Nothing looked at yet."), elem_id="crops", min_height=60)

    source, shown = gr.State(None), gr.State(None)
    settings_of_run = {"model": model, **size.inputs, **file.inputs}

    # What the page says about the picture and the settings.
    foreseen: dict[str, Any] = {
        "fn": upscaling.foresee,
        "inputs_kwargs": {"source": source, **settings_of_run},
        "outputs": [forecast, model],
        **LIGHT,
    }
    opened = [source, image, status, result, shown]
    image.change(upscaling.open_source, [image, source], opened, **LIGHT, **RAW).then(**foreseen)
    gr.on([control.change for control in settings_of_run.values()], trigger_mode="always_last", **foreseen)

    # Running.
    run: dict[str, Any] = {
        "handler": upscaling.upscale,
        "inputs": {"image": image, "source": source, **settings_of_run, "before": before},
        "outputs": [status, result, slider, download, shown],
        "status": status,
    }
    picked = gallery.select(_pick(examples), None, [image, source], **LIGHT)
    events = [buttons.start(buttons.run.click, **run), buttons.start(picked.then, **run)]
    buttons.stop_on_click(events, status, fragments.quiet("Stopped. Your picture and settings are as they were."))

    # Looking at the result.
    before.change(upscaling.compare_with, [shown, before], slider, **LIGHT)
    gr.on(
        [file.format.change, file.quality.release], upscaling.offer, [shown, *file.inputs.values()], download, **LIGHT
    )
    spot = image.select(_spot, None, [x, y], **LIGHT)
    spot.then(lens.magnify, [source, x, y], crops, **COMPUTE)
    look.click(lens.magnify, [source, x, y], crops, **COMPUTE)
    return UpscaleTab(model, size, file)


def _picture_field() -> gr.Image:
    limits = settings()
    return gr.Image(
        type="filepath",
        image_mode=None,  # the raw file: `hpinet.images` decodes it
        sources=["upload", "clipboard"],
        label="Your picture",
        height=240,
        buttons=["fullscreen"],
        placeholder="# Drop a picture here\nor paste it, or tap to choose one\n\n"
        f"PNG, JPEG, WebP, TIFF, BMP, GIF · up to {limits.max_upload_mb} MB, {limits.max_megapixels:g} megapixels\n"
        f"deleted from this server after {KEEP_SECONDS // 3600} hours",
        elem_id="picture",
    )


def _gallery(examples: list[Example]) -> gr.Gallery:
    if examples:
        gr.Markdown("#### Examples: one click enlarges", elem_id="examples-title")
    return gr.Gallery(
        [(str(example.path), f"{example.caption} ({example.licence})") for example in examples],
        label="Examples",
        show_label=False,
        columns=4,
        allow_preview=False,
        interactive=False,
        object_fit="cover",
        height="auto",
        buttons=[],
        elem_id="examples",
        elem_classes="plain-gallery tiles",
        visible=bool(examples),
    )


def _pick(examples: list[Example]) -> Callable[..., Any]:
    def pick(event: gr.SelectData) -> tuple[str, upscaling.Source]:
        source = upscaling.read_source(examples[event.index].path)
        return str(source.shown), source

    return pick


def _spot(event: gr.SelectData) -> tuple[int, int]:
    x, y = event.index
    return int(x), int(y)
