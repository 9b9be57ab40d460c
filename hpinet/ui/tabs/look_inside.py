"""The "Look inside" tab: what the network looked at for one spot of a picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from hpinet import wording
from hpinet.attribution.lam import BlurPath
from hpinet.errors import Cancelled, HPINetError, OptionError
from hpinet.model import SCALES
from hpinet.ui.jobs.examples import FOLDER
from hpinet.ui.jobs.explain import (
    MAX_REGION,
    MIN_REGION,
    PATHS,
    WINDOWS,
    Answer,
    Question,
    check_region,
    expected_seconds,
    is_installed,
    look,
)
from hpinet.ui.jobs.models import as_key, choices
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.parts import carrying, explanation_svg, html, pictures
from hpinet.ui.parts.controls import example_gallery, model_field, new_word, picture_field, run_buttons
from hpinet.ui.parts.events import COMPUTE, FORESIGHT, LIGHT, PRIVATE, RAW, chosen
from hpinet.ui.parts.spots import spot_fields
from hpinet.ui.server import values
from hpinet.ui.server.ending import Ending
from hpinet.ui.server.storage import new_folder
from hpinet.ui.tabs.why import Asked


@dataclass(frozen=True)
class Spot:
    """An example: somewhere worth looking."""

    file: str  # in the folder of examples
    x: int
    y: int
    caption: str


SPOTS = (
    Spot("facade.png", 57, 62, "Repeated windows"),
    Spot("spots/fabric.png", 124, 70, "Striped fabric"),
    Spot("text.png", 77, 61, "Text"),
)

FIGURES = (".png", ".svg", ".pdf")
REMEMBERED = 6  # answers that stay on the page to be compared

EMPTY = "Choose a picture and click a spot on it, or click an example."

_READY = "Now click the spot to explain."

EXPLANATION = """**The heat map** (*local attribution map*) answers: had the network been shown a blurred picture, which
pixels would it have missed most at this spot? The picture is sharpened step by step, and every pixel is credited with
the detail that it brings. The scale is logarithmic: the darkest pixels shown count for a thousandth of the brightest.

**The diffusion index** says how evenly the credit is spread: 100 if all pixels count alike, near 0 if a few decide.

**The matched patches** are special to this network: at every stage it cuts the picture into squares and lets each look
at the most similar other square anywhere in the picture. Dotted is the square around your spot, solid the one it
referred to. *Similarity* has no unit; *next best* tells how clear the choice was.

**Adds up within** tells how exact the map is: all credits together should make the whole detail gained. Quick mode
takes 12 steps in place of 50, and this number shows what that costs."""


@dataclass(frozen=True)
class Spotted:
    """Spots that are chosen on another tab, to be explained here."""

    chosen: Callable[..., Any]  # an event of a component
    source: gr.State  # the picture there
    asked: gr.State  # `hpinet.ui.tabs.why.Asked`: the spot, its picture, and how to look at it


def build(elsewhere: Spotted, tabs: gr.Tabs, tab: gr.Tab) -> None:
    """Lays out the ``tab`` and wires it. What is chosen ``elsewhere`` brings it forward among the ``tabs``."""
    spots = [spot for spot in SPOTS if (FOLDER / spot.file).is_file()]  # not in an installed package
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            image = picture_field(
                "Your picture: click a spot",
                "then click the spot to explain",
                "look-picture",
                height=280,
                classes="spotted",
            )
            carry = carrying.carry_button("look-")
            with gr.Row():
                spot = spot_fields("look-picture")
            buttons = run_buttons("Explain this spot", "look", "look-")
            forecast = gr.HTML(elem_id="look-forecast", elem_classes="forecast")
            model = model_field("look-", among=choices().values())
            path = gr.Radio(
                [("Quick: 12 steps", "Quick"), ("Full: 50 steps, as published", "Full")],
                value="Quick",
                label="How exactly",
                elem_id="look-path",
            )
            scale, window, region = _more_settings()
        with gr.Column(scale=7, min_width=320):
            status = gr.HTML(html.quiet(EMPTY), elem_id="look-status", elem_classes="status", container=True)
            with gr.Column(visible=False) as results:
                _what_is_seen()
                with gr.Row(equal_height=False):
                    with gr.Column(min_width=280):
                        gr.Markdown("## What it looked at")
                        heat = gr.HTML(elem_id="look-heat")
                        words = gr.Markdown(elem_id="look-words")
                    with gr.Column(min_width=280):
                        gr.Markdown("## Where it found something similar")
                        chain = gr.HTML(elem_id="look-chain")
                        gr.Markdown("## How far patches reach, in up to 256×256 pixels around the spot")
                        distances = gr.HTML(elem_id="look-distances")
                with gr.Row():
                    downloads = [
                        gr.DownloadButton(_label(suffix), interactive=False, elem_id=f"look-{suffix[1:]}")
                        for suffix in FIGURES
                    ]
                gr.Markdown("## To compare: your latest spots and models")
                cards = gr.HTML(elem_id="look-cards")
            tiles = [(FOLDER / spot.file, spot.caption) for spot in spots]
            gallery = example_gallery("Examples: one click explains", tiles, "look-examples")
            _how_to_read()

    answer, drawn, kept, asked = gr.State(None), gr.State(None), gr.State([]), gr.State(None)
    outputs = [image, status, spot.x, spot.y, results]
    cost = {"image": image, "model": model, "path": path, "scale": scale, "region": region}
    gr.on(
        [field.change for field in cost.values()],
        foresee,
        inputs_kwargs=cost,
        outputs=forecast,
        **FORESIGHT,
        **RAW,
    )
    run: dict[str, Any] = {
        "handler": explain_spot,
        "inputs": {**cost, **spot.inputs, "window": window, "asked": asked, "kept": kept},
        "outputs": [status, results, heat, words, chain, distances, cards, answer, kept, *downloads],
        "status": status,
    }
    running = buttons.start(**run)
    running.then(
        draw,
        [answer, drawn],
        [*downloads, drawn],
        show_progress_on=downloads,
        trigger_mode="multiple",
        **COMPUTE,
    )
    buttons.stop_on_click(running, status, html.quiet("Stopped."))
    # Another picture or spot: explanations of the one before would stand beside it.
    others = [image.upload, image.clear, image.select, gallery.select, carry.click, elsewhere.chosen]
    buttons.end_on(others, running)
    carrying.connect(carry, tab, elsewhere.source, image, fill=_carried, outputs=outputs)
    pictures.on_arrival(image, _arrived, [status, results, spot.x, spot.y])
    for begun in (
        spot.take_and_go(image.select, buttons.go),
        gallery.select(_pick(spots), None, [image, spot.x, spot.y, results, buttons.go], **LIGHT),
        elsewhere.chosen(
            _bring,
            elsewhere.asked,
            [tabs, image, model, scale, spot.x, spot.y, asked, results, buttons.go],
            **LIGHT,
        ),
    ):
        buttons.start_after(begun)


def _what_is_seen() -> None:
    """Controls of the heat map, within the browser."""
    with gr.Row():
        opacity = gr.Slider(0, 100, 100, step=5, label="Opacity of the heat map", elem_id="look-opacity")
        layer = gr.Radio(
            [("Pixels", "pixels"), ("Contribution area", "area")],
            value="pixels",
            label="Show",
            elem_id="look-layer",
        )
    opacity.input(None, opacity, None, js=explanation_svg.SET_OPACITY, queue=False, **PRIVATE)
    layer.input(None, layer, None, js=explanation_svg.SET_LAYER, queue=False, **PRIVATE)


def _how_to_read() -> None:
    with gr.Accordion("How to read this", open=False):
        gr.Markdown(EXPLANATION)


def _more_settings() -> tuple[gr.Radio, gr.Radio, gr.Slider]:
    """Scale, window and region, folded away."""
    with gr.Accordion("More settings", open=False):
        scale = gr.Radio([(f"×{number}", number) for number in SCALES], value=4, label="Enlarged by")
        window = gr.Radio(
            [(f"{side}×{side}", side) for side in WINDOWS], value=16, label="Pixels of the result to explain"
        )
        region = gr.Slider(
            MIN_REGION,
            MAX_REGION,
            64,
            step=16,
            label="Pixels shown to the network, each way",
            info="Twice the side takes four times as long. Patches are matched in up to 256×256 pixels.",
        )
    return scale, window, region


def foresee(*, image: dict[str, Any] | None, model: object, path: object, scale: object, region: object) -> str:
    """How long an explanation would take."""
    try:
        source = chosen(image)
        if source is None:
            return ""
        key, times, how = as_key(model), values.choice("The scale", scale, SCALES), _exactness(path)
        side = _clamped(region)
        check_region(key, times, side)
        seconds = expected_seconds(source, model=key, scale=times, steps=how.steps, region=side)
        first = [] if is_installed(key, times) else ["fetched on first use"]
    except HPINetError as error:
        return html.trouble(str(error))
    return html.facts([f"{key} ×{times}", wording.duration(seconds), *first])


def explain_spot(
    request: gr.Request,
    progress: gr.Progress = gr.Progress(),  # noqa: ARG001, B008 (Gradio looks for it)
    *,
    image: dict[str, Any] | None,
    x: object,
    y: object,
    model: object,
    path: object,
    scale: object,
    window: object,
    region: object,
    asked: Asked | None,
    kept: list[str],
) -> tuple[Any, ...]:
    """The button: status, results group, heat map, words, patches, distances, cards, answer, kept cards, downloads.

    A picture that was brought here with what was ``asked`` is looked at in the same way: as what made its result did.
    """
    try:
        source = chosen(image)
        if source is None:
            raise OptionError("Choose a picture first, then click on it.")
        if x is None or y is None:
            raise OptionError("Give the spot in pixels, or click it.")
        known = asked if asked is not None and asked.source.path == source else None
        question = Question(
            source,
            *values.place(x, y),
            as_key(model),
            values.choice("The scale", scale, SCALES),
            StopFlag.of(request, "look"),
            path=_exactness(path),
            window=values.choice("The window", window, WINDOWS),
            region=_clamped(region),
            treatment=known.treatment if known else "auto",
            found=known.source.found if known else None,
        )
        answer = look(question)
    except Cancelled as stopped:  # whatever else stopped it says so
        said = html.quiet(str(stopped)) if isinstance(stopped, Ending) else gr.skip()
        return said, *[gr.skip()] * 6, None, *[gr.skip()] * (1 + len(FIGURES))
    except HPINetError as error:  # the explanation of another spot would stand beside this
        hidden = gr.update(visible=False)
        return html.trouble(str(error)), hidden, *[gr.skip()] * 5, None, *[gr.skip()] * (1 + len(FIGURES))
    explanation = answer.explanation
    cards = [explanation_svg.card(explanation, answer.checkpoint), *kept][:REMEMBERED]
    return (
        _facts(answer),
        gr.update(visible=True),
        *explanation_svg.in_short(explanation),
        explanation_svg.distances_view(explanation),
        f'<div class="cards">{"".join(cards)}</div>',
        answer,
        cards,
        # Until `draw` has made those of this answer.
        *(gr.update(label=f"Drawing {suffix[1:].upper()}…", interactive=False) for suffix in FIGURES),
    )


def draw(answer: Answer | None, drawn: Answer | None) -> list[Any]:
    """The figure in all its formats, to be downloaded, and what was drawn.

    Left as it is after a run that came to nothing, and while another is under way.
    """
    if answer is None or answer is drawn:
        return [gr.skip()] * (len(FIGURES) + 1)
    paths = answer.draw(new_folder(), FIGURES)
    return [*(gr.update(value=str(path), label=_label(path.suffix), interactive=True) for path in paths), answer]


def _label(suffix: str) -> str:
    return f"Figure: {suffix[1:].upper()}"


def _clamped(region: object) -> int:
    return values.clamped("The region", region, MIN_REGION, MAX_REGION)


def _exactness(path: object) -> BlurPath:
    return PATHS[values.choice("How exactly", path, PATHS)]


def _facts(answer: Answer) -> str:
    attribution = answer.explanation.attribution
    left, top, right, bottom = answer.explanation.region
    return html.facts(
        [
            f"<b>{answer.checkpoint}</b> at {answer.explanation.x}, {answer.explanation.y}",
            *html.losses(answer.found, answer.strength),
            html.tip(
                f"diffusion index {attribution.diffusion_index:.1f}",
                "100 if all pixels count alike, near 0 if a few decide. Compare it between spots and models.",
            ),
            html.tip(
                f"adds up within {attribution.completeness_error:.1%}",
                f"All credits together should make the detail gained. {attribution.path.steps} steps were taken.",
            ),
            f"{wording.size((right - left, bottom - top))} pixels looked at",
            f"{answer.seconds:.1f} s",
        ]
    )


def _pick(spots: Sequence[Spot]) -> Callable[..., Any]:
    def pick(event: gr.EventData) -> tuple[Any, ...]:
        spot = spots[values.picked(event._data, spots)]
        return str(FOLDER / spot.file), spot.x, spot.y, gr.update(visible=False), new_word()

    return pick


def _bring(asked: Asked | None) -> tuple[Any, ...]:
    """This tab, with what was asked on another one."""
    if asked is None:
        return (gr.skip(),) * 9
    there = gr.update(selected="look"), str(asked.source.shown), asked.model, asked.scale, asked.x, asked.y, asked
    return *there, gr.update(visible=False), new_word()


def _arrived(image: dict[str, Any] | None) -> tuple[Any, ...]:
    return pictures.look_at(image, empty=EMPTY, ready=_READY)


def _carried(source: Any) -> tuple[Any, ...]:
    """What there is to show and to say of a picture that was opened on another tab."""
    middle = source.width // 2, source.height // 2
    return str(source.shown), html.quiet(_READY), *middle, gr.update(visible=False)
