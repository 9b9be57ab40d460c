"""Makes the README's pictures of the page: `python scripts/screenshots.py [folder]`. Needs Playwright and Chromium."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the project as it stands here, installed or not

from hpinet.ui import create_demo, launch_options  # noqa: E402

CHROMIUM = "/usr/bin/chromium"
PATIENCE = 180_000  # milliseconds, for slow machines
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Shot:
    """One picture: how the browser looks, and what is done before it is taken."""

    name: str
    prepare: Callable[[Page], None]
    width: int = 1280
    height: int = 900
    dark: bool = False


def chosen(page: Page) -> None:
    page.locator("#picture input[type=file]").set_input_files(EXAMPLES / "facade.png")
    page.locator("#forecast", has_text="192×160").wait_for()


def upscaled(page: Page) -> None:
    chosen(page)
    page.locator("#run").click()
    page.locator("#status", has_text="megapixels").wait_for()
    page.locator("#run:not([disabled])").wait_for()
    page.mouse.move(5, 5)
    page.evaluate("window.scrollTo(0, 0)")


def upscaled_on_a_phone(page: Page) -> None:
    upscaled(page)
    page.locator("#status").evaluate("e => e.scrollIntoView({ block: 'start' })")


def batch(page: Page) -> None:
    page.get_by_role("tab", name="Batch").click()
    files = [EXAMPLES / f"{name}.png" for name in ("cat", "text", "badge")]
    page.locator("#batch-files input[type=file]").set_input_files(files)
    page.locator("#batch-files", has_text="badge").wait_for()
    page.locator("#batch-run").click()
    page.locator("#batch-download").wait_for()


def measured(page: Page) -> None:
    page.get_by_role("tab", name="Measure").click()
    page.locator("#measure-picture input[type=file]").set_input_files(EXAMPLES / "cat.png")
    page.locator("#measure-picture img").wait_for()
    page.locator("#measure-run").click()
    page.locator("#measure-table tbody tr").nth(1).wait_for()


SHOTS = (
    Shot("page-upscale", upscaled),
    Shot("page-measure", measured),
    Shot("page-batch", batch, dark=True),
    Shot("page-phone", upscaled_on_a_phone, width=390, height=844, dark=True),
)


@contextmanager
def served() -> Iterator[tuple[Browser, str]]:
    """A browser, and the address of the page as it stands here."""
    demo = create_demo()
    _, address, _ = demo.launch(**launch_options(), prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--headless", "--disable-gpu", "--no-first-run"]
        )
        yield browser, address
        browser.close()
    demo.close(verbose=False)


@contextmanager
def visit(browser: Browser, address: str, *, width: int, height: int, dark: bool) -> Iterator[Page]:
    """The page as a new visitor sees it, on a phone if the window is narrow."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        is_mobile=width < 640,
        has_touch=width < 640,
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#run")
    yield page
    context.close()


def take(browser: Browser, address: str, shot: Shot) -> Image.Image:
    with visit(browser, address, width=shot.width, height=shot.height, dark=shot.dark) as page:
        shot.prepare(page)
        page.wait_for_timeout(1500)  # pictures load, animations end
        return Image.open(io.BytesIO(page.screenshot()))


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with served() as (browser, address):
        for shot in SHOTS:
            picture = take(browser, address, shot)
            # 256 colours are plenty for a page, and a third of the size.
            picture.convert("RGB").quantize(256).save(folder / f"{shot.name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
