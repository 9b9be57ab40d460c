"""A picture that is chosen while the one before is still being opened is the one that counts."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from hpinet.images import Picture
from hpinet.ui.jobs import previews
from hpinet.ui.parts import pictures

from .conftest import OpenPage, settle
from .test_browser import upload

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_nothing_else_of_what_was_sent_goes_back() -> None:
    """Gradio would take it for the description of a file."""
    shown = Path("/a.tif.shown.jpg")
    assert pictures.instead({"path": "/a.tif"}, shown) == ({"of": "/a.tif"}, str(shown))
    for held in (None, "/a.tif", {}, {"path": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}}):
        assert pictures.instead(held, shown) == pictures.AS_IT_IS


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Event, Event]]:
    """Set while a picture that is called slow is opened; to be set for that to end. The server is in this process."""
    begun, ends, open_sent = Event(), Event(), previews.open_sent

    def opened(path: Path) -> Picture:
        if path.name.startswith("slow"):
            begun.set()
            assert ends.wait(60)
        return open_sent(path)

    monkeypatch.setattr(previews, "open_sent", opened)
    yield begun, ends
    ends.set()


def on_upscale(page: "Page") -> None:
    page.locator("#forecast", has_text="28×20 → 112×80").wait_for()
    assert page.locator("#refusal").is_hidden()


def on_measure(page: "Page") -> None:
    page.locator("#measure-status", has_text="Ready.").wait_for()


def on_look_inside(page: "Page") -> None:
    page.locator("#look-status", has_text="Now click the spot").wait_for()
    assert page.locator("#look-picture-x input").input_value() == "14"


TABS = {
    "Upscale": ("#picture", on_upscale),
    "Measure": ("#measure-picture", on_measure),
    "Look inside": ("#look-picture", on_look_inside),
}
"""Where a picture is sent, and what is said of the small one."""


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("is_broken", [False, True])
@pytest.mark.parametrize("tab", TABS)
def test_the_second_of_two_pictures_stays(
    open_page: OpenPage, picture: Path, slowly: tuple[Event, Event], tab: str, is_broken: bool
) -> None:
    (begun, ends), (field, look) = slowly, TABS[tab]
    first = picture.with_name("slow.tif")
    Image.new("I;16", (26, 22)).save(first)
    if is_broken:
        first.write_bytes(first.read_bytes()[:200])
    page = open_page()
    page.get_by_role("tab", name=tab, exact=True).click()
    upload(page, first, into=field)
    assert begun.wait(30)
    upload(page, picture, into=field)
    page.wait_for_function(f"document.querySelector('{field} img')?.naturalWidth === 28")
    ends.set()
    settle(page)
    assert page.locator(f"{field} img").evaluate("img => img.naturalWidth") == 28
    look(page)
