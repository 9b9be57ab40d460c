"""The page as an MCP server, seen by the official client."""

import base64
import json
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import ImageContent, TextContent

from hpinet import Upscaler, open_picture
from hpinet.images import encode_picture

T = TypeVar("T")


def session(server: str, work: Callable[[ClientSession], Awaitable[T]]) -> T:
    async def run() -> T:
        async with (
            streamablehttp_client(f"{server}/gradio_api/mcp/") as (reading, writing, _),
            ClientSession(reading, writing) as client,
        ):
            await client.initialize()
            return await work(client)

    with ThreadPoolExecutor(1) as aside:  # the tests in a browser keep an event loop going in this thread
        return aside.submit(anyio.run, run).result()


def call(server: str, tool: str, arguments: dict[str, Any]) -> Any:
    return session(server, lambda client: client.call_tool(tool, arguments))


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
