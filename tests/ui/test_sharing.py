"""The page can be installed and shared."""

import io
from pathlib import Path

import httpx
import pytest
from PIL import Image

from hpinet.ui.server.install import FOLDER, ICON_SIZES
from scripts.make_icon import draw

from .conftest import OpenPage
from .test_browser import upload, upscale


def test_a_browser_finds_what_it_needs_to_install_the_page(server: str) -> None:
    told = httpx.get(f"{server}/manifest.json")
    assert told.headers["content-type"] == "application/manifest+json"
    manifest = told.json()
    assert (manifest["name"], manifest["display"]) == ("HPINet", "standalone")
    for icon in manifest["icons"]:
        answer = httpx.get(f"{server}/{icon['src']}")
        assert answer.headers["content-type"] == icon["type"]
        side = Image.open(io.BytesIO(answer.content)).size
        assert "x".join(map(str, side)) == icon["sizes"]
    assert {icon["sizes"] for icon in manifest["icons"]} >= {"192x192", "512x512"}
    assert httpx.get(f"{server}/favicon.ico").content == (FOLDER / "icon-192.png").read_bytes()
    for closed in ("icon-1.png", "icon-99999.png", "icon-x.png", "pwa_icon", "pwa_icon/192"):
        assert httpx.get(f"{server}/{closed}").status_code == 404


@pytest.mark.parametrize("side", ICON_SIZES)
def test_the_icons_are_what_the_script_makes(side: int) -> None:
    path = FOLDER / f"icon-{side}.png"
    with Image.open(path) as icon:
        made = draw(side).quantize(32)
        assert icon.convert("RGB").tobytes() == made.convert("RGB").tobytes()
    assert path.stat().st_size < 10_000


SHEET = """(() => {
  window.shared = [];
  navigator.share = async (what) => {
    window.shared.push({ ...what, files: (what.files ?? []).map(({ name, size, type }) => ({ name, size, type })) });
  };
  navigator.canShare = () => true;
})()"""


@pytest.mark.browser
@pytest.mark.slow
def test_what_is_shared(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    upload(page, picture)
    page.locator("#forecast", has_text="28×20 → 112×80").wait_for()
    upscale(page)
    # Where the browser has no sheet, the link is copied.
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("() => Object.defineProperty(navigator, 'share', { value: undefined, configurable: true })")
    page.locator("#share").click()
    page.locator("#share[data-said='link copied']").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.endswith("?model=T&scale=4&treatment=auto&format=png")
    # Where it has one, the result goes along.
    page.evaluate("() => delete navigator.share")
    page.evaluate(SHEET)
    page.locator("#share").click()
    page.wait_for_function("window.shared.length")
    [shared] = page.evaluate("window.shared")
    assert shared["text"] == link
    [file] = shared["files"]
    assert (file["name"], file["type"]) == ("my-cat_x4_hpinet-t.png", "image/png")
    assert file["size"] > 1000
