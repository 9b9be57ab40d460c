"""The page's endpoints as tools of an MCP server: what Gradio leaves out of reading their files, and who calls."""

import secrets
from typing import Any

import gradio as gr
from starlette.requests import Request

_CALLER = "x-hpinet-tool"
"""The header of a tool's call: a word that nobody outside this process knows, and the address of the program."""

_WORD = secrets.token_urlsafe()


def tell_callers_apart(server: Any) -> None:
    """Lets the calls of tools say whose they are, for `as_made_by_name`.

    Gradio's MCP ``server`` makes them all itself, in one session, with the headers of the programs. That session has no
    cookie: of a program that sends one, the guard would take it for somebody else's.
    """
    prepare = server._prepare_tool_call_args

    def with_caller(name: str, arguments: dict[str, Any]) -> tuple[Any, Any, dict[str, str], Any]:
        endpoint, values, headers, handler = prepare(name, arguments)
        caller = server.mcp_server.request_context.request.client
        headers = {name: value for name, value in headers.items() if name != "cookie"}
        return endpoint, values, {**headers, _CALLER: f"{_WORD} {caller.host if caller else ''}"}, handler

    server._prepare_tool_call_args = with_caller


def as_made_by_name(request: Any, call: str | None) -> Any:
    """The request of a tool's ``call`` as if the program had called the endpoint by its name: a session for it alone.

    Any other request as it is.
    """
    asked = request.request if isinstance(request, gr.Request) else None
    word, _, address = asked.headers.get(_CALLER, "").partition(" ") if asked else ("", "", "")
    if asked is None or call is None or not secrets.compare_digest(word.encode(), _WORD.encode()):
        return request
    own = Request({**asked.scope, "client": (address, 0) if address else None})
    return gr.Request(own, request.username, session_hash=call)


def read_lists_of_files(server: Any) -> None:
    """Lets the tools of Gradio's MCP ``server`` take lists of files.

    Gradio notes that the items of "files" are files, and then looks for them by their numbers, in vain: links and
    `data:` addresses would reach the endpoint as bare words.
    """
    convert = server.convert_strings_to_filedata

    def with_numbers(value: Any, positions: list[list[str | int]]) -> Any:
        lists = [place[0] for place in positions if place[1:] == ["items"]]
        numbered = [[name, number] for name in lists for number in range(_length(value, name))]
        return convert(value, [*positions, *numbered])

    server.convert_strings_to_filedata = with_numbers


def _length(value: Any, name: Any) -> int:
    files = value.get(name) if isinstance(value, dict) else None
    return len(files) if isinstance(files, list) else 0
