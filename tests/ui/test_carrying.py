"""A picture that was chosen once is there on the other tabs."""

from pathlib import Path

import pytest

from .conftest import EXAMPLES, OpenPage, settle
from .test_browser import choose, click_spot, loaded, upload, upscale

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_other_tabs_take_the_picture_of_the_first(open_page: OpenPage, picture: Path, deep_picture: Path) -> None:
    page = open_page()
    for tab, field in (("Measure", "#measure-picture"), ("Look inside", "#look-picture")):
        page.get_by_role("tab", name=tab).click()
        page.locator(f"{field} input[type=file]").wait_for(state="attached")
        assert page.locator(f"{field} img").count() == 0
    page.get_by_role("tab", name="Upscale").click()
    upload(page, deep_picture)
    page.locator("#forecast", has_text="26×20").wait_for()
    page.get_by_role("tab", name="Measure").click()
    assert loaded(page, "#measure-picture img") == [(26, 20)]
    page.locator("#measure-run").click()
    page.locator("#measure-table tbody tr").nth(1).wait_for()
    page.get_by_role("tab", name="Look inside").click()
    assert loaded(page, "#look-picture img") == [(26, 20)]
    page.locator("#look-status", has_text="Now click the spot").wait_for()
    assert page.locator("#look-picture-x input").input_value() == "13"
    # Whoever comes back has it already.
    page.get_by_role("tab", name="Measure").click()
    settle(page)
    assert page.locator("#measure-carry").is_hidden()
    # Another one takes their place when it is asked for, and not before.
    page.get_by_role("tab", name="Upscale").click()
    upload(page, EXAMPLES / "facade.png")
    page.locator("#forecast", has_text="192×160").wait_for()
    page.get_by_role("tab", name="Look inside").click()
    page.locator("#look-carry").click()
    page.wait_for_function("document.querySelector('#look-picture img')?.naturalWidth === 192")
    page.locator("#look-carry").wait_for(state="hidden")
    page.get_by_role("tab", name="Measure").click()
    page.locator("#measure-carry").wait_for()
    assert loaded(page, "#measure-picture img") == [(26, 20)]


def test_why_explains_the_spot_that_was_clicked(open_page: OpenPage, picture: Path) -> None:
    """With nothing chosen there before: what comes along must not be taken for a picture alone, with its middle."""
    page = open_page()
    upload(page, picture)
    choose(page, "#scale", "×2")
    page.locator("#forecast", has_text="28×20 → 56×40").wait_for()
    upscale(page)
    page.locator("#result hpinet-viewer[shown]").wait_for()
    viewer = page.locator("#result hpinet-viewer")
    viewer.evaluate("viewer => { viewer.marked = { x: 0.25, y: 0.8 }; viewer.ask('explain'); }")
    page.locator("#why-facts", has_text="hpinet-t-x2 at 7, 16").wait_for()
    page.locator("#voice", has_text="hpinet-t-x2 at 7, 16").wait_for(state="attached")
    assert page.locator("#why-heat svg").get_attribute("aria-label", timeout=5000)
    assert page.locator("#why-chain .pair").count() == 4  # the stages of T
    assert page.locator("#why-words li").count()
    # What the panel says is what more is told of, wherever the lens has looked since.
    settle(page)  # it has come into view
    click_spot(page, "#picture", 20, 5)
    page.locator("#crops figure").nth(1).wait_for()
    page.locator("#voice", has_text="The spot, enlarged by: bicubic, hpinet-t-x4").wait_for(state="attached")
    page.get_by_role("button", name="More in Look inside").click()
    page.locator("#look-status", has_text="hpinet-t-x2").wait_for()
    assert loaded(page, "#look-picture img") == [(28, 20)]
    assert page.locator("#look-picture-x input").input_value() == "7"
    assert page.locator("#look-picture-y input").input_value() == "16"
    assert "at 7, 16" in page.locator("#look-status").inner_text()
    page.get_by_role("tab", name="Upscale").click()
    page.locator("#why-close").click()
    page.locator("#why").wait_for(state="hidden")
    # Of two questions the second one is answered.
    for y in (0.2, 0.8):
        viewer.evaluate(f"viewer => {{ viewer.marked = {{ x: 0.25, y: {y} }}; viewer.ask('explain'); }}")
        page.wait_for_timeout(150)
    page.locator("#why-facts", has_text="hpinet-t-x2 at 7, 16").wait_for()
    settle(page)
    assert "at 7, 16" in page.locator("#why-facts").inner_text()
    page.locator("#examples button.thumbnail-item").first.click()
    page.locator("#why").wait_for(state="hidden")  # it was of the picture before
