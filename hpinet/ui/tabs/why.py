"""Why a spot of the result looks as it does, told below the result: "Look inside" in short."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from hpinet.errors import Cancelled, HPINetError, OptionError
from hpinet.treatment import Treatment
from hpinet.ui.jobs.explain import Question, look
from hpinet.ui.jobs.models import choice_of
from hpinet.ui.jobs.running import StopFlag, only_one
from hpinet.ui.parts import explanation_svg, html
from hpinet.ui.parts.events import COMPUTE, LIGHT, PRIVATE
from hpinet.ui.parts.spots import SpotFields
from hpinet.ui.server import values
from hpinet.ui.server.ending import Ending
from hpinet.ui.tabs.upscale_events import Shown, Source

_SHOW = """() => { setTimeout(window.bringNear, 100, "why"); return []; }"""


@dataclass(frozen=True)
class Asked:
    """What the panel answers, to be gone on with in "Look inside"."""

    source: Source  # the picture
    x: int
    y: int
    model: str  # key of the network
    scale: int  # of the first pass
    treatment: Treatment


@dataclass(frozen=True)
class Why:
    """The panel."""

    panel: gr.Column
    facts: gr.HTML
    heat: gr.HTML
    words: gr.Markdown
    chain: gr.HTML
    more: gr.Button
    close: gr.Button
    asked: gr.State  # an `Asked`, None as long as there is no answer

    @property
    def outputs(self) -> list[Any]:
        """What `explain_here` fills."""
        return [self.facts, self.heat, self.words, self.chain, self.more, self.asked]


def build() -> Why:
    """Lays out the panel, hidden until a spot is asked about."""
    with gr.Column(visible=False, elem_id="why") as panel:
        gr.Markdown("## Why it looks like this")
        facts = gr.HTML(elem_id="why-facts", elem_classes="forecast", container=True)
        with gr.Row():
            with gr.Column(min_width=280):
                heat = gr.HTML(elem_id="why-heat")
                words = gr.Markdown(elem_id="why-words")
            with gr.Column(min_width=280):
                chain = gr.HTML(elem_id="why-chain")
        with gr.Row():
            more = gr.Button("More in Look inside", size="sm", elem_id="why-more")
            close = gr.Button("Close", size="sm", elem_id="why-close")
    return Why(panel, facts, heat, words, chain, more, close, gr.State(None))


def connect(why: Why, chosen: Any, *, source: gr.State, shown: gr.State, spot: SpotFields) -> None:
    """Explains the ``spot`` of what is ``shown`` once it was ``chosen``, an event that has filled its fields."""
    ready = chosen.then(_begin, None, [why.panel, *why.outputs], **LIGHT)
    answered = ready.then(
        explain_here,
        inputs_kwargs={"shown": shown, **spot.inputs},
        outputs=why.outputs,
        show_progress_on=[why.facts],
        trigger_mode="multiple",
        **COMPUTE,
    )
    for told in (ready, answered):
        told.then(None, None, None, js=_SHOW, queue=False, **PRIVATE)
    for over in (why.close.click, source.change):  # another picture: what was said is of the one before
        over(_end, None, why.panel, **LIGHT)


def _begin(request: gr.Request) -> tuple[Any, ...]:
    StopFlag.of(request, "why").lower()
    return gr.update(visible=True), html.quiet("Looking…"), "", "", "", gr.update(interactive=False), None


def _end(request: gr.Request) -> Any:
    StopFlag.of(request, "why").raise_it()
    return gr.update(visible=False)


def explain_here(
    request: gr.Request,
    progress: gr.Progress = gr.Progress(),  # noqa: ARG001, B008 (Gradio looks for it)
    *,
    shown: Shown | None,
    x: object,
    y: object,
) -> tuple[Any, ...]:
    """Facts, heat map, words and matched patches of a spot, as what made the result saw it in its first pass.

    Then the button that goes on from there, and with what.
    """
    try:
        if shown is None:
            raise OptionError("Upscale the picture first.")
        stop, model, scale = StopFlag.of(request, "why"), choice_of(shown.model).network, shown.outcome.plan.passes[0]
        asked = Asked(shown.source, *values.place(x, y), model, scale, shown.treatment)
        question = Question(
            shown.source.path,
            asked.x,
            asked.y,
            model,
            scale,
            stop,
            treatment=shown.treatment,
            found=shown.source.found,
        )
        with only_one(stop):
            answer = look(question)
    except Cancelled as stopped:  # by another spot or picture, whose turn it is now
        return html.quiet(str(stopped)) if isinstance(stopped, Ending) else gr.skip(), *[gr.skip()] * 5
    except HPINetError as error:
        return html.trouble(str(error)), *[gr.skip()] * 5
    explanation = answer.explanation
    return (
        html.facts(
            [
                f"<b>{answer.checkpoint}</b> at {explanation.x}, {explanation.y}",
                *html.losses(answer.found, answer.strength),
                f"{answer.seconds:.1f} s",
            ]
        ),
        *explanation_svg.in_short(explanation),
        gr.update(interactive=True),
        asked,
    )
