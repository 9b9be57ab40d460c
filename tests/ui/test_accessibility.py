"""axe-core finds nothing serious on any tab, light or dark."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import EXAMPLES, OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

TABS = ("Upscale", "Batch", "Measure", "Look inside", "API")


def serious_violations(page: "Page", tab: str) -> list[str]:
    """What axe-core, which the page has been given, finds serious or critical on the visible ``tab``."""
    report = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{tab}: {violation['id']} ({violation['impact']}): {node['html'][:160]} {node['failureSummary'][:200]}"
        for violation in report["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"][:4]
    ]


def unfold(page: "Page") -> None:
    """Opens whatever is folded of the tab in sight."""
    folded = page.locator("button.label-wrap:not(.open):visible")
    while folded.count():
        folded.first.click()


@pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["light", "dark"])
def test_no_serious_violations(open_page: OpenPage, node_modules: Path, dark: bool) -> None:
    page = open_page(dark=dark)
    page.locator("#picture input[type=file]").set_input_files(EXAMPLES / "line-art.png")
    page.locator("#forecast", has_text="176×176").wait_for()
    page.locator("#run").click()
    page.locator("#status", has_text="megapixels").wait_for()
    page.add_script_tag(path=node_modules / "axe-core" / "axe.min.js")
    found = []
    for tab in TABS:
        page.get_by_role("tab", name=tab, exact=True).click()
        page.wait_for_timeout(400)
        unfold(page)
        page.wait_for_timeout(300)
        found += serious_violations(page, tab)
    assert not found, "\n".join(found)
