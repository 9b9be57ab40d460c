"""The strip of a visit's results: opened again, compared, taken along as one ZIP, and gone when they are gone."""

import shutil
import zipfile
from pathlib import Path

import pytest

from hpinet.ui.server import storage

from .conftest import OpenPage, settle
from .test_browser import choose, downloaded, shown, upload, upscale

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_results_are_opened_compared_and_taken_along(
    open_page: OpenPage, picture: Path, deep_picture: Path, tmp_path: Path
) -> None:
    page = open_page()
    upload(page, picture)
    page.locator("#forecast", has_text="28×20 → 112×80").wait_for()
    assert page.locator("#results").is_hidden()
    upscale(page)
    tiles = page.locator("#results button.thumbnail-item")
    tiles.nth(0).wait_for()
    choose(page, "#scale", "×2")
    page.locator("#forecast", has_text="28×20 → 56×40").wait_for()
    upscale(page)
    tiles.nth(1).wait_for()
    # With the earlier one of the same picture.
    assert shown(page)["result"] == [56, 40]
    page.get_by_label("Before", exact=True).select_option("HPINet T ×4")
    page.get_by_text("HPINet T ×4", exact=True).first.wait_for()
    page.locator("hpinet-viewer[shown]").wait_for()
    # Another picture's result is compared with none of them.
    upload(page, deep_picture)
    page.locator("#forecast", has_text="26×20").wait_for()
    page.locator("#result hpinet-viewer").wait_for(state="hidden")
    upscale(page)
    tiles.nth(2).wait_for()
    assert shown(page)["others"] == []
    assert page.locator("#result select option").count() == 3
    # The first one again, with its picture.
    tiles.nth(2).click()
    page.locator("#status", has_text="28×20 → 112×80").wait_for()
    page.locator("#forecast", has_text="28×20 → 56×40").wait_for()
    assert shown(page)["result"] == [112, 80]
    assert downloaded(page, "#download", tmp_path).name == "my-cat_x4_hpinet-t.png"
    # All of them: the browser takes the file by itself.
    archive = downloaded(page, "#results-pack", tmp_path)
    with zipfile.ZipFile(archive) as inside:
        assert sorted(inside.namelist()) == [
            "deep_x2_hpinet-t.png",
            "my-cat_x2_hpinet-t.png",
            "my-cat_x4_hpinet-t.png",
        ]
    page.locator("#results-zip", has_text="3 pictures").wait_for()
    # On a page that is loaded anew nothing is left of them.
    page.reload()
    page.locator("#run").wait_for()
    assert page.locator("#results").is_hidden()


def test_what_is_gone_is_told(open_page: OpenPage, picture: Path, tmp_path: Path) -> None:
    page = open_page()
    upload(page, picture)
    page.locator("#forecast", has_text="28×20 → 112×80").wait_for()
    upscale(page)
    page.locator("#results button.thumbnail-item").wait_for()
    settle(page)
    for folder in storage.results_root().iterdir():  # as the sweep does after three hours
        shutil.rmtree(folder, ignore_errors=True)
    page.locator("#results button.thumbnail-item").click()
    page.locator("#status [role=alert]", has_text="gone from the server").wait_for()
