"""What the page shows of the pictures that were chosen for a batch, before it starts."""

from pathlib import Path

import pytest
from PIL import Image

from .conftest import OpenPage, settle
from .test_browser import choose, upload
from .test_decisions import selected

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_thumbnails_forecast_and_format_of_what_was_chosen(
    open_page: OpenPage, picture: Path, deep_picture: Path, tmp_path: Path
) -> None:
    photos = [tmp_path / f"photo-{number}.jpg" for number in range(2)]
    for number, path in enumerate(photos):
        Image.new("RGB", (40 + number, 30), "teal").save(path)
    page = open_page()
    page.get_by_role("tab", name="Batch").click()
    thumbs = page.locator("#batch-thumbs canvas")
    upload(page, photos[0], into="#batch-files")
    selected(page, "#batch-format", "JPEG")
    page.locator("#batch-forecast", has_text="0.0 megapixels to be made").wait_for()
    thumbs.nth(0).wait_for()
    teal = thumbs.first.evaluate("canvas => [...canvas.getContext('2d').getImageData(32, 32, 1, 1).data]")
    assert abs(teal[1] - 128) < 4
    # A mixture becomes PNG; what a browser cannot show has a name at least.
    page.locator("#batch-files button[aria-label='Clear']").first.click()
    page.locator("#batch-files input[type=file]").set_input_files([*photos, picture, deep_picture])
    thumbs.nth(3).wait_for()
    selected(page, "#batch-format", "PNG")
    # Unless the visitor has said what it shall be, if only this moment.
    choose(page, "#batch-format", "WebP")
    page.locator("#batch-files button[aria-label='Clear']").first.click()
    thumbs.first.wait_for(state="hidden")
    page.locator("#batch-files input[type=file]").set_input_files(photos)
    thumbs.nth(1).wait_for()
    page.locator("#batch-status", has_text="2 files").wait_for()
    settle(page)
    selected(page, "#batch-format", "WebP")
