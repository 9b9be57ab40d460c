"""A Space under a scheduler of our own, a program that calls it, and Chromium."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from file_server import serving
from gradio_client import Client
from PIL import Image
from ports import free_port

from .scheduler import Handler, Scheduler

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def all_of_it() -> Iterator[tuple[Scheduler, str]]:
    """The scheduler, and its address."""
    scheduler = Scheduler()
    with serving(type("Own", (Handler,), {"scheduler": scheduler})) as url:
        yield scheduler, url


@pytest.fixture
def scheduler(all_of_it: tuple[Scheduler, str]) -> Scheduler:
    """Which lends at once, and has forgotten what was asked before."""
    scheduler = all_of_it[0]
    new = Scheduler()
    for name in ("answers", "asked", "lent", "allowed", "released"):
        setattr(scheduler, name, getattr(new, name))
    return scheduler


@pytest.fixture(scope="session")
def served(all_of_it: tuple[Scheduler, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The address of the page, and the process that serves it."""
    folder = tmp_path_factory.mktemp("space")
    port = free_port()
    (folder / "cgroup").write_text("0::/space\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HPINET_", "GRADIO_"))}
    environment |= {
        "SPACES_ZERO_GPU": "1",
        "SPACES_ZERO_DEVICE_API_URL": all_of_it[1],
        "ZEROGPU_OFFLOAD_DIR": str(folder / "tensors"),
        "ZEROGPU_PROC_SELF_CGROUP_PATH": str(folder / "cgroup"),
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "HPINET_CACHE": str(folder / "cache"),
        "HPINET_AUTHORS_URL": "http://127.0.0.1:9",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    log = folder / "log"
    with log.open("w") as told:
        command = [sys.executable, str(Path(__file__).parent / "space.py")]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=told, stderr=told, start_new_session=True)
    try:
        address, until = f"http://127.0.0.1:{port}", time.monotonic() + 120
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            try:
                if httpx.get(f"{address}/config", timeout=5).status_code == httpx.codes.OK:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers outlive the server; on a Space its container ends


@pytest.fixture(scope="session")
def space(served: tuple[str, int]) -> str:
    """The address of the page."""
    return served[0]


@pytest.fixture(scope="session")
def server_pid(served: tuple[str, int]) -> int:
    return served[1]


@pytest.fixture(scope="session")
def client(space: str) -> Client:
    return Client(space, verbose=False)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """28 x 20 pixels of a photograph."""
    path = tmp_path / "cat.png"
    with Image.open(ROOT / "examples" / "cat.png") as image:
        image.crop((60, 40, 116, 80)).resize((28, 20)).save(path)
    return path
