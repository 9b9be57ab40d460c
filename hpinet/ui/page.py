"""The whole page: masthead, tabs, endpoints, and how it is served."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
from gradio.context import LocalContext
from PIL import Image
from starlette.middleware import Middleware

from hpinet.engines.machine import memory_allowance
from hpinet.settings import settings
from hpinet.ui import endpoints, health, languages, links, privacy, tiling
from hpinet.ui.jobs import journal
from hpinet.ui.jobs.examples import FOLDER, Example, load_examples
from hpinet.ui.jobs.models import SHELF
from hpinet.ui.jobs.running import CREW, StopFlag
from hpinet.ui.parts import viewer
from hpinet.ui.parts.door import Page
from hpinet.ui.parts.events import LIGHT, PRIVATE, SPARE_THREADS
from hpinet.ui.parts.theme import CSS, HEAD, HOOKS, MASTHEAD_PICTURE, SCRIPT, theme
from hpinet.ui.server import ending, install, sessions, storage, tools
from hpinet.ui.server.guard import Guard
from hpinet.ui.server.preview import LinkPreview
from hpinet.ui.tabs import api, batch, look_inside, measure, upscale

QUEUE_SIZE = 32
_AT_THE_END = 86_400, 10**10
"""When Gradio deletes files besides: every day those of some centuries. Meanwhile `storage` does."""

TITLE = "HPINet — super-resolution"
SCRIPTS = HOOKS + SCRIPT + viewer.SCRIPT

LANGUAGE_CHOICES = "".join(
    f'<option value="{code}" lang="{code}" translate="no">{name}</option>' for code, name in languages.LANGUAGES.items()
)
MASTHEAD = f"""<div class="masthead">
<div>
<h1>HPINet</h1>
<p>Makes small pictures large. Before it draws a detail, the network searches your whole picture for similar ones.</p>
</div>
{MASTHEAD_PICTURE.read_text("utf-8")}
<select id="language" aria-label="Language" translate="no">{LANGUAGE_CHOICES}</select>
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
    others: list[tuple[str, str, Callable[[gr.Tab], Any]]] = [
        ("Batch", "batch", lambda _: batch.build()),
        ("Measure", "measure", lambda tab: measure.build(shown, tab, controls.source)),
        ("Look inside", "look", lambda tab: look_inside.build(controls.explain, tabs, tab)),
        ("API", "api", lambda _: api.build()),
    ]
    with Page(title=TITLE, delete_cache=_AT_THE_END) as demo:
        endpoints.register()  # first, so that no handler of the page takes their names
        gr.HTML(MASTHEAD, padding=False)
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            with gr.Tab("Upscale", id="upscale"):
                controls = upscale.build(shown)
            for title, key, build in others:
                with gr.Tab(title, id=key) as tab:
                    build(tab)
        gr.HTML(privacy.LINK, padding=False)
        delete = gr.Button("Delete my pictures now", size="sm", elem_id="delete")
        deleted = delete.click(_delete, None, None, **LIGHT)
        deleted.then(None, None, None, js="() => window.location.reload()", **PRIVATE)
        links.connect(demo, controls)
        demo.unload(_leave)
    SHELF.prepare()
    memory_allowance()  # looked up now, so that no request opens files of the system
    Image.MAX_IMAGE_PIXELS = None  # it would refuse results of ours; whatever is opened has limits of its own
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
        "head": HEAD + install.HEAD + viewer.HEAD,
        "js": SCRIPT,
        "mcp_server": True,
        "ssr_mode": False,
        "state_session_capacity": sessions.CAPACITY,
        "max_threads": limits.jobs + SPARE_THREADS,
        "max_file_size": megabytes * 1_000_000,
        "enable_monitoring": False,
        "run_history": False,
        "show_error": True,
        "footer_links": ["settings"],
        "app_kwargs": {
            "middleware": [Middleware(LinkPreview, title=TITLE, said=languages.said_in(SCRIPTS)), guard],
            "lifespan": _serving,
            "routes": [*health.ROUTES, privacy.ROUTE, tiling.ROUTE, *install.ROUTES],
        },
    }


def end_in_order() -> None:
    """Lets SIGTERM end the server with its callers told, see `hpinet.ui.server.ending`. For the main thread."""
    ending.end_in_order(CREW)


@asynccontextmanager
async def _serving(app: Any) -> AsyncIterator[None]:
    """What lasts as long as the server."""
    sessions.keep_small(app)
    if (server := app.get_blocks().mcp_server_obj) is not None:
        tools.read_lists_of_files(server)
        tools.tell_callers_apart(server)
    async with storage.sweeping(app), ending.heard(app):
        yield


async def _delete(request: gr.Request) -> None:
    """Ends the work of this page and deletes all that its visitor has sent and got; the page begins anew.

    What is remembered of pictures too, which Gradio would keep for an hour after the page is closed.
    """
    _leave(request)
    if (page := LocalContext.blocks.get()) is not None:
        for session in storage.sessions_of(request):
            sessions.forget(page, session)
    await asyncio.to_thread(storage.delete_of, request)


def _leave(request: gr.Request) -> None:
    """Whoever closes the page does not wait for the result, nor needs what was sent."""
    for work in ("upscale", "file", "why", "lens", "batch", "measure", "look", "api"):
        StopFlag.of(request, work).raise_it()
    storage.leave(request)
