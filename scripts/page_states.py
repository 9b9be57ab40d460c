"""Every state of the page on all kinds of screens: `python scripts/page_states.py FOLDER`. Needs Playwright.

Writes a sheet for each state and theme (a row a language, a column a width) and prints where the page is wider than its
window. For people to look at: what a test can tell is told by the tests of the page.
"""

import io
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, FilePayload, FloatRect, Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the project as it stands here, installed or not

from scripts.screenshots import EXAMPLES, chosen, served, visit  # noqa: E402

WIDTHS = {390: 844, 768: 1024, 1280: 780, 1920: 1080}
"""Of windows, each with its height."""

LANGUAGES = ("en", "de", "ar")
GAP = 8  # between them, in pixels
PART = 0.5
"""How large a picture of the page is on its sheet."""

HIGHEST = 2600
"""In pixels of the page: what lies below is cut off."""

NOT_A_PICTURE = FilePayload(
    name="drawing.svg", mimeType="image/svg+xml", buffer=b"<svg xmlns='http://www.w3.org/2000/svg'/>"
)


def long_work() -> FilePayload:
    """A picture that is worked on until it has been photographed, and a browser draws slowly without a GPU."""
    with Image.open(EXAMPLES / "cat.png") as cat, io.BytesIO() as file:
        cat.resize((576, 480)).save(file, "PNG")
        return FilePayload(name="cat.png", mimeType="image/png", buffer=file.getvalue())


def tab(page: Page, name: str) -> None:
    page.locator(f"[role=tab][data-tab-id={name}]").click()


def empty(page: Page) -> None:
    page.wait_for_selector("#run")


def running(page: Page) -> None:
    page.locator("#picture input[type=file]").set_input_files(long_work())
    page.locator("#scale input[value='×16']").check(force=True)
    page.locator("#forecast", has_text="9216×7680").wait_for()
    page.locator("#run").click()
    page.locator("#stop:not([disabled])").wait_for()
    page.wait_for_timeout(2000)


def stopped(page: Page) -> None:
    page.locator("#stop").click()
    page.locator("#run:not([disabled])").wait_for()
    page.locator("#reset").click()


def finished(page: Page) -> None:
    page.locator("#examples button.thumbnail-item").first.click()
    page.wait_for_selector("hpinet-viewer[shown]")
    page.locator("#download").wait_for()
    page.locator("#run:not([disabled])").wait_for()


def explained(page: Page) -> None:
    page.locator("hpinet-viewer").evaluate("viewer => { viewer.marked = { x: 0.6, y: 0.4 }; viewer.ask('explain'); }")
    page.locator("#why-heat svg").wait_for()


def refused(page: Page) -> None:
    page.locator("#picture input[type=file]").set_input_files(NOT_A_PICTURE)
    page.locator("#refusal [role=alert]").wait_for()


def batch(page: Page) -> None:
    tab(page, "batch")
    page.locator("#batch-files input[type=file]").set_input_files([EXAMPLES / f"{one}.png" for one in ("cat", "badge")])
    page.locator("#batch-files", has_text="badge").wait_for()
    page.locator("#batch-run").click()
    page.locator("#batch-download").wait_for()


def measured(page: Page) -> None:
    tab(page, "measure")
    page.locator("#measure-examples button.thumbnail-item").first.click()
    page.locator("#measure-table tbody tr").nth(1).wait_for()
    page.locator("#measure-run:not([disabled])").wait_for()


def looked_inside(page: Page) -> None:
    tab(page, "look")
    page.locator("#look-examples button.thumbnail-item").first.click()
    page.locator("#look-status .facts").first.wait_for()


def api(page: Page) -> None:
    tab(page, "api")


STATES: dict[str, Callable[[Page], None]] = {
    "1-empty": empty,
    "2-chosen": chosen,
    "3-running": running,
    "4-stopped": stopped,
    "5-finished": finished,
    "6-explained": explained,
    "7-refused": refused,
    "8-batch": batch,
    "9-measured": measured,
    "10-looked-inside": looked_inside,
    "11-api": api,
}
"""In the order in which a visit goes through them."""


def states(browser: Browser, address: str, width: int, language: str, theme: str) -> Iterator[tuple[str, Image.Image]]:
    """One visitor going through all of them: the name of each, and the page as a whole."""
    link, height = f"{address}?lang={language}", WIDTHS[width]
    with visit(browser, link, width=width, height=height, dark=theme == "dark") as page:
        for name, go_on in STATES.items():
            go_on(page)
            page.wait_for_timeout(800)  # pictures load, animations end
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"):
                print(f"{name} at {width} pixels, {language}, {theme}: wider than the window")
            height = min(HIGHEST, page.evaluate("document.documentElement.scrollHeight"))
            clip = FloatRect(x=0, y=0, width=width, height=height)
            yield name, Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip)))


def sheet(pictures: dict[tuple[str, int], Image.Image]) -> Image.Image:
    """A row a language, a column a width."""
    small = {key: one.resize((round(one.width * PART), round(one.height * PART))) for key, one in pictures.items()}
    rows = {language: max(small[language, width].height for width in WIDTHS) for language in LANGUAGES}
    whole = sum(round(width * PART) + GAP for width in WIDTHS), sum(height + GAP for height in rows.values())
    result = Image.new("RGB", whole, "red")
    top = 0
    for language, height in rows.items():
        left = 0
        for width in WIDTHS:
            result.paste(small[language, width], (left, top))
            left += round(width * PART) + GAP
        top += height + GAP
    return result


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with served() as (browser, address):
        for theme in ("light", "dark"):
            found: dict[str, dict[tuple[str, int], Image.Image]] = {name: {} for name in STATES}
            for language, width in product(LANGUAGES, WIDTHS):
                for name, picture in states(browser, address, width, language, theme):
                    found[name][language, width] = picture.convert("RGB")
            for name, pictures in found.items():
                sheet(pictures).save(folder / f"{name}-{theme}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
