"""The viewer in real Chromium: what it shows, how it is moved, whose pictures it gets, and how fast it is."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from PIL import Image

from hpinet.images import Picture
from hpinet.ui.jobs import tiles
from hpinet.ui.parts import viewer
from hpinet.ui.server.visitors import COOKIE

from .conftest import EXAMPLES, OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

NOTHING = {"detail": "There is nothing here."}
STATE = "viewer => ({...viewer.place, bytes: viewer.tiles.bytes})"


def enlarged(path: Path, width: int, height: int) -> Picture:
    """Stands for a result: any pixels of that size will do."""
    with Image.open(path) as image:
        return Picture.from_array(np.asarray(image.convert("RGB").resize((width, height))))


def show(page: "Page", view: tiles.View) -> None:
    """Puts a viewer of that view on the page, as a handler would."""
    [cookie] = [cookie for cookie in page.context.cookies() if cookie.get("name") == COOKIE]
    value = viewer.showing(tiles.VIEWS.open(view, str(cookie.get("value"))), view, "HPINet T ×2")
    page.evaluate(
        "value => { const at = document.querySelector('#tried') ?? document.body.appendChild(Object.assign("
        "document.createElement('div'), {id: 'tried', style: 'position:fixed;inset:0;z-index:9;background:#fff'}));"
        "at.innerHTML = value; }",
        value,
    )


def state(page: "Page") -> dict[str, Any]:
    page.wait_for_timeout(60)  # a drawing
    return page.locator("#tried hpinet-viewer").evaluate(STATE)


@pytest.fixture
def view(tmp_path: Path) -> tiles.View:
    source = enlarged(EXAMPLES / "facade.png", 900, 700)
    return tiles.keep(source, enlarged(EXAMPLES / "facade.png", 1800, 1400), tmp_path, upload=tmp_path)


@pytest.mark.slow
def test_mouse_and_keys_move_what_is_shown(open_page: OpenPage, view: tiles.View) -> None:
    page = open_page()
    show(page, view)
    page.locator("#tried hpinet-viewer[shown]").wait_for()
    began = state(page)
    assert began["zoom"] == 1
    box = page.locator("#tried .stage").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    for _ in range(5):  # notches
        page.mouse.wheel(0, -100)
    page.wait_for_timeout(200)
    assert state(page)["zoom"] > 2.5
    page.mouse.dblclick(x, y)
    assert state(page)["zoom"] == 4
    page.locator("#tried").get_by_role("button", name="200 %").click()
    assert state(page)["zoom"] == 2
    at = state(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 100, y + 40, steps=4)
    page.mouse.up()
    assert at["x"] - state(page)["x"] == pytest.approx(100 / 2 / 1800, abs=1e-3)
    stage = page.locator("#tried .stage")
    stage.focus()
    page.keyboard.press("0")
    assert state(page)["zoom"] < 1
    page.keyboard.press("1")
    assert state(page)["zoom"] == 1
    page.keyboard.down(" ")
    page.locator("#tried .border").wait_for(state="hidden")
    page.keyboard.up(" ")
    page.locator("#tried .border").wait_for()  # drawn anew: what is hidden takes no focus
    page.locator("#tried .border").press("ArrowRight")
    assert state(page)["border"] == pytest.approx(0.53)
    # Another result of the same picture is shown at the same place.
    before = state(page)
    show(page, view)
    assert {**state(page), "bytes": 0} == {**before, "bytes": 0}
    page.locator("#tried").get_by_label("Before", exact=True).select_option("upload")
    page.locator("#tried hpinet-viewer[shown]").wait_for()
    # A spot is offered to be compared and explained, in pixels of the upload.
    page.evaluate("addEventListener('hpinet-spot', (event) => window.spot = event.detail)")
    stage.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert stage.evaluate("stage => stage.getRootNode().activeElement === stage")  # where one can go on by keys
    spot = page.evaluate("window.spot")
    assert spot["what"] == "explain"
    assert spot["x"] == pytest.approx(900 * before["x"], abs=1)


def test_tiles_are_for_who_made_the_picture(server: str, view: tiles.View) -> None:
    name = tiles.VIEWS.open(view, "somebody")
    with httpx.Client(base_url=server) as http:
        good = http.get(f"/tiles/{name}/result/0/0/0", headers={"cookie": f"{COOKIE}=somebody"})
        assert good.status_code == 200
        assert good.headers["content-type"] == "image/jpeg"
        assert "private" in good.headers["cache-control"]
        for cookie, path in (
            ("nobody", f"{name}/result/0/0/0"),
            ("", f"{name}/result/0/0/0"),
            ("somebody", f"{name}x/result/0/0/0"),
            ("somebody", f"{name}/other/0/0/0"),
            ("somebody", f"{name}/..%2f..%2fetc/0/0/0"),
            ("somebody", f"{name}/result/-1/0/0"),
            ("somebody", f"{name}/result/0/1e3/0"),
            ("somebody", f"{name}/result/99/0/0"),
            ("somebody", f"{name}/result/0/0/{'9' * 400}"),
        ):
            answer = http.get(f"/tiles/{path}", headers={"cookie": f"{COOKIE}={cookie}"} if cookie else {})
            assert (answer.status_code, answer.json()) == (404, NOTHING), path


def test_a_tile_that_was_lost_on_the_way_comes_after_all(open_page: OpenPage, view: tiles.View) -> None:
    page = open_page()
    page.evaluate(
        """() => {
          const real = window.fetch;
          window.fetch = (...asked) => {
            const isLost = String(asked[0]).includes("/tiles/") && !window.lost;
            window.lost ||= isLost;
            return isLost ? Promise.reject(new TypeError("lost")) : real(...asked);
          };
        }"""
    )
    show(page, view)
    page.locator("#tried hpinet-viewer[shown]").wait_for()
    assert page.evaluate("window.lost")


def test_what_is_gone_is_said_of_what_is_seen(open_page: OpenPage, view: tiles.View) -> None:
    """Not of another result that was seen before."""
    page = open_page()
    show(page, view)
    page.locator("#tried hpinet-viewer[shown]").wait_for()
    said = page.locator("#tried hpinet-viewer").evaluate(
        """({ tiles }) => {
          tiles.gone.add("older");
          return ["older/result/0/0/0", "newer/result/0/0/0"].map((key) => {
            tiles.wanted = [{ key }];
            return tiles.isGone;
          });
        }"""
    )
    assert said == [True, False]


def test_no_tile_that_is_seen_makes_room_for_another(open_page: OpenPage, view: tiles.View) -> None:
    """However many a large screen shows at once: or they would be fetched for ever."""
    page = open_page()
    show(page, view)
    page.locator("#tried hpinet-viewer[shown]").wait_for()
    counts = page.locator("#tried hpinet-viewer").evaluate(
        """async ({ tiles }) => {
          const [real] = tiles.here.keys(), counts = [];
          for (const seen of [300, 20]) {
            for (let number = 0; number < 300; number++) tiles.here.set(`made-up-${number}`, { close() {} });
            tiles.changed = () => {};
            tiles.begin();
            for (let number = 0; number < seen; number++) tiles.get(`made-up-${number}`, true);
            await tiles.load(real);
            const kept = Array.from({ length: seen }, (_, n) => tiles.here.has(`made-up-${n}`));
            counts.push([tiles.here.size, kept.every(Boolean)]);
          }
          return counts;
        }"""
    )
    assert counts[0][0] > 300
    assert counts[1] == [140, True]
    assert counts[0][1]


def test_script_and_style_are_small() -> None:
    parts = Path(viewer.__file__).parent
    assert sum(path.stat().st_size for path in parts.iterdir() if path.suffix in {".js", ".css"}) < 150_000


@pytest.mark.slow
def test_48_megapixels_open_within_a_second_and_zoom_smoothly(
    open_page: OpenPage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The best of three, since other work may be going on."""
    source = enlarged(EXAMPLES / "facade.png", 4000, 3000)
    began = time.monotonic()
    view = tiles.keep(source, enlarged(EXAMPLES / "facade.png", 8000, 6000), tmp_path, upload=tmp_path)
    kept = time.monotonic() - began
    page = open_page()
    opened = []
    for _ in range(3):
        began = time.monotonic()
        show(page, view)
        page.locator("#tried hpinet-viewer[shown]").wait_for()
        opened.append(time.monotonic() - began)
    sent = state(page)["bytes"]
    rates = [page.locator("#tried hpinet-viewer").evaluate(ZOOMING) for _ in range(3)]
    with capsys.disabled():
        print(
            f"\n48 megapixels: written in {kept:.1f} s, opened in {min(opened):.2f} s "
            f"({', '.join(f'{seconds:.2f}' for seconds in opened)}), {sent / 1e6:.1f} MB sent before the first zoom, "
            f"{max(rates):.0f} frames a second while zooming ({', '.join(f'{rate:.0f}' for rate in rates)})"
        )
    assert min(opened) < 1
    assert sent < 5e6
    assert max(rates) >= 30


# Out and in again by the wheel, an event for each frame, as a visitor's hand would.
ZOOMING = """async (viewer) => {
  const stage = viewer.shadowRoot.querySelector(".stage");
  const { left, top, width, height } = stage.getBoundingClientRect();
  const frame = () => new Promise(requestAnimationFrame);
  let drawn = 0;
  const draw = viewer.draw;
  viewer.draw = function () { drawn++; return draw.call(this); };
  const began = performance.now();
  for (let step = 0; step < 90; step++) {
    const clientX = left + width / 3, clientY = top + height / 2;
    stage.dispatchEvent(new WheelEvent("wheel", { deltaY: step < 45 ? 30 : -30, clientX, clientY, cancelable: true }));
    await frame();
  }
  delete viewer.draw;
  return 1000 * Math.min(drawn, 90) / (performance.now() - began);
}"""
