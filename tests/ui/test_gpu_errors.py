"""The page when the scheduler of GPUs refuses: one clear sentence in every tab, and buttons that work afterwards."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Page, expect

from hpinet.ui.jobs import enlarge, explain, measure, zerogpu
from hpinet.ui.tabs import lens

from .conftest import EXAMPLES, OpenPage

pytestmark = pytest.mark.browser

REFUSED = gr.Error("No GPU was available", title="ZeroGPU client error", print_exception=False)
WORDS = "All GPUs are in use: try again in a minute, or enlarge with model T-cpu, which needs none."


class Scheduler:
    """Stands in for ZeroGPU's before one function; refuses while ``error`` is set."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.error: Exception | None = REFUSED
        self.after = 0  # that many calls pass first
        self._work = work

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.after -= 1
        if self.error is not None and self.after < 0:
            raise self.error
        return self._work(*args, **kwargs)


Lend = Callable[[Any, str], Scheduler]


@pytest.fixture
def lend(monkeypatch: pytest.MonkeyPatch) -> Lend:
    """Puts a scheduler before what a module calls by a name."""

    def lend(module: Any, name: str) -> Scheduler:
        work = getattr(module, name)
        scheduler = Scheduler(work)

        def gpu(duration: int) -> Callable[[Any], Scheduler]:
            return lambda _work: scheduler

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(zerogpu.spaces, "GPU", gpu)
            monkeypatch.setattr(module, name, zerogpu.on_gpu(work, duration=3))
        return scheduler

    return lend


def ready(page: Page, prefix: str) -> None:
    """The tab can be used again."""
    expect(page.locator(f"#{prefix}run")).to_be_enabled()
    expect(page.locator(f"#{prefix}stop")).to_be_disabled()


@pytest.mark.slow
def test_upscale(open_page: OpenPage, picture: Path, lend: Lend) -> None:
    scheduler = lend(enlarge, "_run")
    page = open_page()
    page.locator("#picture input[type=file]").set_input_files(picture)
    page.locator("#status", has_text="Ready").wait_for()
    page.locator("#run").click()
    page.locator("#status", has_text=WORDS).wait_for()
    ready(page, "")
    scheduler.error = None
    page.locator("#run").click()
    page.locator("#status", has_text="hpinet-t-x4").wait_for()
    ready(page, "")


@pytest.mark.slow
def test_batch(open_page: OpenPage, picture: Path, lend: Lend, tmp_path: Path) -> None:
    lend(enlarge, "_run").after = 1
    page = open_page()
    page.get_by_role("tab", name="Batch").click()
    page.locator("#batch-files input[type=file]").set_input_files(
        [picture, EXAMPLES / "cat.png", EXAMPLES / "text.png"]
    )
    page.locator("#batch-status", has_text="3 files to upscale").wait_for()
    page.locator("#batch-run").click()
    with page.expect_download() as download:
        page.locator("#batch-download").click()
    rows = page.locator("#batch-table tbody tr").all_inner_texts()
    assert [status in row for row, status in zip(rows, ("done", WORDS, "stopped"), strict=True)] == [True] * 3
    download.value.save_as(tmp_path / "done.zip")
    assert zipfile.ZipFile(tmp_path / "done.zip").namelist() == ["my cat.png"]
    ready(page, "batch-")


@pytest.mark.slow
def test_measure(open_page: OpenPage, picture: Path, lend: Lend) -> None:
    scheduler = lend(measure, "_restore")
    page = open_page()
    page.get_by_role("tab", name="Measure").click()
    page.locator("#measure-picture input[type=file]").set_input_files(picture)
    page.locator("#measure-picture img").wait_for()
    page.locator("#measure-run").click()
    page.locator("#measure-status", has_text=WORDS).wait_for()
    ready(page, "measure-")
    scheduler.error = None
    page.locator("#measure-run").click()
    page.locator("#measure-table", has_text="hpinet-t-x4").wait_for()
    ready(page, "measure-")


@pytest.mark.slow
def test_look_inside(open_page: OpenPage, picture: Path, lend: Lend) -> None:
    lend(explain, "_look")
    page = open_page()
    page.get_by_role("tab", name="Look inside").click()
    page.locator("#look-picture input[type=file]").set_input_files(picture)
    page.locator("#look-status", has_text="Now click the spot").wait_for()
    page.locator("#look-run").click()
    page.locator("#look-status", has_text=WORDS).wait_for()
    ready(page, "look-")


@pytest.mark.slow
def test_the_lens(open_page: OpenPage, picture: Path, lend: Lend) -> None:
    scheduler = lend(lens, "_enlarged")
    page = open_page()
    page.locator("#picture input[type=file]").set_input_files(picture)
    page.locator("#status", has_text="Ready").wait_for()
    page.locator("#lens").get_by_role("button", name="Lens").click()
    button = page.locator("#look")
    button.click()
    page.locator("#crops", has_text=WORDS).wait_for()
    scheduler.error = None
    button.click()
    page.locator("#crops", has_text="hpinet-t-x4").wait_for()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name", "tab"),
    [(enlarge, "_run", "Upscale"), (measure, "_restore", "Measure"), (explain, "_look", "Look inside")],
)
def test_what_nobody_has_foreseen(
    open_page: OpenPage, picture: Path, monkeypatch: pytest.MonkeyPatch, *, module: Any, name: str, tab: str
) -> None:
    """Off ZeroGPU too: an exception of Gradio's own or another."""

    def fail(*_: Any, **__: Any) -> None:
        raise gr.Error("Words for somebody else")

    monkeypatch.setattr(module, name, fail)
    prefix = {"Upscale": "", "Measure": "measure-", "Look inside": "look-"}[tab]
    page = open_page()
    page.get_by_role("tab", name=tab).click()
    page.locator(f"#{prefix}picture input[type=file]").set_input_files(picture)
    page.locator(f"#{prefix}picture img").first.wait_for()
    page.locator(f"#{prefix}run").click()
    page.locator(f"#{prefix}status [role=alert]").wait_for()
    ready(page, prefix)


def test_the_endpoints(client: Client, picture: Path, lend: Lend) -> None:
    scheduler = lend(enlarge, "_run")
    file = handle_file(str(picture))
    with pytest.raises(Exception, match=WORDS):
        client.predict(file, scale=2, api_name="/upscale")
    scheduler.after = 1
    archive, report = client.predict([file, file], scale=2, api_name="/upscale_batch")
    assert [row["status"] for row in report] == ["done", "failed"]
    assert report[1]["detail"] == WORDS
    assert len(zipfile.ZipFile(archive).namelist()) == 1
