"""Settings that outlast a page: in links, ``?model=T&scale=4&treatment=auto&format=png``, and in the browser."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr

from hpinet.ui.jobs.models import MAIN, line, offered
from hpinet.ui.jobs.previews import FORMATS
from hpinet.ui.parts.controls import SCALES
from hpinet.ui.parts.events import LIGHT, PRIVATE
from hpinet.ui.parts.wishes import NAMES, Wishes
from hpinet.ui.server import values
from hpinet.ui.tabs.upscale import UpscaleTab
from hpinet.ui.tabs.upscale_events import FIRST, Source, preselect

_FOLLOW = """(...choices) => { window.history.replaceState(window.history.state, '', window.linkOf(...choices)); }"""
# In one step of the browser's, so that nothing can be chosen between looking and setting.
_RESTORE = f"(told, ...values) => window.restored(told, {NAMES}, values)"
_KEEP = "(value, kept) => ({ ...kept, %s: value })"
_FORGET = """(...values) => {
  window.history.replaceState(window.history.state, '', window.location.pathname);
  window.forget();
  return values;
}"""
_IN_TURN: dict[str, Any] = {**LIGHT, "concurrency_limit": 1, "concurrency_id": "wishes"}
"""For whatever changes the wishes: of two that read them at once, the later would undo the earlier."""


def connect(demo: gr.Blocks, tab: UpscaleTab) -> None:
    """Restores the settings when the page loads, from the address or else from the browser, and keeps both up to date.

    Only what the visitor does is kept: restoring must not add to an address that had no parameters.
    """
    fields = tab.fields
    watched = [fields[name] for name in NAMES]
    first = {name: field.value for name, field in fields.items()}
    told = gr.JSON(visible=False)
    come = demo.load(restore, [tab.kept, tab.wishes], [told, fields["model"], tab.wishes], **_IN_TURN)
    come.then(None, [told, *watched], watched, js=_RESTORE, queue=False, **PRIVATE)
    gr.on([control.input for control in watched], None, watched, None, js=_FOLLOW, queue=False, **PRIVATE)
    for name in NAMES:
        # In the browser: two choices on their way to the server at once would each take along what was kept before.
        fields[name].input(None, [fields[name], tab.kept], tab.kept, js=_KEEP % name, queue=False, **PRIVATE)
        fields[name].input(
            _noting(name),
            [fields[name], tab.wishes],
            tab.wishes,
            trigger_mode="always_last",  # else a choice goes unheard while the one before is noted
            **_IN_TURN,
        )
    tab.reset.click(
        partial(reset, first), tab.source, [*fields.values(), tab.kept, tab.wishes, tab.placed], js=_FORGET, **_IN_TURN
    )


def restore(kept: object, wishes: object, request: gr.Request) -> tuple[object, ...]:
    """The settings from the query, those that it leaves open from the browser; the field of models; all as wishes.

    Anything unknown is left as it is. What has been touched meanwhile is among the ``wishes`` already, and counts more.
    """
    found = _asked(request).over(Wishes.read(kept))
    models = gr.skip()
    if found.model and found.model not in MAIN:
        models = gr.update(choices=[line(choice) for choice in offered(chosen=found.model)])
    return found.to_keep(), models, Wishes.read(wishes).over(found).to_keep()


def _asked(request: gr.Request) -> Wishes:
    """What the address asks for."""
    query = request.query_params
    scales = {str(number): label for label, number in SCALES.items()}
    formats = {name.lower(): name for name in FORMATS}
    return Wishes.read(
        {
            "model": query.get("model"),
            "scale": scales.get(query.get("scale", "")),
            "treatment": query.get("treatment"),
            "format": formats.get(query.get("format", "").lower()),
        }
    )


def _noting(name: str) -> Callable[..., Any]:
    def note(value: object, wishes: object) -> dict[str, Any]:
        touched = Wishes.read({name: values.text("The setting", value)})
        return touched.over(Wishes.read(wishes)).to_keep()

    return note


def reset(first: dict[str, Any], source: Source | None) -> tuple[Any, ...]:
    """Every field as the page came up with it, or as the picture asks for that is there; and nothing chosen by hand."""
    placed = FIRST if source is None else preselect(source, Wishes())
    return (*(gr.update(value=value) for value in {**first, **placed}.values()), {}, {}, placed)
