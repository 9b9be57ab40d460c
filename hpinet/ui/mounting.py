"""The page as an ASGI application, for servers other than Gradio's own."""

from typing import Any, cast

import gradio as gr
from starlette.applications import Starlette

from hpinet.ui.page import create_demo, launch_options


def mounted_page() -> Starlette:
    """The page with everything that `launch_options` says; what only `launch` takes is set as `launch` sets it."""
    demo, options = create_demo(), launch_options()
    threads = options.pop("max_threads")
    demo.max_threads = threads
    demo._queue.max_thread_count = threads
    demo.state_session_capacity = options.pop("state_session_capacity")
    app = Starlette()
    gr.mount_gradio_app(cast(Any, app), demo, path="/", **options)
    return app
