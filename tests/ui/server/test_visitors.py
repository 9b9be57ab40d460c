"""Visitors apart: what one knows of another's work, by guessing or by listening, gives nothing."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

API = "/gradio_api"
NOTHING = {"detail": "There is nothing here."}


@pytest.fixture
def owner(server: str) -> Iterator[httpx.Client]:
    """A browser that has opened the page."""
    with httpx.Client(base_url=server, timeout=60) as browser:
        browser.get("/")
        assert "hpinet-visitor" in browser.cookies
        yield browser


stranger = owner  # another one


@pytest.fixture
def work(owner: httpx.Client, picture: Path) -> dict[str, Any]:
    """A body that begins an enlargement, in a session of the owner's."""
    [path] = owner.post(f"{API}/upload", files={"files": picture.open("rb")}).json()
    [number] = [
        handler["id"] for handler in owner.get("/config").json()["dependencies"] if handler["api_name"] == "upscale"
    ]
    image = {"path": path, "meta": {"_type": "gradio.FileData"}}
    data = [image, "T", 4, None, None, "png", 90, "clean", "drop"]
    return {"fn_index": number, "session_hash": secrets.token_hex(8), "data": data}


def completed(browser: httpx.Client, session: str) -> dict[str, Any]:
    """The last message of a session's stream."""
    with browser.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if message.get("msg") == "process_completed":
                return message
    raise AssertionError("no answer")


def test_nobody_meddles_with_anothers_session(
    owner: httpx.Client, stranger: httpx.Client, server: str, work: dict[str, Any]
) -> None:
    """Not even with all its numbers: neither another browser nor a program without a cookie."""
    session = work["session_hash"]
    event = owner.post(f"{API}/queue/join", json=work).json()["event_id"]
    with httpx.Client(base_url=server, timeout=60) as program:
        for other in (stranger, program):
            cancel = {"session_hash": session, "fn_index": work["fn_index"], "event_id": event}
            own = {**work, "session_hash": secrets.token_hex(8)}
            for answer in (
                other.get(f"{API}/queue/data", params={"session_hash": session}),  # reads
                other.get(f"{API}/heartbeat/{session}"),  # ends, by closing it
                other.post(f"{API}/cancel", json=cancel),
                other.post(f"{API}/queue/join", json=work),  # continues
                other.get(f"{API}/call/upscale/{event}"),  # follows
                other.get(f"{API}/call/v2/upscale/{event}"),
            ):
                assert (answer.status_code, answer.json()) == (404, NOTHING)
            mine = other.post(f"{API}/cancel", json={**cancel, "session_hash": own["session_hash"]})
            assert mine.json() == {"success": True}  # as for work that is over
            assert other.post(f"{API}/queue/join", json={**own, "event_id": event}).status_code == 400
    message = completed(owner, session)
    assert message["success"]
    assert message["event_id"] == event
    assert owner.get(message["output"]["data"][0]["url"]).status_code == 200


def test_nobody_cancels_what_a_program_has_begun(
    stranger: httpx.Client, server: str, work: dict[str, Any], picture: Path
) -> None:
    with httpx.Client(base_url=server, timeout=60) as program:
        [path] = program.post(f"{API}/upload", files={"files": picture.open("rb")}).json()
        data = [{**work["data"][0], "path": path}, *work["data"][1:]]
        event = program.post(f"{API}/call/upscale", json={"data": data}).json()["event_id"]
        cancel = {"session_hash": secrets.token_hex(8), "fn_index": work["fn_index"], "event_id": event}
        assert stranger.post(f"{API}/cancel", json=cancel).json() == {"success": True}
        assert stranger.get(f"{API}/call/models/{event}").status_code == 404  # not what was begun by that name
        answer = program.get(f"{API}/call/upscale/{event}").text
    assert "event: complete" in answer
    assert "orig_name" in answer


def test_names_of_results_cannot_be_guessed(owner: httpx.Client, stranger: httpx.Client, work: dict[str, Any]) -> None:
    """Two results of the same picture lie in folders of their own, which nobody is told of, nor can list."""
    owner.post(f"{API}/queue/join", json=work)
    first = Path(completed(owner, work["session_hash"])["output"]["data"][0]["path"])
    again = {**work, "session_hash": secrets.token_hex(8)}
    stranger.post(f"{API}/queue/join", json=again)
    second = Path(completed(stranger, again["session_hash"])["output"]["data"][0]["path"])
    assert first.name == second.name
    assert first.parent != second.parent
    assert min(len(first.parent.name), len(second.parent.name)) >= 22  # 16 random bytes, at least
    for path in (first.parent, first.parent.parent, second.parent / "other.png"):
        assert stranger.get(f"{API}/file={path}").json() == NOTHING


def test_progress_of_uploads_is_told_to_who_sends_them(
    owner: httpx.Client, stranger: httpx.Client, picture: Path
) -> None:
    number = secrets.token_hex(6)
    sent = owner.post(f"{API}/upload", params={"upload_id": number}, files={"files": picture.open("rb")})
    assert sent.status_code == 200
    for browser, status in ((stranger, 404), (owner, 200)):
        with browser.stream("GET", f"{API}/upload_progress", params={"upload_id": number}) as stream:
            assert stream.status_code == status
