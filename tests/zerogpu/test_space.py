"""The page as a ZeroGPU Space: what each endpoint and the page answer when GPUs are lent, refused, or taken away."""

import base64
import json
import os
import re
import signal
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from hpinet.comparison import compare
from hpinet.images import open_picture
from hpinet.upscaler import Upscaler

from .conftest import ROOT
from .scheduler import Answer, Scheduler, broken, exceeded, lend, no_gpu, queue

pytestmark = pytest.mark.zerogpu


CPU = "or enlarge with model T-cpu, which needs none"
TOKEN = ".".join(base64.urlsafe_b64encode(json.dumps({"user": "someone"}).encode()).decode().rstrip("=") for _ in "abc")


@pytest.fixture(scope="module")
def signed_in(space: str) -> Client:
    """A visitor whom the scheduler knows."""
    return Client(space, verbose=False, headers={"X-IP-Token": TOKEN, "x-gradio-user": "app"})


def by_the_library(picture: Path, scale: int) -> np.ndarray:
    return Upscaler.load("T", scale=scale, engine="torch")(open_picture(picture)).colour.astype(int)


def call(client: Client, picture: Path, *, scale: int = 2) -> Path:
    return Path(client.predict(handle_file(str(picture)), scale=scale, api_name="/upscale"))


def works(client: Client, picture: Path, scheduler: Scheduler) -> None:
    """The next visitor gets a GPU and the library's pixels, and every GPU that was lent has been given back."""
    scheduler.answers[:] = [lend()]
    made = open_picture(call(client, picture)).colour
    assert abs(made - by_the_library(picture, 2)).max() <= 1
    assert len(scheduler.released) == len(scheduler.lent)


def waited_for(condition: Callable[[], Any], *, seconds: float = 30) -> Any:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it has not happened"
        time.sleep(0.02)
    return found


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A picture that takes seconds."""
    with Image.open(ROOT / "examples" / "cat.png") as image:
        image.resize((600, 400)).save(tmp_path / "large.png")
    return tmp_path / "large.png"


# ------------------------------------------------------------------------------------------------------ a GPU is lent


@pytest.mark.parametrize("scale", [4, 3, 2, 8])
def test_upscale(client: Client, picture: Path, scheduler: Scheduler, scale: int) -> None:
    made = open_picture(call(client, picture, scale=scale)).colour
    if scale <= 4:
        assert abs(made - by_the_library(picture, scale)).max() <= 1
    assert made.shape == (20 * scale, 28 * scale, 3)
    assert len(scheduler.asked) == len(scheduler.released) == 1
    assert int(scheduler.asked[0]["durationSeconds"]) == 3


def test_the_other_endpoints(client: Client, picture: Path, scheduler: Scheduler) -> None:
    file = handle_file(str(picture))
    archive, report = client.predict([file, file], scale=2, api_name="/upscale_batch")
    assert [row["status"] for row in report] == ["done", "done"]
    assert len(zipfile.ZipFile(archive).namelist()) == 2

    [_, score] = client.predict(file, scale=2, api_name="/measure")["results"]
    expected = compare(open_picture(picture), 2, {"T": Upscaler.load("T", scale=2, engine="torch")}).restored[1]
    assert score["psnr_y"] == pytest.approx(expected.psnr_y, abs=0.05)

    figure, findings = client.predict(file, x=14, y=10, api_name="/explain")
    assert Image.open(figure).width > 100
    assert findings["completeness_error"] < 0.2
    assert len(scheduler.asked) == len(scheduler.released) == 4
    assert not any(failed for _, failed in scheduler.released)


def test_the_visitors_token_reaches_the_scheduler(signed_in: Client, picture: Path, scheduler: Scheduler) -> None:
    """Which is what their quota hangs on."""
    file = handle_file(str(picture))
    signed_in.predict(file, api_name="/upscale")
    signed_in.predict([file], api_name="/upscale_batch")
    signed_in.predict(file, scale=2, api_name="/measure")
    signed_in.predict(file, x=14, y=10, api_name="/explain")
    assert [asked.get("token") for asked in scheduler.asked] == [TOKEN] * 4


def test_a_worker_is_used_again_or_not(client: Client, picture: Path, scheduler: Scheduler) -> None:
    scheduler.answers[:] = [lend(idle=False), lend(idle=True), lend(idle=False)]
    for _ in range(3):
        assert abs(open_picture(call(client, picture)).colour - by_the_library(picture, 2)).max() <= 1
    first, second = scheduler.allowed  # who began: the second call went to the worker of the first
    assert first != second


def test_openvino_is_not_there(client: Client, picture: Path, scheduler: Scheduler, server_pid: int) -> None:
    """It would hang after a fork: neither the server nor its workers load it."""
    scheduler.answers[:] = [lend(idle=False)]
    call(client, picture)
    for process in (server_pid, scheduler.allowed[-1]):
        maps = Path(f"/proc/{process}/maps").read_text()
        assert "torch" in maps
        assert "openvino" not in maps


# --------------------------------------------------------------------------------------------------------- it is not


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (no_gpu(), f"All GPUs are in use: try again in a minute, {CPU}."),
        (queue(pings=2, event="failed"), f"All GPUs are in use: try again in a minute, {CPU}."),
        (exceeded(), f"Without signing in there is no GPU time left: sign in to Hugging Face, {CPU}."),
        (broken(), f"The GPUs do not answer: try again in a minute, {CPU}."),
    ],
    ids=["no-gpu", "queue-timeout", "quota-of-nobody", "broken"],
)
def test_refused(client: Client, picture: Path, scheduler: Scheduler, answer: Answer, words: str) -> None:
    scheduler.answers[:] = [answer]
    with pytest.raises(Exception, match=f"^{re.escape(words)}$"):
        call(client, picture)
    works(client, picture, scheduler)


def test_too_little_quota(signed_in: Client, picture: Path, scheduler: Scheduler) -> None:
    scheduler.answers[:] = [exceeded(left=2, wait=1200)]
    words = (
        "This takes 3 s of GPU time and you have 2 s left today: "
        f"sign in to Hugging Face for more, or again in 0:20:00, {CPU}"
    )
    with pytest.raises(Exception, match=words):
        call(signed_in, picture)
    works(signed_in, picture, scheduler)


def test_a_wait_and_then_a_gpu(client: Client, picture: Path, scheduler: Scheduler) -> None:
    scheduler.answers[:] = [queue(pings=3, event="succeeded"), lend()]
    works(client, picture, scheduler)


def test_quota_ends_within_a_batch(client: Client, picture: Path, scheduler: Scheduler) -> None:
    scheduler.answers[:] = [lend(), lend(), exceeded()]
    archive, report = client.predict([handle_file(str(picture))] * 4, scale=2, api_name="/upscale_batch")
    assert [row["status"] for row in report] == ["done", "done", "failed", "stopped"]
    assert "no GPU time left" in report[2]["detail"]
    assert len(zipfile.ZipFile(archive).namelist()) == 2
    assert len(scheduler.asked) == 3  # nobody asks in vain for the fourth
    works(client, picture, scheduler)


def test_a_killed_worker(client: Client, picture: Path, large: Path, scheduler: Scheduler) -> None:
    scheduler.answers[:] = [lend(idle=False)]
    job = client.submit(handle_file(str(large)), scale=4, api_name="/upscale")
    worker = waited_for(lambda: scheduler.allowed)[0]
    time.sleep(0.5)
    began = time.monotonic()
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(Exception, match="The GPU was taken away before this was done: try model T, or a smaller"):
        job.result(timeout=30)
    assert scheduler.released[-1][1]
    assert scheduler.released[-1][0] - began < 2
    works(client, picture, scheduler)


def test_the_cpu_for_whoever_has_no_gpu(client: Client, picture: Path, scheduler: Scheduler, server_pid: int) -> None:
    """In a process apart, by OpenVINO; the scheduler is not asked, and other tabs say that this is not for them."""
    file = handle_file(str(picture))
    for scale in (2, 4):
        made = Path(client.predict(file, model="T-cpu", scale=scale, api_name="/upscale"))
        assert abs(open_picture(made).colour - by_the_library(picture, scale)).max() <= 1
    assert not scheduler.asked
    assert "openvino" not in Path(f"/proc/{server_pid}/maps").read_text()
    assert "T-cpu" in [each["key"] for each in client.predict(api_name="/models")]
    for name, options in (
        ("/measure", {"scale": 2, "models": ["T-cpu"]}),
        ("/explain", {"x": 9, "y": 9, "model": "T-cpu"}),
    ):
        with pytest.raises(Exception, match="T-cpu enlarges pictures and nothing else: choose T"):
            client.predict(file, **options, api_name=name)
    assert not scheduler.asked
    works(client, picture, scheduler)


# ----------------------------------------------------------------------------------------------------------- the page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--headless", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, space: str) -> Iterator[Page]:
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(space)
    page.wait_for_selector("#run")
    yield page
    context.close()


def test_a_refusal_and_another_try(page: Page, picture: Path, scheduler: Scheduler) -> None:
    scheduler.answers[:] = [exceeded(), lend()]
    page.locator("#picture input[type=file]").set_input_files(picture)
    page.locator("#forecast", has_text="of your daily GPU time").wait_for()
    page.locator("#run").click()
    page.locator("#status", has_text="no GPU time left").wait_for()
    expect(page.locator("#run")).to_be_enabled()
    page.locator("#run").click()
    page.locator("#status", has_text="hpinet-t-x4").wait_for()
    expect(page.locator("#run")).to_be_enabled()
    assert len(scheduler.released) == 1


def test_progress_and_stop(page: Page, picture: Path, large: Path, scheduler: Scheduler) -> None:
    page.locator("#picture input[type=file]").set_input_files(large)
    page.locator("#status", has_text="Ready").wait_for()
    page.locator("#run").click()
    page.locator("#status", has_text=re.compile(r"Enlarging: \d+ s left")).wait_for()  # from the worker
    began = time.monotonic()
    page.locator("#stop").click()
    page.locator("#status", has_text="Stopped.").wait_for()
    released = waited_for(lambda: scheduler.released)
    assert released[0][0] - began < 3
    expect(page.locator("#run")).to_be_enabled()


def test_whoever_leaves_gives_the_gpu_back(page: Page, large: Path, scheduler: Scheduler) -> None:
    page.locator("#picture input[type=file]").set_input_files(large)
    page.locator("#status", has_text="Ready").wait_for()
    page.locator("#run").click()
    page.locator("#status", has_text=re.compile(r"Enlarging: \d+ s left")).wait_for()
    began = time.monotonic()
    page.close()
    released = waited_for(lambda: scheduler.released)
    assert released[0][0] - began < 5


def test_the_lens(page: Page, picture: Path, scheduler: Scheduler) -> None:
    page.locator("#picture input[type=file]").set_input_files(picture)
    page.locator("#status", has_text="Ready").wait_for()
    page.locator("#lens").get_by_role("button", name="Lens").click()
    page.locator("#look").click()
    page.locator("#crops", has_text="hpinet-t-x4").wait_for()
    assert int(scheduler.asked[0]["durationSeconds"]) == 3
