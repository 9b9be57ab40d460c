"""A piece is seen before a long run has ended, and of a large picture a part can be upscaled alone."""

import json
from pathlib import Path

import pytest
from PIL import Image

from hpinet.settings import settings
from hpinet.ui.tabs import pieces

from .conftest import EXAMPLES, OpenPage, settle
from .test_browser import choose, seconds_to_a_piece, shown, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_long_run_begins_with_its_most_telling_piece(open_page: OpenPage, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with Image.open(EXAMPLES / "towers.png") as towers:
        towers.convert("RGB").resize((800, 600)).save(large)  # there is time to do all of this
    page = open_page()
    upload(page, large)
    choose(page, "#scale", "×8")
    page.locator("#forecast", has_text="×2 then ×4").wait_for()
    assert seconds_to_a_piece(page) < 10  # two on a machine that does nothing else
    told = shown(page)
    assert told["model"] == "HPINet T: a piece of it"
    assert max(told["result"]) < 6400 / 2  # not the whole
    assert page.locator("#download").is_hidden()
    page.locator("#status", has_text="Enlarging").wait_for()
    # A spot of it is one of the picture.
    spots = "() => { window.spots = []; document.addEventListener('hpinet-spot', (e) => window.spots.push(e.detail)); }"
    page.evaluate(spots)
    page.get_by_role("button", name="This spot…").click()
    page.get_by_role("button", name="Compare models here").wait_for()
    assert page.get_by_role("button", name="Why?").count() == 0  # there is no result yet
    page.get_by_role("button", name="Compare models here").click()
    [spot] = page.evaluate("window.spots")
    left, top = told["corner"]
    assert left <= spot["x"] < left + told["upload"][0]
    assert top <= spot["y"] < top + told["upload"][1]
    page.locator("#stop").click()
    page.locator("#status", has_text="Stopped").wait_for()
    page.locator("#crops figure").nth(1).wait_for()


def test_what_is_in_sight_is_upscaled(open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPINET_MAX_SECONDS", "100000")  # however slow this machine is just now
    settings.cache_clear()  # the server of these tests runs in this process
    large = tmp_path / "large.jpg"
    with Image.open(EXAMPLES / "facade.png") as facade:
        facade.convert("RGB").resize((3072, 2560)).save(large, quality=90)
    page = open_page()
    upload(page, EXAMPLES / "badge.png")
    page.locator("#forecast", has_text="→").wait_for()
    assert page.locator("#part").is_hidden()
    upload(page, large)
    page.locator("#forecast", has_text="3072×2560").wait_for()
    page.locator("#part").click()
    page.locator("#status", has_text="Zoom and move").wait_for()
    page.locator("hpinet-viewer[shown]").wait_for()
    viewer = page.locator("#result hpinet-viewer")
    viewer.evaluate("viewer => { viewer.place.x = 0.25; viewer.place.y = 0.5; viewer.zoomTo(8); }")
    page.wait_for_timeout(100)
    page.get_by_role("button", name="Upscale what I see").click()
    page.locator("#run:not([disabled])").wait_for()
    page.locator("#status", has_text="megapixels").wait_for()
    told = json.loads(viewer.get_attribute("data-view") or "{}")
    assert not told["isUpload"]
    width, height = told["upload"]
    assert 16 < width < 300
    assert 16 < height < 300
    page.locator("#download", has_text="Download").wait_for()
    # What is too small a part is said, and nothing else is enlarged in its place.
    monkeypatch.setattr(pieces, "LEAST_SIDE", 10_000)
    upload(page, large)
    page.locator("#forecast", has_text="3072×2560").wait_for()
    page.locator("#part").click()
    page.locator("#status", has_text="Zoom and move").wait_for()
    page.locator("hpinet-viewer[shown]").wait_for()
    page.get_by_role("button", name="Upscale what I see").click()
    page.locator(".toast-body", has_text="A part must be at least").wait_for()
    settle(page)
    assert page.locator("#run").is_enabled()
    assert "Zoom and move" in page.locator("#status").inner_text()
    assert page.locator("#download").is_hidden()
    monkeypatch.undo()
    settings.cache_clear()
