"""Whatever a browser may send, to every handler and every route of the real server: ``pytest -m boundary -n 0``.

In two processes, each with a server of its own, ``-n 2 --dist loadgroup`` takes two thirds of the time; the counts
are then not printed.
"""

import itertools
import json
import os
import re
import secrets
import stat
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from .watched import OWN

PROJECT = Path(__file__).parents[3]
START_SECONDS = 120
META = {"meta": {"_type": "gradio.FileData"}}
OTHERS = ("trigger_id", "event_id", "batched", "simple_format", "request", "oauth_token")
PROTOCOL = ("prompts/get", "resources/read", "tools/call", "completion/complete", "odd")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
FOREIGN = re.compile(
    r"Traceback|object is|object has|unhashable|NoneType|pydantic|validation error|Input should|Field required"
    r"|list of choices|\w+Error\b|Cannot (move|open|read)|site-packages|\.py\b|<class|<function|must be str|indices"
    r"|out of range|not supported between|Internal Server|Not Found|Method Not|not allowed|argument of type|invalid lit"
    r"|could not convert|cannot convert|Errno|No such file|missing \d|positional|keyword|JSON decode|Expecting"
    r"|No answer|report number|Could not infer|not in the|/site|Process recording"
)
"""Words of Python, Pillow, pydantic, Starlette or Gradio, and of the sentence about what nobody has foreseen."""

pytestmark = pytest.mark.boundary
OTHERS_SHARE = pytest.mark.xdist_group("others")  # of the work: handlers take about as long as all that has this mark


@dataclass
class Server:
    """A running server and what it has done."""

    address: str
    routes: list[str]
    works: dict[str, str]  # what the handlers do, by number
    folder: Path
    bait: Path  # a picture of the server's own, outside
    secret: Path  # one that another visitor has uploaded, called by the bait's name
    counts: Counter[str] = field(default_factory=Counter)
    foreign: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def violations(self) -> list[str]:
        return (self.folder / "violations").read_text(errors="replace").splitlines()

    def judge(self, what: str, answer: str) -> None:
        """Counts an answer, and keeps it if it speaks in foreign words or of the bait."""
        self.counts["answers"] += 1
        if FOREIGN.search(answer) or "bait" in answer:
            self.foreign.append(f"{what}: {answer[:300]}")


def in_process(folder: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """The server, not yet ready."""
    command = [sys.executable, str(Path(__file__).with_name("watched.py")), str(folder), str(PROJECT)]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, bait = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("outside") / "bait.png"
    Image.new("RGB", (33, 21), "red").save(bait)
    for name in OWN:
        (folder / name).mkdir()
    environment = {
        **os.environ,
        "TMPDIR": str(folder / "tmp"),
        "HOME": str(folder / "home"),
        "HPINET_CACHE": str(folder / "cache"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "HPINET_AUTHORS_URL": "http://127.0.0.1:9",
        "HPINET_ENGINE": "torch",
    }
    environment.pop("GRADIO_TEMP_DIR", None)
    process = in_process(folder, environment)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (folder / "address").exists():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.1)
        told = json.loads((folder / "address").read_text())
        yield Server(**told, folder=folder, bait=bait, secret=Path(uploaded(told["address"], bait)))
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def uploaded(address: str, path: Path) -> str:
    """Where a file lies that a visitor has sent."""
    files = {"files": (path.name, path.read_bytes())}
    return httpx.post(f"{address}/gradio_api/upload", files=files, timeout=30).json()[0]


@pytest.fixture(scope="module")
def picture(served: Server) -> str:
    path = served.folder / "small.png"
    Image.new("RGB", (9, 8), "blue").save(path)
    return uploaded(served.address, path)


def like(name: str) -> str:
    """Another name, all but the last sign of it the same."""
    return f"{name[:-1]}{'1' if name.endswith('0') else '0'}"


@pytest.fixture(scope="module")
def odd(served: Server, picture: str) -> list[Any]:
    """Values that no field of the page sends, or not this one."""
    uploads = Path(picture).parents[1]
    link = uploads / "link" / "bait.png"
    link.parent.mkdir()
    link.symlink_to(served.bait)
    files = [{"path": path, **more} for path in (str(served.bait), str(link)) for more in ({}, META)]
    paths = [
        str(served.bait.with_name("nothing.png")),
        f"{uploads}/../../../{served.bait}",  # more of it is cut off by the file system's root
        f"{served.secret}/../../{like(served.secret.parent.name)}/bait.png",  # somebody else's, by a name like it
        f"{uploads}/{sha256(served.bait.read_bytes()).hexdigest()}/bait.png",  # and by what it may be made of
        str(served.secret.parent),
        str(PROJECT / "docs" / "page-upscale.png"),
        "/proc/self/environ",
        "file:///etc/passwd",
        "x\0y",
        uploaded(served.address, text_file(served)),
        uploaded(served.address, evil_archive(served)),
    ]
    addresses = ["http://192.0.2.1/x.png", "data:image/png;base64,AAAA", f"{served.address}/file={served.bait}"]
    return [
        *files,  # first, to be compared with the next one
        *({"path": path, **META} for path in paths),
        *({"path": path, "url": path, **META} for path in addresses),
        {"path": 3},
        files[:1],
        None,
        True,
        -1,
        2.5,
        10**30,
        float("nan"),
        float("inf"),
        "",
        "4",
        "é" * 5000,
        "../../etc/passwd",
        str(served.bait),
        [None],
        [{}],
        {},
        {"index": [1]},
        {"__type__": "update", "value": 3},
    ]


def text_file(server: Server) -> Path:
    path = server.folder / "text.png"
    path.write_text("no picture")
    return path


def evil_archive(server: Server) -> Path:
    """Names that lead outside, and a link to the bait."""
    path = server.folder / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../../../../../../../tmp/outside.png", server.bait.read_bytes())
        archive.writestr(str(server.bait), server.bait.read_bytes())
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(server.bait))
    return path


def ended(http: httpx.Client, session: str) -> str:
    """All that the page's script would hear about an event, except for times and counts."""
    heard = []
    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if message.get("msg") in {"process_completed", "process_generating", "log", "unexpected_error"}:
                heard.append({key: message.get(key) for key in ("msg", "output", "message", "log", "title", "success")})
            if message.get("msg") in {"process_completed", "unexpected_error"}:
                break
    return json.dumps(heard)


def send(http: httpx.Client, body: dict[str, Any], session: str) -> str:
    """What comes of a call of a handler by its number."""
    content = json.dumps({**body, "session_hash": session})  # with NaN, which httpx would not send
    headers = {"content-type": "application/json"}
    try:
        while (joined := http.post("/gradio_api/queue/join", content=content, headers=headers)).status_code == 503:
            time.sleep(0.1)  # the queue is full
        return ended(http, session) if joined.status_code == 200 else joined.text
    except httpx.TransportError as error:
        return f"No answer: {error!r}"


def inputs(
    config: dict[str, Any], works: dict[str, str], picture: str, odd: list[Any]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every input of every handler, and the bodies of its calls: odd values there, the others as on the page.

    Of handlers that do the same, for several events, one gets all of them, and the others are called.
    """
    known: set[str] = set()
    fields = {component["id"]: component for component in config["components"]}
    file = {"path": picture, "orig_name": "small.png", **META}
    for handler in config["dependencies"]:
        number, kinds = handler["id"], [fields[one]["type"] for one in handler["inputs"]]
        usual = [
            file
            if kind == "image" or (kind == "api" and not place)
            else [file]
            if kind == "file"
            else fields[one]["props"].get("value")
            for place, (one, kind) in enumerate(zip(handler["inputs"], kinds, strict=True))
        ]
        is_known = works[str(number)] in known
        known.add(works[str(number)])
        for place, kind in enumerate([] if is_known else kinds):
            values = odd[:1] if kind == "state" else odd  # Gradio takes states from its session, whatever is sent
            yield (
                f"{number} {handler['api_name']}[{place}]",
                [{"fn_index": number, "data": [*usual[:place], value, *usual[place + 1 :]]} for value in values],
            )
        # Data of events matter to handlers of selections alone, and what else a call may hold is read by Gradio.
        is_of_selection = any(event == "select" for _, event in handler["targets"])
        values = odd if is_of_selection and not is_known else odd[:1]
        calls = [{"event_data": value} for value in values] + [{"event_data": {"index": value}} for value in values]
        if handler is config["dependencies"][0]:
            calls += [{key: value} for key in OTHERS for value in odd]
        yield f"{number} event", [{"fn_index": number, "data": usual, **more} for more in calls]


@pytest.mark.xdist_group("handlers")
def test_every_handler_with_odd_values(served: Server, picture: str, odd: list[Any]) -> None:
    assert len(odd) >= 30
    config = httpx.get(f"{served.address}/config").json()
    calls = list(inputs(config, served.works, picture, odd))

    def call(one: tuple[str, list[dict[str, Any]]]) -> None:
        what, bodies = one
        session = secrets.token_hex(8)
        with httpx.Client(base_url=served.address, timeout=120) as http:
            answers = [send(http, body, session) for body in bodies]
        for body, answer in zip(bodies, answers, strict=True):
            served.judge(f"{what} {str(body)[-120:]}", answer)
        if len(answers) == len(odd) and answers[1] != answers[4]:  # what is there, and what is not
            served.foreign.append(f"{what} tells what there is: {answers[1][:200]} | {answers[4][:200]}")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(call, calls))
    served.counts["calls of handlers"] = sum(len(bodies) for _, bodies in calls)
    served.counts["handlers"] = len(config["dependencies"])
    judge(served)


@OTHERS_SHARE
def test_every_endpoint_by_name(served: Server, picture: str, odd: list[Any]) -> None:
    names = httpx.get(f"{served.address}/gradio_api/info").json()["named_endpoints"]
    file = {"path": picture, **META}
    calls: list[tuple[str, Any]] = []
    for name, endpoint in names.items():
        takes = [parameter["parameter_name"] for parameter in endpoint["parameters"]]
        for value in odd:
            calls += [(f"/v2{name}", {takes[0]: file, taken: value}) for taken in [*takes, "other"] if takes]
            calls += [(name, {"data": value}), (name, {"data": [value]}), (f"/v2{name}", value)]
    with httpx.Client(base_url=f"{served.address}/gradio_api/call", timeout=120) as http, ThreadPoolExecutor(6) as pool:

        def call(one: tuple[str, Any]) -> None:
            path, body = one
            begun = http.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
            answer = http.get(f"{path}/{begun.json()['event_id']}") if begun.status_code == 200 else begun
            served.judge(f"{path} {str(body)[:120]}", answer.text)

        list(pool.map(call, calls))
    served.counts["calls by name"] = len(calls)
    judge(served)


@OTHERS_SHARE
def test_every_tool_with_odd_values(served: Server, picture: str, odd: list[Any]) -> None:
    link = f"{served.address}/gradio_api/file={picture}"
    headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    with httpx.Client(base_url=served.address, timeout=120, headers=headers) as http, ThreadPoolExecutor(6) as pool:

        def ask(method: str, **parameters: Any) -> str:
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
            return http.post("/gradio_api/mcp/", content=json.dumps(request)).text

        tools = json.loads(ask("tools/list").partition("data: ")[2])["result"]["tools"]
        calls: list[tuple[str, dict[str, Any]]] = []
        for tool in tools:
            takes = tool["inputSchema"]["properties"]
            first = {name: value for name, value in {"image": link, "files": [link]}.items() if name in takes}
            for value in odd:
                calls += [("tools/call", {"name": tool["name"], "arguments": first | {name: value}}) for name in takes]
                calls += [("tools/call", {"name": tool["name"], "arguments": value})]
        for value in odd:
            calls += [(method, {"name": value, "uri": value, "arguments": value}) for method in PROTOCOL]

        def call(one: tuple[str, dict[str, Any]]) -> None:
            method, parameters = one
            text = ask(method, **parameters)
            answer = json.loads(text.partition("data: ")[2] or text)  # the protocol allows streams and plain JSON
            told = " ".join(part.get("text", "") for part in answer.get("result", {}).get("content", []))
            told += answer.get("error", {}).get("message", "")
            if not told.startswith("Input validation error: "):  # the protocol's own words, about what was sent
                served.judge(f"{method} {str(parameters)[:160]}", told)

        list(pool.map(call, calls))
    served.counts["calls of tools"] = len(calls)
    judge(served)


@OTHERS_SHARE
def test_every_route_with_every_method(served: Server, picture: str) -> None:
    parts = [str(served.bait), "https://192.0.2.1/x.png", "..%2f..%2f..%2fetc%2fpasswd", "0", picture]
    addresses = {re.sub(r"\{[^}]*\}", part, route) for route in served.routes for part in parts}
    requests = sorted(itertools.product(METHODS, addresses))
    with (
        httpx.Client(base_url=served.address, timeout=httpx.Timeout(30, read=2)) as http,
        ThreadPoolExecutor(6) as pool,
    ):

        def ask(request: tuple[str, str]) -> None:
            method, path = request
            try:
                with http.stream(method, path, json={} if method in {"POST", "PUT", "PATCH"} else None) as answer:
                    text = "".join(itertools.islice(answer.iter_text(), 3)) if answer.status_code >= 400 else ""
            except httpx.TimeoutException:
                text = ""  # a stream with nothing to say
            if "/mcp" not in path:  # speaks its protocol's words
                served.judge(f"{method} {path}", text)

        list(pool.map(ask, requests))
    served.counts["requests of routes"] = len(requests)
    served.counts["routes"] = len(served.routes)
    judge(served)


@OTHERS_SHARE
def test_what_is_told_of_files(served: Server) -> None:
    """Nothing is served of what was not sent or made here, and nobody lists what was."""
    uploads = served.secret.parents[1]
    closed = [
        served.bait,
        uploads,
        served.secret.parent,
        uploads / "results",
        uploads / "link" / "bait.png",
        PROJECT / "app.py",
    ]
    for path in [*closed, served.secret.with_name("other.png"), "/proc/self/environ"]:
        answer = httpx.get(f"{served.address}/gradio_api/file={path}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "There is nothing here."})
    assert httpx.get(f"{served.address}/gradio_api/file={served.secret}").status_code == 200  # for who knows the name


@OTHERS_SHARE
def test_the_counts(served: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """After all the others: tells what was tried."""
    with capsys.disabled():
        told = ", ".join(f"{count} {what}" for what, count in served.counts.items())
        places = Counter(line.split(maxsplit=1)[0].startswith("socket") for line in served.violations)
        found = len(served.foreign), served.log.count("Traceback"), places[False], places[True]
        words = ("answers in foreign words", "tracebacks", "files opened outside", "connections")
        print(f"\nboundary: {told}: {', '.join(f'{n} {what}' for n, what in zip(found, words, strict=True))}")
    assert found == (0, 0, 0, 0)


def judge(server: Server) -> None:
    assert not server.foreign, "\n".join(server.foreign[:40])
    assert "Traceback" not in server.log, server.log[-4000:]
    assert not server.violations, "\n".join(dict.fromkeys(server.violations))
