"""Makes the README's picture of the page: `python scripts/screenshots.py [folder]`. Needs Playwright and Chromium."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the project as it stands here, installed or not

from hpinet.ui import create_demo, launch_options  # noqa: E402

CHROMIUM = "/usr/bin/chromium"
PATIENCE = 180_000  # milliseconds, for slow machines
EXAMPLES = ROOT / "examples"


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


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with served() as (browser, address), visit(browser, address, width=1280, height=900, dark=False) as page:
        upscaled(page)
        page.wait_for_timeout(1500)  # pictures load, animations end
        picture = Image.open(io.BytesIO(page.screenshot()))
    # 256 colours are plenty for a page, and a third of the size.
    picture.convert("RGB").quantize(256).save(folder / "page-upscale.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
