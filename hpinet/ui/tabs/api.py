"""The last tab: the same from programs. Its examples are the files in `clients/`, which the tests run."""

from collections.abc import Callable
from inspect import getdoc, signature
from pathlib import Path
from typing import Literal

import gradio as gr
from gradio.context import Context

from hpinet import wording
from hpinet.settings import settings
from hpinet.ui import endpoints
from hpinet.ui.parts.events import PRIVATE

CLIENTS = Path(__file__).parents[1] / "clients"

_LINKS = """## Links that choose settings

`?model=M&scale=2&format=webp` brings this page up with those settings; the address follows what you choose, so that it
can be shared or bookmarked as it stands.

## For assistants (MCP)

The endpoints are tools of an MCP server. Pictures are given as `data:` URIs, or uploaded first."""


_EXAMPLES: tuple[tuple[str, str, Literal["python", "javascript", "shell"]], ...] = (
    ("Python", "upscale.py", "python"),
    ("JavaScript", "upscale.mjs", "javascript"),
    ("curl", "upscale.sh", "shell"),
)


# The page knows best where visitors find it.
_AT_THIS_ADDRESS = """() => "```\\n" + JSON.stringify(
  {mcpServers: {hpinet: {url: new URL("gradio_api/mcp/", location.origin + location.pathname).href}}}, null, 2
) + "\\n```" """

_CODE_AT_THIS_ADDRESS = """(code) =>
  code.replaceAll("http://127.0.0.1:7860", (location.origin + location.pathname).replace(/\\/$/, ""))"""


def build() -> None:
    """Lays out the tab and wires it."""
    tab = Context.block
    assert isinstance(tab, gr.Tab)
    gr.Markdown(_introduction())
    with gr.Tabs():
        for title, file, language in _EXAMPLES:
            with gr.Tab(title):
                text = (CLIENTS / file).read_text("utf-8")
                code = gr.Code(text, language=language, label=file, interactive=False)
                gr.on(tab.select, None, code, code, js=_CODE_AT_THIS_ADDRESS, queue=False, **PRIVATE)
    gr.Markdown("## Endpoints")
    for endpoint in endpoints.PUBLIC:
        with gr.Accordion(f"/{endpoint.__name__}", open=False):
            gr.Code(_call(endpoint), language="python", show_label=False, interactive=False)
            gr.Markdown(_documentation(endpoint), elem_classes="endpoint")  # as programs and MCP get it
    gr.Markdown(_LINKS)
    mcp = gr.Markdown(f"```\n{(CLIENTS / 'mcp.json').read_text('utf-8')}```")
    gr.on(tab.select, None, None, mcp, js=_AT_THIS_ADDRESS, queue=False, **PRIVATE)


def _introduction() -> str:
    return f"""Everything this page does can be called by programs. With the same choices, what comes back is pixel
for pixel what the page and the command line make; for a JPEG those choose `treatment=auto` by themselves. Files are
uploaded, never fetched from addresses, and deleted after {wording.hours(settings().keep_hours)}."""


def _call(endpoint: Callable[..., object]) -> str:
    """The signature as a client sees it."""
    lines = [f"    {parameter}," for name, parameter in signature(endpoint).parameters.items() if name != "request"]
    text = "\n".join([f"{endpoint.__name__}(", *lines, ")"]) if lines else f"{endpoint.__name__}()"
    return text.replace("gradio.data_classes.FileData", "file").replace("typing.", "")


def _documentation(endpoint: Callable[..., object]) -> str:
    """The docstring as Markdown: a list of arguments, then what comes back."""
    summary, *sections = (getdoc(endpoint) or "").split("\n\n")
    told = [summary]
    for section in sections:
        title, _, body = section.partition("\n")
        lines = [line.strip() for line in body.splitlines()]
        if title == "Args:":
            told.append(
                "\n".join(f"- **{name}**: {words}" for name, _, words in (line.partition(": ") for line in lines))
            )
        elif title == "Returns:":
            told.append(f"**Returns** {' '.join(lines)}")
    return "\n\n".join(told)
