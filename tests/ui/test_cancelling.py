"""Work that nobody wants any more ends, and no other does: a real server, and programs that call it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from hpinet.ui.jobs.running import turns

from .conftest import EXAMPLES

PATIENCE = 60.0
WITHIN = 5.0
"""Seconds for work to end: one, with a machine to itself. `scripts/prove_trust.py` measures."""


def until(true: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


@pytest.fixture(autouse=True)
def idle(server: str) -> Iterator[None]:
    """Nobody else's work before, none left after."""
    assert until(lambda: turns().counts == (0, 0))
    yield
    assert until(lambda: turns().counts == (0, 0))


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Enough work to be cancelled in the middle of it."""
    path = tmp_path / "large.png"
    with Image.open(EXAMPLES / "cat.png") as image:
        image.convert("RGB").resize((1600, 1200)).save(path, compress_level=1)
    return path


def begun(client: Client, picture: Path, under_way: int) -> Any:
    job = client.submit(image=handle_file(picture), scale=2, api_name="/upscale")
    assert until(lambda: turns().counts[1] == under_way)
    return job


def test_a_cancelled_job_stops(client: Client, large: Path) -> None:
    job = begun(client, large, 1)
    job.cancel()
    assert until(lambda: turns().counts == (0, 0), WITHIN)


def test_cancelling_one_job_leaves_the_others_of_its_client(client: Client, large: Path, picture: Path) -> None:
    staying = begun(client, large, 1)
    going = begun(client, large, 2)
    going.cancel()
    assert until(lambda: turns().counts == (0, 1), WITHIN)
    assert Path(client.predict(image=handle_file(picture), scale=2, api_name="/upscale")).is_file()
    assert not staying.done()
    staying.cancel()


def test_work_stops_when_its_caller_is_gone(server: str, large: Path) -> None:
    with httpx.Client(base_url=server, timeout=30) as caller:
        [path] = caller.post("/gradio_api/upload", files={"files": large.read_bytes()}).json()
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        event = caller.post("/gradio_api/call/v2/upscale", json={"image": file, "scale": 2}).json()["event_id"]
        with caller.stream("GET", f"/gradio_api/call/v2/upscale/{event}"):
            assert until(lambda: turns().counts[1] == 1)
    assert until(lambda: turns().counts == (0, 0), 10 + WITHIN)  # Gradio looks every ten seconds
