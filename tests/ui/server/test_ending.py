"""A server that is told to end: its callers are told, it goes in time, and nothing of visitors stays."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from ports import free_port

from hpinet.errors import Cancelled
from hpinet.ui.jobs import running
from hpinet.ui.jobs.batch import Item, run_batch
from hpinet.ui.jobs.enlarge import Wanted
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.server import ending
from hpinet.ui.server.ending import Crew, Ending

from ..conftest import NOBODY

ROOT = Path(__file__).parents[3]


def test_work_that_ends_with_the_server_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    crew, stop = Crew(), StopFlag.of(None, "upscale")
    monkeypatch.setattr(running, "CREW", crew)
    assert type(stop.reason()) is Cancelled
    crew.close()
    assert stop.ends()
    assert "being restarted" in str(stop.reason())


def test_nobody_waits_twice_for_work_that_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "CLOSING_SECONDS", 0.2)
    crew = Crew()
    with crew:
        began = time.monotonic()
        crew.close()
        assert time.monotonic() - began >= 0.2
        monkeypatch.setattr(ending, "CLOSING_SECONDS", 60)
        crew.close()  # as at the exit of Python, after SIGTERM
    assert time.monotonic() - began < 30


def test_a_batch_is_not_handed_over_by_a_server_that_ends(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: Any, **__: Any) -> None:
        raise Ending

    monkeypatch.setattr("hpinet.ui.jobs.batch.enlarge", end)
    wanted = Wanted("T", size=SimpleNamespace())  # pyright: ignore[reportArgumentType]
    batch = run_batch([Item("cat.png", picture)], wanted, StopFlag.of(None, "batch"))
    with pytest.raises(Ending):
        list(batch)


def test_calls_that_wait_or_hang_are_told_before_the_end() -> None:
    told: list[tuple[str, Any]] = []
    events = {name: SimpleNamespace(session_hash=name) for name in ("active", "waiting", "unheard")}
    queue = SimpleNamespace(
        active_jobs=[None, [events["active"], events["unheard"]]],
        event_queue_per_concurrency_id={"light": SimpleNamespace(queue=[events["waiting"]])},
        pending_messages_per_session={"active": None, "waiting": None},
        send_message=lambda event, message: told.append((event.session_hash, message)),
    )
    app = SimpleNamespace(get_blocks=lambda: SimpleNamespace(_queue=queue))

    async def serve() -> None:
        async with ending.heard(app):
            [server] = [each for each in ending._SERVERS if each._queue is queue]
            server.tell()
            await asyncio.sleep(0.05)

    with ThreadPoolExecutor(1) as thread:  # the one here may have a loop already, of the browser tests
        thread.submit(asyncio.run, serve()).result()
    assert [name for name, _ in told] == ["active", "waiting"]
    assert all("being restarted" in message.output["error"] and not message.success for _, message in told)


@pytest.mark.slow
def test_sigterm_ends_a_server_and_leaves_no_files_of_visitors(tmp_path: Path) -> None:
    port = free_port()
    told = {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "TMPDIR": str(tmp_path),
        "HPINET_CACHE": str(tmp_path / "cache"),
        "HPINET_ENGINE": "torch",
        "HPINET_AUTHORS_URL": NOBODY,
    }
    kept = {name: value for name, value in os.environ.items() if name != "GRADIO_TEMP_DIR"}
    with subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=kept | told) as process:
        try:
            deadline = time.monotonic() + 180
            while not _answers(port) and time.monotonic() < deadline:
                time.sleep(0.2)
            assert list(tmp_path.glob("hpinet-*"))
            sent = httpx.post(f"http://127.0.0.1:{port}/gradio_api/upload", files={"files": b"x"})
            assert sent.is_success
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert not list(tmp_path.glob("hpinet-*"))
        finally:
            process.kill()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).is_success
    except httpx.TransportError:
        return False
