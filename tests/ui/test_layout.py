"""Nothing is cut off, covered or broken in mid-phrase, on telephones, tablets and desktops."""

import pytest

from hpinet.ui.tabs import upscale_events

from .conftest import EXAMPLES, OpenPage
from .test_browser import upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_the_first_sight(open_page: OpenPage, width: int) -> None:
    page = open_page(width=width, phone=width < 640)
    page.locator("#examples button.thumbnail-item").nth(9).wait_for()
    # The invitation stands between the top of its field and the icons.
    box, icons = (page.locator(f"#picture {part}").bounding_box() for part in (".wrap", ".source-selection"))
    field = page.locator("#picture").bounding_box()
    assert box is not None
    assert icons is not None
    assert field is not None
    assert box["y"] >= field["y"]
    words = page.evaluate(
        """() => {
          const range = document.createRange();
          range.selectNodeContents(document.querySelector("#picture .wrap"));
          return range.getBoundingClientRect().bottom + scrollY;
        }"""
    )
    assert words <= icons["y"] + 1
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    cut_off = page.evaluate(
        """() => [...document.querySelectorAll("#examples button.thumbnail-item")].filter((tile) =>
          tile.getBoundingClientRect().right > document.querySelector("#examples").getBoundingClientRect().right + 1
        ).length"""
    )
    assert cut_off == 0


@pytest.mark.parametrize("width", [390, 820])
def test_choices_with_seconds_stay_on_a_line(open_page: OpenPage, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upscale_events, "expected_seconds", lambda *_, **__: 12.0)  # however slow this machine is now
    page = open_page(width=width, phone=width < 640)
    upload(page, EXAMPLES / "facade.png")
    page.locator("#forecast", has_text="192×160").wait_for()
    page.locator("#model label", has_text="Best · ").wait_for()
    heights = page.eval_on_selector_all("#model label span", "all => all.map(one => one.getClientRects()[0].height)")
    assert max(heights) < 30
