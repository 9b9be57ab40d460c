"""The stream of answers, of a real server."""

import json
import secrets
from collections.abc import Iterator

import httpx
import pytest

from hpinet.ui.server import answers

API = "/gradio_api"


@pytest.fixture
def visitor(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=30) as browser:
        browser.get("/")
        yield browser


def messages(stream: httpx.Response) -> Iterator[str]:
    for line in stream.iter_lines():
        if line.startswith("data:") and (message := json.loads(line.removeprefix("data:")))["msg"] != "heartbeat":
            yield message["msg"]


def test_a_call_at_the_end_of_the_stream_is_answered_in_it(
    visitor: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client takes the stream for open until it is told otherwise, and opens no other."""
    monkeypatch.setattr(answers, "CALLING_SECONDS", 1.0)
    handlers = visitor.get("/config").json()["dependencies"]
    [models] = [handler["id"] for handler in handlers if handler["api_name"] == "models"]
    call = {"fn_index": models, "session_hash": secrets.token_hex(8), "data": []}
    visitor.post(f"{API}/queue/join", json=call).raise_for_status()
    seen: list[str] = []
    with visitor.stream("GET", f"{API}/queue/data", params={"session_hash": call["session_hash"]}) as stream:
        for message in messages(stream):
            seen.append(message)
            if message == "process_completed" and seen.count(message) < 3:
                visitor.post(f"{API}/queue/join", json=call).raise_for_status()
    assert seen.count("process_completed") == 3
    assert seen.count("close_stream") == 1
    assert seen[-1] == "close_stream"
