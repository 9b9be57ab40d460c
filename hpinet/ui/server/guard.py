"""What reaches Gradio: bodies of bounded size, and files that were uploaded rather than addresses to fetch.

Gradio limits uploads alone, fetches any public address that is given in place of a file, and decodes `data:` addresses.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FILE_ROUTE = "/gradio_api/file="
_JSON_BYTES = 8_000_000  # far more than any request of ours; MCP clients may send whole pictures instead
_MCP_ROUTE = "/gradio_api/mcp"
_UPLOAD_ROUTE = "/gradio_api/upload"  # limited by Gradio itself
_REFUSAL = "Give an uploaded file, not an address: this server fetches nothing on request."


class UploadsOnly:
    """ASGI middleware that refuses over-long bodies (413) and requests for files that were not uploaded here (422)."""

    def __init__(self, app: ASGIApp, *, max_upload_bytes: int) -> None:
        self.app = app
        self.max_mcp_bytes = _JSON_BYTES + max_upload_bytes * 4 // 3  # base64

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request itself or hands it on."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].startswith(_UPLOAD_ROUTE):
            await self.app(scope, receive, send)
            return
        is_mcp = scope["path"].startswith(_MCP_ROUTE)
        body = await _read(receive, self.max_mcp_bytes if is_mcp else _JSON_BYTES)
        if body is None:
            await JSONResponse({"detail": "The request is too large."}, status_code=413)(scope, receive, send)
            return
        if not is_mcp:  # its files come back through here as uploads
            try:
                body = _with_uploads_only(body)
            except ValueError as error:
                await _invalid(str(error))(scope, receive, send)
                return
            scope = {**scope, "headers": _with_length(scope["headers"], len(body))}
        await self.app(scope, _replay(body, receive), send)


def _invalid(message: str) -> JSONResponse:
    """The answer to a bad argument, in the form in which Gradio's clients look for a message."""
    fault = {"__type__": "validate", "is_valid": False, "parameter_name": "file", "message": message}
    return JSONResponse({"detail": [fault]}, status_code=422)


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None if it is longer than ``limit``."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives ``body`` once, then whatever else happens on the connection."""
    unread = [body]

    async def replay() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        return await receive()

    return replay


def _with_length(headers: list[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    return [*kept, (b"content-length", str(length).encode())]


def _with_uploads_only(body: bytes) -> bytes:
    """The body with links to files of this server replaced by their paths. Raises ValueError at any other address."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return body  # not for an endpoint that takes files
    changed = False
    for file in _files(data):
        path, url = file.get("path"), file.get("url")
        if isinstance(url, str) and url.startswith("data:"):
            raise ValueError(_REFUSAL)
        if isinstance(path, str) and "://" in path:
            file["path"] = _own_path(path)
            file.pop("url", None)
            changed = True
    return json.dumps(data).encode() if changed else body


def _own_path(address: str) -> str:
    """The path in a link such as `gradio upload` hands out; Gradio then checks that it is an upload."""
    _, own, path = unquote(urlsplit(address).path).partition(_FILE_ROUTE)
    if not own or "://" in path:
        raise ValueError(_REFUSAL)
    return path


def _files(data: Any) -> Iterator[dict[str, Any]]:
    """Every file description anywhere in ``data``."""
    rest = [data]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            if "path" in value or "url" in value:
                yield value
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)
