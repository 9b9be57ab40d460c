"""A stand-in, on loopback, for the interface that lends GPUs to a Space: what `spaces.zero.api` asks for."""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Scheduler:
    """`answers` are for the coming requests in order; the last one is for all that follow."""

    answers: list["Answer"] = field(default_factory=lambda: [lend()])
    asked: list[dict[str, str]] = field(default_factory=list)  # the query of each /schedule
    lent: list[str] = field(default_factory=list)  # a token each
    allowed: list[int] = field(default_factory=list)  # process ids of workers
    released: list[tuple[float, bool]] = field(default_factory=list)  # when, and whether the work had failed
    tokens: Any = field(default_factory=itertools.count)

    def answer(self) -> "Answer":
        """For the next request."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    scheduler: Scheduler

    def do_POST(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path == "/schedule":
            self.scheduler.asked.append(query)
            self.scheduler.answer()(self)
            return
        if address.path == "/allow":
            self.scheduler.allowed.append(int(query["pid"]))
        if address.path == "/release":
            self.scheduler.released.append((time.monotonic(), query["fail"].lower() == "true"))
        self.json({})

    def json(self, value: Any, status: int = 200, **headers: str) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(data)

    def loan(self, *, idle: bool) -> dict[str, Any]:
        token = f"token-{next(self.scheduler.tokens)}"
        self.scheduler.lent.append(token)
        return {"idle": idle, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": token}

    def log_message(self, format: str, *args: Any) -> None:
        pass


def lend(*, idle: bool = True) -> Answer:
    """A GPU at once; where the last worker is idle it goes on, else it makes room for a new one."""
    return lambda handler: handler.json(handler.loan(idle=idle))


def exceeded(*, left: int = 3, wait: int = 1200) -> Answer:
    """The visitor's time for today is used up."""
    return lambda handler: handler.json(
        {"left": left, "wait": wait}, 429, X_Approve_Result="quota-exceeded", X_Authenticated="regular"
    )


def no_gpu() -> Answer:
    """None at all."""
    return lambda handler: handler.json({}, 503)


def broken() -> Answer:
    """An error of its own."""
    return lambda handler: handler.json({}, 500)


def queue(*, pings: int, event: str) -> Answer:
    """A wait of a tenth of a second a ping, and then "succeeded" or "failed"."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("X-Queuing-Reason", "node")
        handler.end_headers()
        told = ["event: ping\n\n"] * pings + [f"event: {event}\n"]
        if event == "succeeded":
            told[-1] += f"data: {json.dumps(handler.loan(idle=False))}\n"
        for text in told:
            handler.wfile.write(text.encode())
            handler.wfile.flush()
            time.sleep(0.1)

    return answer
