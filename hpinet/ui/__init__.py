"""The web page and the endpoints for programs, made with Gradio. `create_demo` builds it; `app.py` serves it."""

from hpinet.ui import environment  # isort: split  (before Gradio and PyTorch)
from hpinet.ui.page import create_demo, end_in_order, launch_options

__all__ = ["create_demo", "end_in_order", "environment", "launch_options"]
