"""The third tab: honest numbers on the visitor's own picture."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr
import numpy as np

from hpinet import wording
from hpinet.comparison import Comparison, to_csv, to_markdown
from hpinet.errors import Cancelled, HPINetError, OptionError
from hpinet.images import Picture, save_picture
from hpinet.model import SCALES
from hpinet.plan import TargetSize, make_plan
from hpinet.progress import Progress
from hpinet.ui.jobs import previews
from hpinet.ui.jobs.examples import Example
from hpinet.ui.jobs.measure import measure
from hpinet.ui.jobs.models import as_key, caption, choices
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.parts import carrying, html, pictures
from hpinet.ui.parts.controls import example_gallery, new_word, picture_field, run_buttons
from hpinet.ui.parts.events import LIGHT, chosen
from hpinet.ui.server import values
from hpinet.ui.server.ending import Ending
from hpinet.ui.server.storage import new_folder

CROP_SIDE, CROPS, CROP_ZOOM = 64, 3, 2
EXAMPLES = 4
JPEG_QUALITIES = (95, 85, 75, 50, 30)
WORST_ERROR = 32  # grey levels, the bright end of the error maps: one scale for all pictures ever measured

CAVEATS = """**What the numbers mean.** Your picture was reduced by bicubic, each model restored it from that, and the
scores tell how near it came to what you gave: PSNR in decibels by mean error, SSIM by local structure, both of the
luminance, both higher for nearer.

**What they don't mean.** They reward caution: a blurred guess can outscore a sharp one that looks better. And photos in
the wild were not made small by bicubic, so real ones gain less than this."""

_EMPTY = "Choose a good picture: it is taken for the truth, made small, and restored."
_READY = "Ready."


def build(examples: list[Example], tab: gr.Tab, elsewhere: gr.State) -> None:
    """Lays out the ``tab`` and wires it. It takes over the picture that is chosen ``elsewhere``."""
    known = choices()
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            image = picture_field(
                "A good picture, taken for the truth", "the better, the more it tells", "measure-picture"
            )
            carry = carrying.carry_button("measure-")
            scale = gr.Radio(
                [(f"×{number}", number) for number in SCALES], value=4, label="Reduced by", elem_id="measure-scale"
            )
            jpeg = gr.Radio(
                [("Not compressed", 0), *((f"JPEG of quality {quality}", quality) for quality in JPEG_QUALITIES)],
                value=0,
                label="Then saved as",
                info="As most pictures on the web were. T then runs with and without its treatment.",
                elem_id="measure-jpeg",
            )
            models = gr.CheckboxGroup(
                _for_scale(4),
                value=[next(iter(known))],
                label="Models",
                elem_classes="lines",
                elem_id="measure-models",
            )
            buttons = run_buttons("Measure", "measure", "measure-")
        with gr.Column(scale=7, min_width=320):
            status = gr.HTML(html.quiet(_EMPTY), elem_id="measure-status", elem_classes="status", container=True)
            with gr.Column(visible=False) as results:
                table = gr.HTML(elem_id="measure-table")
                gr.Markdown(CAVEATS)
                gr.Markdown("## Where the models differ most")
                crops = gr.HTML(elem_id="measure-crops")
                gr.Markdown(
                    f"## Errors\nOne scale for all: black is exact, yellow is off by {WORST_ERROR} grey levels."
                )
                maps = gr.Gallery(
                    label="Error maps",
                    show_label=False,
                    columns=2,
                    object_fit="contain",
                    height="auto",
                    interactive=False,
                    buttons=["fullscreen"],
                    elem_id="measure-maps",
                    elem_classes="plain-gallery",
                )
                with gr.Accordion("Copy the table", open=False):
                    markdown = gr.Textbox(label="Markdown", buttons=["copy"], lines=4, elem_id="measure-markdown")
                    csv = gr.Textbox(label="CSV", buttons=["copy"], lines=4, elem_id="measure-csv")

            shown = examples[:EXAMPLES]
            tiles = [(example.path, example.caption) for example in shown]
            gallery = example_gallery("Examples: one click measures", tiles, "measure-examples")

    scale.change(lambda number: gr.update(choices=_for_scale(number)), scale, models, **LIGHT)
    run: dict[str, Any] = {
        "handler": measure_picture,
        "inputs": {"image": image, "scale": scale, "jpeg": jpeg, "models": models},
        "outputs": [status, results, table, crops, maps, markdown, csv],
        "status": status,
    }
    running = buttons.start(**run)
    buttons.stop_on_click(running, status, html.quiet("Stopped."))
    # Another picture: scores of the one before would stand beside it.
    buttons.end_on([image.upload, image.clear, gallery.select, carry.click], running)
    pictures.on_arrival(image, _arrived, [status, results])
    carrying.connect(carry, tab, elsewhere, image, fill=_carried, outputs=[image, status, results])
    buttons.start_after(gallery.select(_pick(shown), None, [image, results, buttons.go], **LIGHT))


def _pick(shown: list[Example]) -> Callable[..., tuple[str, Any, str]]:
    def pick(event: gr.EventData) -> tuple[str, Any, str]:
        return str(shown[values.picked(event._data, shown)].path), gr.update(visible=False), new_word()

    return pick


def _arrived(image: dict[str, Any] | None) -> tuple[Any, ...]:
    return pictures.look_at(image, empty=_EMPTY, ready=_READY)[:4]  # no spot


def _carried(source: Any) -> tuple[Any, ...]:
    """What there is to show and to say of a picture that was opened on another tab."""
    return str(source.shown), html.quiet(_READY), gr.update(visible=False)


def _for_scale(scale: object) -> list[tuple[str, str]]:
    """Each model with what is known of the weights that this scale takes."""
    wanted = TargetSize(scale=values.choice("The scale", scale, SCALES))
    lines = []
    for key, choice in choices().items():
        plan = make_plan((1, 1), wanted, natives=choice.natives)
        lines.append((f"{caption(choice, plan)}{', reduced' if plan.is_reduced else ''}", key))
    return lines


def measure_picture(
    request: gr.Request,
    progress: gr.Progress = gr.Progress(),  # noqa: ARG001, B008 (Gradio looks for it)
    *,
    image: dict[str, Any] | None,
    scale: object,
    jpeg: object,
    models: object,
) -> tuple[Any, ...]:
    """The button: status, results group, table, crops, error maps, and the table as text twice."""
    try:
        path = chosen(image)
        if path is None:
            raise OptionError("Choose a picture first.")
        times = values.choice("The scale", scale, SCALES)
        keys = values.several("The models", models, as_key)
        quality = values.choice("The quality", jpeg, [0, *JPEG_QUALITIES]) or None
        stop, tell = StopFlag.of(request, "measure"), partial(_told, quality=quality)
        (words, *shown), missing = measure(path, times, keys, stop, tell=tell, jpeg=quality)
    except Ending as ends:
        return html.quiet(str(ends)), *[gr.skip()] * 6
    except Cancelled:  # whatever stopped it says so
        return (gr.skip(),) * 7
    except HPINetError as error:
        return html.trouble(str(error)), *[gr.skip()] * 6
    return html.quiet(words) + "".join(html.trouble(str(error)) for error in missing), gr.update(visible=True), *shown


def _told(comparison: Comparison, progress: Progress, *, quality: int | None) -> tuple[Any, ...]:
    """All that the page shows: words, table, crops, error maps, and the table as text twice."""
    height, width = comparison.truth.shape[:2]
    small = comparison.small.shape
    words = (
        f"{wording.size((width, height))} reduced to {wording.size((small[1], small[0]))}"
        f"{f', saved as JPEG of quality {quality},' if quality else ''} and restored."
    )
    return (
        words,
        score_table(comparison),
        telling_crops(comparison),
        error_gallery(comparison, progress),
        to_markdown(comparison),
        to_csv(comparison),
    )


def score_table(comparison: Comparison) -> str:
    """The scores, with what each model gains over bicubic."""
    bicubic = comparison.restored[0]
    rows = [
        (
            one.name,
            f"{one.psnr_y:.2f} dB",
            "" if one is bicubic else f"{one.psnr_y - bicubic.psnr_y:+.2f} dB",
            f"{one.ssim_y:.4f}",
            "" if one.seconds is None else f"{one.seconds:.1f} s",
        )
        for one in comparison.restored
    ]
    header = ("Restored by", "PSNR-Y", "against bicubic", "SSIM-Y", "time")
    return html.table(header, rows, numbers=4, caption="Scores")


def telling_crops(comparison: Comparison) -> str:
    """The same few spots as restored by everyone, beside the truth."""
    rows = []
    for x, y in comparison.telling_spots(count=CROPS, side=CROP_SIDE):
        side = min(CROP_SIDE, *comparison.truth.shape[:2])
        views = [("Truth", comparison.truth), *((one.name, one.pixels) for one in comparison.restored)]
        rows.append(
            html.figures(
                (
                    (previews.cropped(Picture.from_array(pixels), x, y, side, side), f"{name} at {x}, {y}")
                    for name, pixels in views
                ),
                zoom=CROP_ZOOM,
            )
        )
    return "".join(rows)


def error_gallery(comparison: Comparison, progress: Progress) -> list[tuple[str, str]]:
    """A map of the errors of each attempt, all on one colour scale: (path, caption)."""
    folder, shown, count = new_folder(), [], len(comparison.restored)
    for number, (one, errors) in enumerate(zip(comparison.restored, comparison.error_maps(), strict=True)):
        progress(number, count)
        path = folder / f"errors-{number}.png"
        save_picture(previews.fitting(_coloured(errors), 1200), path)
        shown.append((str(path), f"{one.name}: {errors.mean():.2f} grey levels off on average"))
    progress(count, count)
    return shown


def _coloured(errors: np.ndarray) -> Picture:
    from matplotlib import colormaps  # noqa: PLC0415 (half a second to import)

    colours = colormaps["inferno"](np.arange(256), bytes=True)[:, :3]
    pixels = np.empty((*errors.shape, 3), np.uint8)
    for number, row in enumerate(errors):  # one at a time: indices take eight bytes each
        pixels[number] = colours[np.minimum(row * (256 / WORST_ERROR), 255).astype(np.uint8)]
    return Picture(pixels)
