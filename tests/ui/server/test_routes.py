"""The list of open routes is complete: what a new Gradio brings gets judged."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.routes import App

from hpinet.ui.server.routes import CLOSED, HEALTH, ICON, MCP, METRICS, OPEN, PRIVACY, TILE, open_route


def paths(routes: list[Any]) -> Iterator[str]:
    """Of all routes, those of included routers too."""
    for route in routes:
        if (inner := getattr(route, "original_router", None)) is not None:
            yield from paths(inner.routes)
        else:
            yield route.path


@pytest.fixture(scope="module")
def of_gradio() -> set[str]:
    with gr.Blocks() as demo:
        gr.Textbox()
    app = App.create_app(demo, mcp_server=True)
    return set(paths(list(app.routes)))


def test_every_route_of_gradio_is_on_one_side(of_gradio: set[str]) -> None:
    assert len(of_gradio) > 60
    assert of_gradio - OPEN.keys() - CLOSED == set()


def test_every_route_on_a_list_exists(of_gradio: set[str]) -> None:
    ours = {HEALTH, METRICS, PRIVACY, TILE, ICON, f"{MCP}/{{path:path}}"}  # the latter within what is mounted there
    assert (OPEN.keys() | CLOSED) - of_gradio == ours
    assert OPEN.keys().isdisjoint(CLOSED)


@pytest.mark.parametrize("path", sorted(CLOSED))
def test_closed_paths_lead_nowhere(path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        assert open_route(path, method) is None


def test_closed_on_the_live_server(server: str) -> None:
    for path in ("/monitoring", "/gradio_api/vibe-code", "/config/", "/gradio_api/run/models"):
        for method in ("GET", "POST"):
            answer = httpx.request(method, f"{server}{path}")
            assert (answer.status_code, answer.json()) == (404, {"detail": "There is nothing here."})
