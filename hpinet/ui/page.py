"""The whole page: masthead, tabs, endpoints, and how it is served."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from hpinet.settings import settings
from hpinet.ui import endpoints, health, links
from hpinet.ui.jobs import journal
from hpinet.ui.jobs.examples import FOLDER, Example, load_examples
from hpinet.ui.jobs.models import SHELF
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.parts.door import Page
from hpinet.ui.parts.events import SPARE_THREADS
from hpinet.ui.parts.theme import CSS, HEAD, SCRIPT, theme
from hpinet.ui.server import storage
from hpinet.ui.server.guard import Guard
from hpinet.ui.server.preview import LinkPreview
from hpinet.ui.tabs import api, batch, look_inside, measure, upscale

QUEUE_SIZE = 32
TITLE = "HPINet — super-resolution"

MASTHEAD = """<div class="masthead">
<h1>HPINet</h1>
<p>Makes small pictures large. Before it draws a detail, the network searches your whole picture for similar ones.</p>
</div>"""


def create_demo(examples: list[Example] | None = None) -> gr.Blocks:
    """The page and its endpoints, ready for ``demo.launch(**launch_options())``.

    Args:
        examples: The pictures of the gallery; those of the project by default.
    """
    shown = load_examples() if examples is None else examples
    if shown:
        gr.set_static_paths([FOLDER, *{example.path.parent for example in shown}])
    storage.show([*(example.path for example in shown), *(FOLDER / spot.file for spot in look_inside.SPOTS)])
    tabs: list[tuple[str, str, Callable[[], Any]]] = [
        ("Batch", "batch", batch.build),
        ("Measure", "measure", partial(measure.build, shown)),
        ("Look inside", "look", look_inside.build),
        ("API", "api", api.build),
    ]
    with Page(title=TITLE, delete_cache=(storage.SWEEP_EVERY_SECONDS, round(settings().keep_hours * 3600))) as demo:
        endpoints.register()  # first, so that no handler of the page takes their names
        gr.HTML(MASTHEAD, padding=False)
        with gr.Tabs(overflow_behavior="wrap"):
            with gr.Tab("Upscale", id="upscale"):
                controls = upscale.build(shown)
            for title, key, build in tabs:
                with gr.Tab(title, id=key):
                    build()
        links.connect(demo, controls)
        demo.unload(_leave)
    SHELF.prepare()
    demo.queue(max_size=QUEUE_SIZE, default_concurrency_limit=8)
    return demo


def launch_options() -> dict[str, Any]:
    """Arguments for `gradio.Blocks.launch`: looks, limits and what stays closed."""
    journal.start()
    limits = settings()
    megabytes = limits.max_upload_mb
    guard = Middleware(Guard, max_upload_bytes=megabytes * 1_000_000)
    return {
        "theme": theme(),
        "css": CSS,
        "head": HEAD,
        "js": SCRIPT,
        "mcp_server": True,
        "ssr_mode": False,
        "max_threads": limits.jobs + SPARE_THREADS,
        "max_file_size": megabytes * 1_000_000,
        "enable_monitoring": False,
        "run_history": False,
        "show_error": True,
        "footer_links": ["settings"],
        "app_kwargs": {
            "middleware": [Middleware(LinkPreview, title=TITLE), guard],
            "lifespan": storage.sweeping,
            "routes": [health.ROUTE],
        },
    }


def _leave(request: gr.Request) -> None:
    """Whoever closes the page does not wait for the result."""
    for work in ("upscale", "batch", "measure", "look", "api"):
        StopFlag.of(request, work).raise_it()
