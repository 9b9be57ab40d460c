"""Links that bring a page up with chosen settings: ``?model=T&scale=4&treatment=auto&format=png``."""

import gradio as gr

from hpinet.treatment import TREATMENTS
from hpinet.ui.jobs.models import choices
from hpinet.ui.jobs.previews import FORMATS
from hpinet.ui.parts.controls import SCALES
from hpinet.ui.parts.events import LIGHT, PRIVATE
from hpinet.ui.tabs.upscale import UpscaleTab

_FOLLOW = """(model, scale, treatment, format) => {
  const url = new URL(window.location);
  url.searchParams.set('model', model);
  if (scale.startsWith('×')) url.searchParams.set('scale', scale.slice(1)); else url.searchParams.delete('scale');
  url.searchParams.set('treatment', treatment);
  url.searchParams.set('format', format.toLowerCase());
  window.history.replaceState(window.history.state, '', url);
}"""


def connect(demo: gr.Blocks, tab: UpscaleTab) -> None:
    """Restores the settings from the address when the page loads, and keeps the address up to date after that."""
    watched = [tab.model, tab.size.scale, tab.treatment, tab.file.format]
    demo.load(restore, None, watched, **LIGHT)
    # Only what the visitor does: restoring must not add to an address that had no parameters.
    gr.on([control.input for control in watched], None, watched, None, js=_FOLLOW, queue=False, **PRIVATE)


def restore(request: gr.Request) -> tuple[object, ...]:
    """The four settings from the query; anything unknown is left as it is."""
    query = request.query_params
    scales = {str(number): label for label, number in SCALES.items()}
    formats = {name.lower(): name for name in FORMATS}
    model = query.get("model", "")
    return (
        gr.update(value=model) if model in choices() else gr.skip(),
        gr.update(value=scales[query["scale"]]) if query.get("scale") in scales else gr.skip(),
        gr.update(value=query["treatment"]) if query.get("treatment") in TREATMENTS else gr.skip(),
        gr.update(value=formats[query["format"].lower()]) if query.get("format", "").lower() in formats else gr.skip(),
    )
