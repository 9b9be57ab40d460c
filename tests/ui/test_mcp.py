"""The page as an MCP server, seen by the official client."""

import base64
import json
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import anyio
import gradio as gr
import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import ImageContent, TextContent

from hpinet import Upscaler, open_picture
from hpinet.images import encode_picture
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.jobs.turns import Visitor
from hpinet.ui.server import storage

T = TypeVar("T")


def session(server: str, work: Callable[[ClientSession], Awaitable[T]], headers: dict[str, str] | None = None) -> T:
    async def run() -> T:
        async with (
            streamablehttp_client(f"{server}/gradio_api/mcp/", headers) as (reading, writing, _),
            ClientSession(reading, writing) as client,
        ):
            await client.initialize()
            return await work(client)

    with ThreadPoolExecutor(1) as aside:  # the tests in a browser keep an event loop going in this thread
        return aside.submit(anyio.run, run).result()


def call(server: str, tool: str, arguments: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
    return session(server, lambda client: client.call_tool(tool, arguments), headers)


def test_tools_and_their_documentation(server: str) -> None:
    tools = {tool.name: tool for tool in session(server, lambda client: client.list_tools()).tools}
    assert tools.keys() == {"upscale", "upscale_batch", "measure", "explain", "models"}
    assert "larger by super-resolution" in (tools["upscale"].description or "")
    properties = tools["upscale"].inputSchema["properties"]
    assert tools["upscale"].inputSchema["required"] == ["image"]
    assert properties["scale"]["description"].startswith("How many times larger")
    assert properties["format"]["enum"] == ["png", "jpeg", "webp", "avif"]
    for tool in tools.values():  # whole sentences: Gradio reads one line of each argument
        for name, property in tool.inputSchema["properties"].items():
            assert property["description"].endswith("."), f"{tool.name}: {name}"


def test_upscale_a_data_uri(server: str, picture: Path) -> None:
    image = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    result = call(server, "upscale", {"image": image, "scale": 4})
    assert not result.isError
    expected = encode_picture(Upscaler.load("T", scale=4)(open_picture(picture)))
    shown, link = result.content
    assert isinstance(shown, ImageContent)
    assert isinstance(link, TextContent)
    assert (open_picture(base64.b64decode(shown.data)).colour == open_picture(expected).colour).all()
    assert httpx.get(link.text.removeprefix("Image URL: ")).content == expected


def test_upscale_an_upload(server: str, picture: Path) -> None:
    """As the tool `gradio upload` does it: the picture is uploaded first, then its link is given."""
    [path] = httpx.post(f"{server}/gradio_api/upload", files={"files": picture.open("rb")}).json()
    result = call(server, "upscale", {"image": f"{server}/gradio_api/file={path}"})
    assert not result.isError
    assert isinstance(result.content[0], ImageContent)


def test_addresses_and_wrong_values_are_refused(server: str, picture: Path) -> None:
    assert call(server, "upscale", {"image": "https://example.org/cat.png"}).isError
    image = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    result = call(server, "upscale", {"image": image, "model": "Z"})
    assert result.isError
    assert "no model 'Z'" in result.content[0].text


def test_a_batch_of_links_and_data_uris(server: str, picture: Path, tmp_path: Path) -> None:
    [path] = httpx.post(f"{server}/gradio_api/upload", files={"files": picture.open("rb")}).json()
    image = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    result = call(server, "upscale_batch", {"files": [f"{server}/gradio_api/file={path}", image], "scale": 2})
    assert not result.isError
    told = " ".join(part.text for part in result.content if isinstance(part, TextContent))
    assert told.count("'status': 'done'") == 2  # Gradio's words
    for file in ("https://example.org/cat.png", "/etc/passwd"):
        refused = call(server, "upscale_batch", {"files": [image, file]})
        assert refused.isError
        assert "fetches nothing" in refused.content[0].text
    began = time.monotonic()
    refused = call(server, "upscale_batch", {"files": ["http://a"] * 50_000})
    assert "at most 500 pictures" in refused.content[0].text
    assert time.monotonic() - began < 10


def test_models(server: str) -> None:
    result = call(server, "models", {})
    text = result.content[0].text
    assert not result.isError
    assert "hpinet-t-x4" in text
    assert json.dumps(176931) in text


def test_programs_are_visitors_of_their_own(server: str, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio calls for all of them, in one session. The server of these tests runs in this process."""
    seen, of = list[Visitor](), StopFlag.of

    def noted(request: gr.Request | None, work: str) -> StopFlag:
        seen.append((flag := of(request, work)).visitor)
        return flag

    monkeypatch.setattr(StopFlag, "of", noted)
    known = set(storage._visits)
    image = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    for visitor, address in (("a", "203.0.113.7"), ("b", "203.0.113.7"), ("b", "203.0.113.8")):
        headers = {"cookie": f"hpinet-visitor={visitor}", "x-forwarded-for": address}
        assert not call(server, "upscale", {"image": image, "scale": 2}, headers).isError
    assert all(one.passes_by for one in seen)
    assert len({one.session for one in seen}) == 3
    assert seen[0].address == seen[1].address != seen[2].address
    assert len({one.account for one in seen}) == 2
    visits = {name: visit for name, visit in storage._visits.items() if name not in known}
    assert len(visits) == 3
    assert not any(visit.pages for visit in visits.values())  # the pictures are nobody's afterwards
