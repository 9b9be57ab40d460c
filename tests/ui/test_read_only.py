"""The page for whoever runs it with no rights: a user without a home, and a repository that nobody may write to.

So it is in a Space, in a container, and on a shared machine. Only the folder for temporary files can be written.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from ports import free_port

from hpinet.images import open_picture
from hpinet.upscaler import Upscaler

from .conftest import NOBODY, missing

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NEEDED = ("app.py", "README.md", "hpinet", "checkpoints", "examples")
USER = 1000
# Root becomes that user, who may read everything here: Python itself may be where only root may look.
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
AS_USER += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Repository, home and temporary files; all of it belongs to who runs the tests but the last."""
    folder = tmp_path_factory.mktemp("read-only")
    for name in NEEDED:
        source, target = ROOT / name, folder / "repository" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    (folder / "home").mkdir()
    (folder / "tmp").mkdir()
    if os.geteuid() == 0:
        os.chown(folder / "tmp", USER, USER)
    closed = [path for part in ("repository", "home") for path in (folder / part, *(folder / part).rglob("*"))]
    for path in closed:
        path.chmod(path.stat().st_mode & ~0o222)
    yield folder
    for path in closed:
        path.chmod(path.stat().st_mode | 0o200)


@pytest.fixture(scope="module")
def limited(folder: Path) -> Iterator[str]:
    """The address of the page, which runs there, with the engine that it chooses itself."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        missing("setpriv")
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HPINET_", "XDG_", "MPL"))}
    environment |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "HPINET_AUTHORS_URL": NOBODY}
    environment |= {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1"}
    environment.pop("GRADIO_TEMP_DIR", None)  # of the server of the other tests
    command = [*(AS_USER if os.geteuid() == 0 else []), sys.executable, "app.py"]
    log = folder / "log"
    with log.open("w") as told:
        process = subprocess.Popen(command, cwd=folder / "repository", env=environment, stdout=told, stderr=told)
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
        if os.geteuid() == 0:
            assert Path(f"/proc/{process.pid}").stat().st_uid == USER
        yield address
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        process.terminate()
        process.wait(30)
    assert not list((folder / "home").iterdir())


@pytest.fixture(scope="module")
def program(limited: str, folder: Path) -> Client:
    return Client(limited, verbose=False, download_files=str(folder / "downloads"))


def test_upscale(program: Client, picture: Path) -> None:
    made = Path(program.predict(handle_file(str(picture)), scale=2, api_name="/upscale"))
    assert open_picture(made).colour.shape == (40, 56, 3)
    expected = Upscaler.load("T", scale=2)(open_picture(picture)).colour.astype(int)
    assert abs(open_picture(made).colour - expected).max() <= 1  # perhaps another engine


def test_the_other_endpoints(program: Client, picture: Path) -> None:
    file = handle_file(str(picture))
    assert [row["status"] for row in program.predict([file, file], api_name="/upscale_batch")[1]] == ["done", "done"]
    assert [row["model"] for row in program.predict(file, api_name="/measure")["results"]] == ["bicubic", "hpinet-t-x4"]
    figure, findings = program.predict(file, x=14, y=10, api_name="/explain")
    assert Image.open(figure).width > 100
    assert findings["model"] == "hpinet-t-x4"
    assert json.dumps(program.predict(api_name="/models"))


def test_a_model_that_cannot_be_fetched(program: Client, picture: Path) -> None:
    """For want of a connection or of a place to keep it."""
    with pytest.raises(Exception, match="Model T is here and works without"):
        program.predict(handle_file(str(picture)), model="M", api_name="/upscale")


def test_an_example_twice(limited: str, browser: "Browser") -> None:
    """There is no place to keep its result in; both visitors get it."""
    for _ in range(2):
        page = browser.new_page()
        page.goto(limited)
        page.locator("#examples button").first.click()
        page.locator("#status", has_text="hpinet-t-x4").wait_for(timeout=60_000)
        page.close()
