"""What the middleware lets through to Gradio."""

import errno
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from hpinet.ui.server.cancelling import flag_of
from hpinet.ui.server.guard import Guard

JOIN = "/gradio_api/queue/join"


SESSION = "session-1"


def file(path: str, **more: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def joining(*values: Any, **more: Any) -> dict[str, Any]:
    return {"fn_index": 0, "session_hash": SESSION, "data": list(values), **more}


class Handler(SimpleNamespace):
    """As much of a handler of Gradio's as the guard looks at."""

    @staticmethod
    def fn(image: object, scale: int = 4) -> None: ...

    api_name = "upscale"
    api_visibility = "public"


@pytest.fixture
def queue() -> SimpleNamespace:
    made = SimpleNamespace(
        pending_messages_per_session={}, pending_event_ids_session={}, event_ids_to_events={}, active_jobs=[], told=[]
    )

    async def remove_from_queue(event: str) -> None:
        made.event_ids_to_events.pop(event, None)

    made.remove_from_queue = remove_from_queue
    made.send_message = lambda event, message: made.told.append((event, message))
    return made


@pytest.fixture
def client(queue: SimpleNamespace) -> Iterator[TestClient]:
    async def echo(request: Request) -> Response:
        body = await request.body()
        if request.url.path == "/theme.css":
            raise KeyError("a word of Python's")
        if request.url.path == "/gradio_api/upload" and body == b"too much":
            raise OSError(errno.ENOSPC, "No space left on device: '/a/path'")
        if request.url.path == "/robots.txt":
            return JSONResponse({"detail": "a word of Gradio's"}, status_code=422)
        return JSONResponse(
            {"length": len(body), "header": request.headers.get("content-length"), "body": body.decode()}
        )

    routes = [Route("/{path:path}", echo, methods=["GET", "POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(Guard, max_upload_bytes=30_000_000)])
    page_only = Handler(api_name="pick", api_visibility="private")
    handlers = {0: Handler(), 1: page_only, 2: Handler(fn=None)}
    cast(Any, app).get_blocks = lambda: SimpleNamespace(fns=handlers, _queue=queue)
    with TestClient(app) as client:
        yield client


def test_uploads_pass_unchanged(client: TestClient) -> None:
    body = json.dumps(joining(file("/tmp/gradio/abc/cat.png"), "http://just a text", 4))
    answer = client.post(JOIN, content=body).json()
    assert answer["body"] == body
    assert answer["header"] == str(answer["length"])


@pytest.mark.parametrize(
    "value",
    [
        file("http://example.org/cat.png"),
        file("HTTPS://example.org/cat.png"),
        file("ftp://example.org/cat.png"),
        file("cat.png", url="data:image/png;base64,AAAA"),
        {"deep": [[file("http://example.org/x")]]},
        file("http://here/gradio_api/file=http://example.org/x"),
    ],
)
def test_addresses_are_refused(client: TestClient, value: Any) -> None:
    answer = client.post(JOIN, json=joining(value))
    assert answer.status_code == 422
    assert "fetches nothing" in answer.json()["detail"][0]["message"]


def test_links_to_uploads_become_their_paths(client: TestClient) -> None:
    link = "http://localhost:7860/gradio_api/file=/tmp/gradio/ab/my%20cat.png"
    answer = client.post(JOIN, json=joining(file(link, url=link))).json()
    assert json.loads(answer["body"])["data"][0] == file("/tmp/gradio/ab/my cat.png")
    assert answer["header"] == str(answer["length"])


@pytest.mark.parametrize("image", ["/etc/passwd", "file:///etc/passwd", "", "data:image/png;base64,A"])
def test_pictures_of_tools_are_links_or_whole(client: TestClient, image: str) -> None:
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"arguments": {"image": image}}}
    answer = client.post("/gradio_api/mcp/", json=call).json()
    assert answer["id"] == 7
    assert answer["result"]["isError"]
    assert "Give an uploaded file" in answer["result"]["content"][0]["text"]
    call["params"] = {"arguments": {"image": "data:image/png;base64,AAAA"}}
    assert "body" in client.post("/gradio_api/mcp/", json=call).json()


def test_long_bodies_are_refused(client: TestClient) -> None:
    assert client.post(JOIN, content=b"x" * 9_000_000).status_code == 413
    assert client.post("/gradio_api/mcp/", content=b"x" * 9_000_000).status_code == 200
    assert client.post("/gradio_api/mcp/", content=b"x" * 60_000_000).status_code == 413
    assert client.post("/gradio_api/upload", content=b"x" * 9_000_000).status_code == 200  # Gradio's own limit


@pytest.mark.parametrize("body", [b"{broken", b"", b"[" * 100_000, b"\xff", b"3", b"null"])
def test_what_is_no_json_object_is_refused(client: TestClient, body: bytes) -> None:
    assert client.post(JOIN, content=body).status_code == 400


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/monitoring", "/gradio_api/proxy=https://example.org", "/gradio_api/new", "/x"])
def test_closed_routes(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("address", ["https://example.org/x", "HTTP://example.org", "https:%2F%2Fexample.org", "x/y"])
def test_addresses_are_not_served_as_files(client: TestClient, method: str, address: str) -> None:
    assert client.request(method, f"/gradio_api/file={address}").status_code == 404


def test_files_are(client: TestClient) -> None:
    assert client.get("/gradio_api/file=/tmp/gradio/abc/cat.png").status_code == 200


@pytest.mark.parametrize(
    ("route", "body", "status"),
    [
        (JOIN, joining(fn_index=7), 404),
        (JOIN, joining(fn_index=2), 404),  # runs in the page alone
        (JOIN, joining(fn_index=True), 404),
        (JOIN, joining(session_hash="1"), 400),
        (JOIN, joining(session_hash=None), 400),
        (JOIN, [], 400),
        (JOIN, joining(event_data=None, trigger_id=7), 200),
        (JOIN, joining(trigger_id=float("nan")), 400),
        (JOIN, joining(event_id="e"), 400),
        (JOIN, {**joining(), "data": 3}, 400),
        ("/gradio_api/call/upscale", {"data": {}}, 400),
        ("/gradio_api/call/upscale", {"data": []}, 200),
        ("/gradio_api/call/pick", {"data": []}, 404),
        ("/gradio_api/call/upscale", {"data": [], "session_hash": SESSION}, 400),
        ("/gradio_api/call/v2/upscale", {"image": 1}, 200),
        ("/gradio_api/call/v2/upscale", {}, 422),
        ("/gradio_api/call/v2/upscale", {"image": 1, "colour": 2}, 422),
    ],
)
def test_requests_for_work(client: TestClient, route: str, body: Any, status: int) -> None:
    headers = {"content-type": "application/json"}
    assert client.post(route, content=json.dumps(body), headers=headers).status_code == status  # NaN and all


def test_a_session_belongs_to_who_began_it(client: TestClient, queue: SimpleNamespace) -> None:
    queue.pending_messages_per_session[SESSION] = []
    visitor, other = {"cookie": "hpinet-visitor=a"}, {"cookie": "hpinet-visitor=b"}
    for headers, status in ((visitor, 200), (other, 404), ({}, 404), (visitor, 200)):
        assert client.post(JOIN, json=joining(), headers=headers).status_code == status
        for path in (f"/gradio_api/queue/data?session_hash={SESSION}", f"/gradio_api/heartbeat/{SESSION}"):
            assert client.get(path, headers=headers).status_code == status
        cancel = {"session_hash": SESSION, "fn_index": 0, "event_id": "e"}
        assert client.post("/gradio_api/cancel", json=cancel, headers=headers).status_code == status


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/queue/data?session_hash={own}&session_hash={other}",
        "/gradio_api/queue/data?session_hash={own}&session_hash=",
        "/gradio_api/upload_progress?upload_id={own}&upload_id={other}",
    ],
)
def test_nothing_is_named_twice(client: TestClient, queue: SimpleNamespace, path: str) -> None:
    """Gradio heeds the last name, whoever's it is."""
    queue.pending_messages_per_session[f"{SESSION}session-2"] = []
    address = path.format(own=SESSION, other="session-2")
    assert client.get(address, headers={"cookie": "hpinet-visitor=a"}).status_code == 400


def test_an_upload_is_not_named_twice(client: TestClient) -> None:
    path = "/gradio_api/upload?upload_id=upload-1&upload_id=upload-2"
    assert client.post(path, content=b"a picture").status_code == 400


def test_a_session_is_not_followed_as_if_it_were_an_event(client: TestClient, queue: SimpleNamespace) -> None:
    """Gradio takes the number of an event that it does not know for the name of a session."""
    queue.pending_messages_per_session.update({SESSION: [], "ended-by-name": []})
    assert client.get(f"/gradio_api/heartbeat/{SESSION}", headers={"cookie": "hpinet-visitor=a"}).status_code == 200
    for call in ("call", "call/v2"):
        assert client.get(f"/gradio_api/{call}/upscale/{SESSION}").status_code == 404
        assert client.get(f"/gradio_api/{call}/upscale/ended-by-name").status_code == 200  # its answer waits


def test_only_ones_own_work_is_cancelled(client: TestClient, queue: SimpleNamespace) -> None:
    event = SimpleNamespace(session_hash="session-2", fn=Handler(), alive=True)
    queue.event_ids_to_events.update(e=event, other=SimpleNamespace(session_hash="session-2", fn=Handler(), alive=True))
    queue.pending_messages_per_session["session-2"] = []
    flag_of("e").unlink(missing_ok=True)
    cancel = {"session_hash": SESSION, "fn_index": 0, "event_id": "e"}
    assert client.post("/gradio_api/cancel", json=cancel).json() == {"success": True}
    assert event.alive
    assert not flag_of("e").exists()
    answer = client.post("/gradio_api/cancel", json={**cancel, "session_hash": "session-2"}).json()
    assert answer == {"success": True}  # and Gradio was not asked: it would end the session's other work
    assert not event.alive
    assert flag_of("e").exists()
    assert not flag_of("other").exists()
    assert [(told, message.success) for told, message in queue.told] == [(event, True)]
    assert list(queue.event_ids_to_events) == ["other"]


def test_work_that_nobody_listens_to_is_asked_to_stop(client: TestClient, queue: SimpleNamespace) -> None:
    left, heard = (SimpleNamespace(_id=name, alive=name == "heard") for name in ("left", "heard"))
    queue.active_jobs = [None, [left], [heard]]
    queue.pending_messages_per_session[SESSION] = []
    client.get(f"/gradio_api/queue/data?session_hash={SESSION}")
    assert flag_of("left").exists()
    assert not flag_of("heard").exists()


def test_only_work_begun_by_name_is_followed_by_name(client: TestClient, queue: SimpleNamespace) -> None:
    queue.event_ids_to_events.update(
        mine=SimpleNamespace(session_hash="mine", fn=Handler()),
        pages=SimpleNamespace(session_hash=SESSION, fn=Handler()),
    )
    queue.pending_messages_per_session.update({"mine": [], SESSION: []})
    for event, status in (("mine", 200), ("pages", 404), ("none", 404)):
        assert client.get(f"/gradio_api/call/upscale/{event}").status_code == status
    assert client.get("/gradio_api/call/models/mine").status_code == 404


def test_a_session_that_is_gone_ends_its_stream(client: TestClient) -> None:
    answer = client.get("/gradio_api/queue/data", params={"session_hash": "session-9"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert json.loads(answer.text.removeprefix("data:"))["session_not_found"]


@pytest.mark.parametrize("path", ["/", "/robots.txt", "/theme.css", "/monitoring", "/healthz"])
def test_every_answer_states_its_policies(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "default-src 'self'" in headers["content-security-policy"]


def test_files_can_do_nothing(client: TestClient) -> None:
    assert client.get("/gradio_api/file=/tmp/x.svg").headers["content-security-policy"].endswith("sandbox")


def test_the_page_gives_a_cookie_once(client: TestClient) -> None:
    cookie = client.get("/").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "set-cookie" not in client.get("/").headers


@pytest.mark.parametrize(
    ("forwarded", "is_secure"),
    [("https", True), ("https,http", True), ("https, http", True), ("http,https", False), ("", False)],
)
def test_a_cookie_goes_along_in_a_frame_where_that_is_possible(
    client: TestClient, forwarded: str, is_secure: bool
) -> None:
    """Of two proxies, the first is the one that the visitor speaks to."""
    cookie = client.get("/", headers={"x-forwarded-proto": forwarded}).headers["set-cookie"]
    assert ("SameSite=None; Secure; Partitioned" in cookie) == is_secure


def test_errors_are_told_in_our_words(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.get("/theme.css")
    assert answer.status_code == 500
    number = re.fullmatch(r"Something failed .* report number (\d{6})\.", answer.json()["detail"])
    assert number
    assert number[1] in caplog.text
    answer = client.get("/robots.txt")
    assert answer.status_code == 422
    assert "Gradio" not in answer.text


def test_a_full_disk_is_said(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (tmp_path / "tmptorn").touch()
    answer = client.post("/gradio_api/upload", content=b"too much")
    assert answer.status_code == 507
    assert answer.json()["detail"] == "This server's disk is full: try again in a minute."
    assert not list(tmp_path.iterdir())


def test_a_name_that_no_file_can_have(client: TestClient) -> None:
    answer = client.post(JOIN, json=joining(1, event_data=file("a\0b")))
    assert answer.status_code == 422
    assert "not uploaded here" in answer.text
