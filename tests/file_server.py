"""An HTTP server on loopback that serves files well or badly, one way a request."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FileServer:
    """`behaviours` answer the coming requests in order; the last one answers all that follow."""

    files: dict[str, bytes] = field(default_factory=dict)  # by path, such as "/name"
    behaviours: list["Behaviour"] = field(default_factory=list)
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range header of each
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    """One request, answered by the next behaviour."""

    state: FileServer

    def do_GET(self) -> None:
        self.state.requests.append((self.path, self.headers.get("Range")))
        behaviours = self.state.behaviours
        behaviour = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
        behaviour(self, self.state.files.get(self.path))

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def start(self, status: int, length: int, **headers: str) -> None:
        """Status line and headers."""
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def rest(self, data: bytes) -> bytes:
        """Answers a Range header, if any, and returns what is to be sent."""
        asked = self.headers.get("Range")
        if not asked:
            self.start(200, len(data))
            return data
        first = int(asked.removeprefix("bytes=").removesuffix("-"))
        if first >= len(data):
            self.start(416, 0, Content_Range=f"bytes */{len(data)}")
            return b""
        self.start(206, len(data) - first, Content_Range=f"bytes {first}-{len(data) - 1}/{len(data)}")
        return data[first:]


Behaviour = Callable[[Handler, bytes | None], None]


def good(handler: Handler, data: bytes | None) -> None:
    """As any web server: ranges, and 404 for what it does not have."""
    if data is None:
        handler.start(404, 0)
    else:
        handler.wfile.write(handler.rest(data))


def without_ranges(handler: Handler, data: bytes | None) -> None:
    """Sends everything, whatever part was asked for."""
    assert data is not None
    handler.start(200, len(data))
    handler.wfile.write(data)


def other_range(handler: Handler, data: bytes | None) -> None:
    """Sends another part than the one asked for."""
    assert data is not None
    handler.start(206, len(data) - 1, Content_Range=f"bytes 1-{len(data) - 1}/{len(data)}")
    handler.wfile.write(data[1:])


def dropping(handler: Handler, data: bytes | None) -> None:
    """Closes the connection half way through what it announced."""
    assert data is not None
    rest = handler.rest(data)
    handler.wfile.write(rest[: len(rest) // 2])


def stalling(handler: Handler, data: bytes | None) -> None:
    """Sends half, then nothing for a second."""
    assert data is not None
    rest = handler.rest(data)
    handler.wfile.write(rest[: len(rest) // 2])
    handler.wfile.flush()
    time.sleep(1)


def slow(handler: Handler, data: bytes | None) -> None:
    """Sends in ten pieces with pauses."""
    assert data is not None
    rest = handler.rest(data)
    step = len(rest) // 10 + 1
    for start in range(0, len(rest), step):
        handler.wfile.write(rest[start : start + step])
        handler.wfile.flush()
        time.sleep(0.03)


def crawling(handler: Handler, data: bytes | None) -> None:
    """Sends a little at a time, for seconds."""
    assert data is not None
    rest = handler.rest(data)
    with suppress(ConnectionError):  # nobody waits for all of it
        for start in range(0, len(rest), 10_000):
            handler.wfile.write(rest[start : start + 10_000])
            handler.wfile.flush()
            time.sleep(0.2)


def busy(handler: Handler, data: bytes | None) -> None:
    """Asks to come back later."""
    handler.start(503, 0)


def forbidden(handler: Handler, data: bytes | None) -> None:
    """Refuses."""
    handler.start(403, 0)


def endless(handler: Handler, data: bytes | None) -> None:
    """Never stops sending."""
    handler.send_response(200)
    handler.end_headers()
    while True:  # until the client hangs up
        handler.wfile.write(bytes(2**20))


class QuietServer(ThreadingHTTPServer):
    """Clients that hang up are the point."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Runs a server in the background; gives its address."""
    server = QuietServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def file_server(files: dict[str, bytes], *behaviours: Behaviour) -> Iterator[FileServer]:
    """A server of `files` for the length of a with block."""
    state = FileServer(files, list(behaviours) or [good])
    with serving(type("Handler", (Handler,), {"state": state})) as url:
        state.url = url
        yield state
