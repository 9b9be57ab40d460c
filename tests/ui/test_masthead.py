"""The masthead shows what the network does, holds still where less motion is wished for, and steps out of the way."""

import pytest
from playwright.sync_api import Page

from hpinet.ui.parts.theme import CSS, HOOKS, MASTHEAD_PICTURE, SCRIPT
from hpinet.ui.parts.viewer import HEAD

from .conftest import OpenPage

SHOWN = "() => [...document.querySelectorAll('.masthead .asks')].map((one) => getComputedStyle(one).opacity)"


def test_what_every_visitor_loads_of_ours_is_small() -> None:
    assert MASTHEAD_PICTURE.stat().st_size < 12_000
    assert sum(map(len, (CSS, HOOKS, SCRIPT, HEAD))) + MASTHEAD_PICTURE.stat().st_size < 150_000


@pytest.mark.browser
@pytest.mark.slow
def test_it_moves_once_and_steps_aside(open_page: OpenPage) -> None:
    page: Page = open_page()
    page.wait_for_function(f"({SHOWN})()[1] === '1'")
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(SHOWN) == ["1", "0", "0"]
    assert page.locator(".masthead svg").first.is_visible()
    page.locator("#examples button.thumbnail-item").nth(1).click()
    page.locator("#status", has_text="megapixels").wait_for()
    page.locator(".masthead svg").first.wait_for(state="hidden")
    assert page.locator(".masthead h1").is_visible()
