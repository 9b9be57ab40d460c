"""Whose a tool's call is."""

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from starlette.requests import Request

from hpinet.ui.server import tools


def asked(headers: dict[str, str]) -> gr.Request:
    """A request that Gradio's MCP server makes, in its one session."""
    told = [(name.encode(), value.encode()) for name, value in headers.items()]
    return gr.Request(
        Request({"type": "http", "headers": told, "client": ("127.0.0.1", 5)}), session_hash="one-session"
    )


def headers_of(address: str | None, **sent: str) -> dict[str, str]:
    """What Gradio's MCP server passes on of a program's call."""
    caller = address and SimpleNamespace(host=address)
    server: Any = SimpleNamespace(
        _prepare_tool_call_args=lambda name, arguments: (f"/{name}", [arguments], dict(sent), None),
        mcp_server=SimpleNamespace(request_context=SimpleNamespace(request=SimpleNamespace(client=caller))),
    )
    tools.tell_callers_apart(server)
    endpoint, values, headers, _ = server._prepare_tool_call_args("upscale", {"scale": 2})
    assert (endpoint, values) == ("/upscale", [{"scale": 2}])
    return headers


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8::1"])
def test_a_tools_call_is_that_of_its_program(address: str) -> None:
    headers = headers_of(address, authorization="mine", cookie="hpinet-visitor=a", **{tools._CALLER: "forged"})
    assert headers.keys() == {"authorization", tools._CALLER}
    own = tools.as_made_by_name(asked(headers), "a-call")
    assert own.session_hash == "a-call"
    assert own.client.host == address
    assert own.headers["authorization"] == "mine"
    assert not dict(own.cookies)


def test_an_address_may_be_unknown() -> None:
    assert tools.as_made_by_name(asked(headers_of(None)), "a-call").client is None


@pytest.mark.parametrize("headers", [{}, {tools._CALLER: "203.0.113.7"}, {tools._CALLER: " 203.0.113.7"}])
def test_nobody_else_passes_for_a_tool(headers: dict[str, str]) -> None:
    request = asked({"x-gradio-user": "mcp", **headers})
    assert tools.as_made_by_name(request, "a-call") is request
    assert tools.as_made_by_name(None, "a-call") is None


def test_what_is_no_call_stays_as_it_is() -> None:
    request = asked(headers_of("203.0.113.7"))
    assert tools.as_made_by_name(request, None) is request
