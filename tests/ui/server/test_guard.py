"""What the middleware lets through to Gradio."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from hpinet.ui.server.guard import UploadsOnly

JOIN = "/gradio_api/queue/join"


def file(path: str, **more: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


@pytest.fixture
def client() -> Iterator[TestClient]:
    async def echo(request: Request) -> JSONResponse:
        body = await request.body()
        return JSONResponse(
            {"length": len(body), "header": request.headers.get("content-length"), "body": body.decode()}
        )

    routes = [Route("/{path:path}", echo, methods=["GET", "POST"])]
    middleware = [Middleware(UploadsOnly, max_upload_bytes=30_000_000)]
    with TestClient(Starlette(routes=routes, middleware=middleware)) as client:
        yield client


def test_uploads_pass_unchanged(client: TestClient) -> None:
    body = json.dumps({"data": [file("/tmp/gradio/abc/cat.png"), "http://just a text", 4]})
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
    answer = client.post(JOIN, json={"data": [value]})
    assert answer.status_code == 422
    assert "fetches nothing" in answer.json()["detail"][0]["message"]


def test_links_to_uploads_become_their_paths(client: TestClient) -> None:
    link = "http://localhost:7860/gradio_api/file=/tmp/gradio/ab/my%20cat.png"
    answer = client.post(JOIN, json={"data": [file(link, url=link)]}).json()
    assert json.loads(answer["body"])["data"][0] == file("/tmp/gradio/ab/my cat.png")
    assert answer["header"] == str(answer["length"])


def test_long_bodies_are_refused(client: TestClient) -> None:
    assert client.post(JOIN, content=b"x" * 9_000_000).status_code == 413
    assert client.post("/gradio_api/mcp/", content=b"x" * 9_000_000).status_code == 200
    assert client.post("/gradio_api/mcp/", content=b"x" * 60_000_000).status_code == 413
    assert client.post("/gradio_api/upload", content=b"x" * 9_000_000).status_code == 200  # Gradio's own limit


def test_what_is_not_json_passes(client: TestClient) -> None:
    assert client.post(JOIN, content=b"{broken").json()["body"] == "{broken"
    assert client.post(JOIN, content=b"").json()["length"] == 0
    assert client.post(JOIN, content=b"[" * 100_000).status_code == 200
    assert client.get("/").status_code == 200
