"""One live server and one Chromium for all tests of the page."""

import os
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from hpinet.settings import settings
from hpinet.ui import create_demo, launch_options

if TYPE_CHECKING:
    from gradio_client import Client
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request
    from playwright.sync_api import Error as PlaywrightError

CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
JS = Path(__file__).parent / "js"
EXAMPLES = Path(__file__).parents[2] / "examples"
NOBODY = "http://127.0.0.1:9"  # an address where nothing listens: fetching fails as it does offline


def missing(what: str) -> None:
    """Skips the test, except where everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of their own for all tests of the page, no way to the authors' weights, and one engine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPINET_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HPINET_AUTHORS_URL", NOBODY)
        patch.setenv("HPINET_ENGINE", "torch")  # ready at once; the page does not care which engine it is
        settings.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def server(surroundings: None) -> Iterator[str]:
    """Address of the page."""
    demo = create_demo()
    _, address, _ = demo.launch(**launch_options(), server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield address.rstrip("/")
    demo.close(verbose=False)


@pytest.fixture(scope="session")
def client(server: str) -> "Client":
    """A program that calls the endpoints."""
    from gradio_client import Client

    return Client(server, verbose=False)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A small photograph: 28 x 20 pixels, quick to enlarge."""
    path = tmp_path / "my cat.png"
    with Image.open(EXAMPLES / "cat.png") as image:
        image.crop((60, 40, 116, 80)).resize((28, 20)).save(path)
    return path


@pytest.fixture
def deep_picture(tmp_path: Path) -> Path:
    """16-bit grey, as a TIFF file, which browsers cannot show."""
    path = tmp_path / "deep.tif"
    Image.fromarray((np.mgrid[:20, :26].sum(axis=0) * 1400).astype(np.uint16)).save(path)
    return path


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Installed packages of `js/package.json`."""
    npm = shutil.which("npm")
    folder = JS / "node_modules"
    if not (folder / "axe-core" / "axe.min.js").is_file() or not (folder / "@gradio" / "client").is_dir():
        if npm is None:
            missing("npm")
        command = [str(npm), "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=JS, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            missing(f"the packages of {JS}/package.json ({done.stderr.strip()[-200:]})")
    return folder


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Debian's Chromium."""
    if not CHROMIUM.is_file():
        missing(str(CHROMIUM))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


OpenPage = Callable[..., "Page"]

_under_way: "set[Request]" = set()
"""What the pages of this test have asked for and not got, but for the heartbeat, which never ends."""


def settle(page: "Page") -> None:
    """Waits until the page has done what it does by itself: nothing is asked of the server, nothing is left to draw.

    What is under way when a page goes away fails aloud; what is restored late may undo a choice.
    """
    quiet = 0
    for count in range(600):
        page.evaluate("new Promise((idle) => requestIdleCallback(() => setTimeout(idle, 100)))")
        # Gradio may keep its stream of answers open though none is due, as after a stop.
        waits = [request for request in _under_way if count < 100 or "/queue/data" not in request.url]
        quiet = 0 if waits else quiet + 1
        if quiet == 5:
            return
    pytest.fail("the page does not come to rest")


def _begin(request: "Request") -> None:
    if "/heartbeat/" not in request.url:
        _under_way.add(request)


def _end(request: "Request") -> None:
    _under_way.discard(request)


# What a failed test's page says and where it stands: without it, a timeout on another machine tells little.
_AS_IT_STANDS = """() => [
  `${location.pathname}${location.search} scrolled to ${scrollY} of ${document.documentElement.scrollHeight}`,
  `focus on ${document.activeElement?.id || document.activeElement?.tagName}`,
  ...[...document.querySelectorAll(
    ".block.status, .told, #forecast, #refusal, #voice, .toast-body, .error, button[id$=run], #stop")]
    .filter((element) => element.offsetParent && element.innerText.trim())
    .map((element) => `${element.id || element.className}${element.disabled ? " (disabled)" : ""}: `
      + element.innerText.trim().replace(/\\s+/g, " ").slice(0, 300)),
].join("\\n")"""
_opened: "pytest.StashKey[list[Page]]" = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds to the report of a failed test what its pages showed."""
    report = yield
    if report.when == "call" and report.failed:
        for page in item.stash.get(_opened, []):
            report.sections.append(("page as the test left it", _as_it_stands(page)))
    return report


def _as_it_stands(page: "Page") -> str:
    waiting = [f"waits for {request.method} {urlsplit(request.url).path}" for request in _under_way]
    try:
        return "\n".join([str(page.evaluate(_AS_IT_STANDS)), *waiting])
    except Exception as error:  # whatever keeps a page from being read must not hide the failure
        return f"cannot be read: {error}"


@pytest.fixture
def open_page(request: pytest.FixtureRequest, browser: "Browser", server: str) -> "Iterator[OpenPage]":
    """Opens the page as a new visitor: ``open_page(query, width=…, height=…, dark=…, phone=…)``.

    Fails at the end if the console has shown an error or a request has failed, but for what broke off because a page
    began anew.
    """
    contexts: list[BrowserContext] = []
    errors: list[str] = []
    _under_way.clear()
    broken_off: list[str] = []  # by a server that is gone, or by the page that goes
    opened = request.node.stash.setdefault(_opened, [])

    def open_page(
        query: str = "", *, width: int = 1280, height: int = 900, dark: bool = False, phone: bool = False
    ) -> "Page":
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            has_touch=phone,
            is_mobile=phone,
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        context.on("request", _begin)
        context.on("requestfinished", _end)
        context.on("requestfailed", _end)
        page = context.new_page()
        opened.append(page)

        def heed(message: "ConsoleMessage") -> None:
            if message.type == "error" and not message.text.startswith("AbortError"):  # as below
                (broken_off if "Connection errored out" in message.text else errors).append(message.text)

        page.on("console", heed)
        page.on("domcontentloaded", lambda _: broken_off.clear())

        def heed_exception(error: "PlaywrightError") -> None:
            # Gradio aborts its own stream when a page goes away, and at times nobody is left to catch that.
            if error.name != "AbortError" and not str(error).startswith("AbortError"):
                errors.append(f"{error}\n{error.stack}")

        page.on("pageerror", heed_exception)
        page.goto(f"{server}/{query}")
        page.wait_for_selector("#run")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors + broken_off == []
