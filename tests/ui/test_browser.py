"""The page in real Chromium: each tab's main path, and what can go wrong on it."""

import json
import re
import time
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import pillow_heif
import pytest
from file_server import file_server, slow
from gradio.utils import get_upload_folder
from PIL import Image

from hpinet import Upscaler, open_picture
from hpinet.comparison import compare
from hpinet.images import Picture, encode_picture, resize_bicubic, save_picture
from hpinet.settings import settings
from hpinet.ui.tabs.measure import CROP_SIDE, CROPS

from .conftest import EXAMPLES, OpenPage, settle

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def upscaler(server: str) -> Upscaler:
    return Upscaler.load("T", scale=4)


def made_by_the_library(path: Path, upscaler: Upscaler) -> bytes:
    return encode_picture(upscaler(open_picture(path)))


def upload(page: "Page", path: Path, *, into: str = "#picture") -> None:
    page.locator(f"{into} input[type=file]").set_input_files(path)


def choose(page: "Page", field: str, label: str) -> None:
    page.locator(f"{field} label", has_text=re.compile(rf"^\s*{label}")).click()


def upscale(page: "Page") -> None:
    page.locator("#run").click()
    page.locator("#status", has_text="megapixels").wait_for()
    page.locator("#run:not([disabled])").wait_for()


def seconds_to_a_piece(page: "Page") -> float:
    """From the button until the viewer shows a piece of what a long run will make."""
    began = time.monotonic()
    page.locator("#run").click()
    page.locator("#result hpinet-viewer[shown]").wait_for()
    return time.monotonic() - began


def downloaded(page: "Page", button: str, folder: Path) -> Path:
    with page.expect_download() as caught:
        page.locator(button).click()
    path = folder / caught.value.suggested_filename
    caught.value.save_as(path)
    return path


def loaded(page: "Page", selector: str) -> list[tuple[int, int]]:
    """Natural sizes of the pictures that match, once they have loaded."""
    page.wait_for_function(
        "s => { const all = [...document.querySelectorAll(s)];"
        " return all.length && all.every(i => i.complete && i.naturalWidth) }",
        arg=selector,
    )
    return [
        tuple(size)
        for size in page.eval_on_selector_all(selector, "all => all.map(i => [i.naturalWidth, i.naturalHeight])")
    ]


def choose_long_run(page: "Page") -> None:
    """Half a minute of work on a machine that does nothing else: it is not over before somebody has looked."""
    large = BytesIO()
    with Image.open(EXAMPLES / "towers.png") as towers:
        towers.resize((512, 320)).save(large, "PNG")
    page.locator("#picture input[type=file]").set_input_files(
        {"name": "towers.png", "mimeType": "image/png", "buffer": large.getvalue()}
    )
    choose(page, "#scale", "×16")
    page.locator("#forecast", has_text="×4 then ×4").wait_for()


def begin_long_run(page: "Page") -> None:
    """Half a minute of work, under way."""
    choose_long_run(page)
    page.locator("#run").click()
    page.locator("#status", has_text="Enlarging").wait_for()


def shown(page: "Page") -> dict[str, Any]:
    """What the viewer was told to show, once its tiles are there."""
    page.locator("#result hpinet-viewer[shown]").wait_for()
    return json.loads(page.locator("#result hpinet-viewer").get_attribute("data-view") or "{}")


def test_upload_upscale_compare_download(
    open_page: OpenPage, upscaler: Upscaler, picture: Path, tmp_path: Path
) -> None:
    page = open_page()
    assert page.locator("#result").is_hidden()
    upload(page, picture)
    page.locator("#forecast", has_text="28×20 → 112×80").wait_for()
    page.locator("#format label.selected", has_text=re.compile(r"PNG · \d+ kB")).wait_for()
    upscale(page)
    details = page.locator("#status").text_content() or ""
    for words in ("28×20 → 112×80", "hpinet-t-x4", "torch on CPU", "0.01 megapixels", "peak memory", "consistent to"):
        assert words in details
    assert shown(page)["result"] == [112, 80]

    file = downloaded(page, "#download", tmp_path)
    assert file.name == "my-cat_x4_hpinet-t.png"
    assert file.read_bytes() == made_by_the_library(picture, upscaler)

    # Another "before", and another format, without running anything again.
    page.get_by_label("Before", exact=True).select_option("nearest")
    page.get_by_text("Before: nearest").wait_for()
    page.locator("hpinet-viewer[shown]").wait_for()
    choose(page, "#format", "JPEG")
    page.locator("#download", has_text="Download JPEG").wait_for()
    file = downloaded(page, "#download", tmp_path)
    assert file.name == "my-cat_x4_hpinet-t.jpg"
    assert open_picture(file).format == "JPEG"


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".heic", ".jxl", ".jfif"])
def test_every_format_is_taken(open_page: OpenPage, picture: Path, tmp_path: Path, suffix: str) -> None:
    """By both tabs, whatever the browser knows of it."""
    path = tmp_path / f"photo{suffix}"
    write(open_picture(picture), path)
    page = open_page()
    upload(page, path)
    page.locator("#forecast", has_text="28×20 → 112×80").wait_for()
    assert loaded(page, "#picture img") == [(28, 20)]
    page.get_by_role("tab", name="Batch").click()
    upload(page, path, into="#batch-files")
    page.locator("#batch-status", has_text="1 file to upscale").wait_for()


def write(picture: Picture, path: Path) -> None:
    if path.suffix == ".jxl":
        path.write_bytes(imagecodecs.jpegxl_encode(picture.colour, lossless=True))
    elif path.suffix == ".heic":
        made = pillow_heif.from_bytes(mode="RGB", size=(28, 20), data=picture.colour.tobytes())
        made.save(path, quality=90)
    else:
        save_picture(picture, path, format="JPEG")


@pytest.mark.slow
def test_a_format_chosen_while_the_result_is_made(open_page: OpenPage, picture: Path) -> None:
    Image.effect_noise((640, 480), 70).save(picture)
    page = open_page()
    upload(page, picture)
    page.locator("#forecast", has_text="640×480 → 2560×1920").wait_for()
    page.locator("#run").click()
    page.locator("#stop:not([disabled])").wait_for()
    choose(page, "#format", "JPEG")
    assert page.locator("#download").is_hidden()
    page.locator("#download", has_text="Download JPEG").wait_for()


@pytest.mark.slow
def test_delete_now(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    upload(page, picture)
    page.locator("#forecast", has_text="28×20 → 112×80").wait_for()
    upscale(page)
    before = set(Path(get_upload_folder()).rglob("*.png"))
    assert {path.name for path in before} >= {"my cat.png", "result.png"}
    page.locator("#delete").click()
    page.locator("#picture img").wait_for(state="detached")
    page.locator("#run").wait_for()
    gone = before - set(Path(get_upload_folder()).rglob("*.png"))
    assert {path.name for path in gone} >= {"my cat.png", "result.png"}


@pytest.mark.slow
def test_what_was_sent_to_measure_is_deleted_too(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    page.get_by_role("tab", name="Measure").click()
    other = picture.with_name("sent to measure.png")
    Image.effect_noise((50, 40), 70).save(other)
    upload(page, other, into="#measure-picture")
    page.locator("#measure-picture img").wait_for()
    settle(page)
    assert list(Path(get_upload_folder()).rglob(other.name))
    page.locator("#delete").click()
    page.locator("#picture img").wait_for(state="detached")
    page.locator("#run").wait_for()
    assert not list(Path(get_upload_folder()).rglob(other.name))


@pytest.mark.slow
def test_size_in_pixels(open_page: OpenPage, upscaler: Upscaler, picture: Path, tmp_path: Path) -> None:
    page = open_page()
    upload(page, picture)
    page.locator("#forecast", has_text="28×20 → 112×80").wait_for()  # a size to begin with has been put there
    choose(page, "#scale", "Pixels")
    page.locator("#pixels input").fill("100")
    page.locator("#forecast", has_text="28×20 → 100×71").wait_for()
    upscale(page)
    expected = resize_bicubic(upscaler(open_picture(picture)), 100, 71)
    assert downloaded(page, "#download", tmp_path).read_bytes() == encode_picture(expected)
    page.locator("#pixels input").fill("10")
    page.locator("#forecast [role=alert]", has_text="not larger").wait_for()


def test_an_example_is_one_click_and_then_instant(open_page: OpenPage) -> None:
    page = open_page()
    tiles = page.locator("#examples button.thumbnail-item")
    tiles.nth(9).wait_for()
    assert tiles.count() == 10
    tiles.nth(1).click()
    page.locator("#status", has_text="128×144 → 512×576").wait_for()
    assert "when it was made" not in page.locator("#status").inner_text()
    assert shown(page)["result"] == [512, 576]
    page.locator("#run:not([disabled])").wait_for()
    page = open_page()  # of somebody else
    tiles = page.locator("#examples button.thumbnail-item")
    began = time.monotonic()
    tiles.nth(1).click()
    page.locator("#status", has_text="when it was made").wait_for()
    assert time.monotonic() - began < 5


TIME_STOP = """() => addEventListener('click', (event) => {
    window.stopSeconds = new Promise((done) => {
        const look = () => document.querySelector('#status').textContent.includes('Stopped')
            && !document.querySelector('#run').disabled
            ? done((performance.now() - event.timeStamp) / 1000) : setTimeout(look, 20);
        look();
    });
}, {capture: true, once: true})"""
"""From the press of the button, also if the page is slow to hear of it; not what it takes to aim at it."""


def test_stop_ends_the_run_within_a_second(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    begin_long_run(page)
    assert page.locator("#run").is_disabled()
    page.evaluate(TIME_STOP)
    page.locator("#stop").click()
    page.locator("#status", has_text="Stopped").wait_for()
    page.locator("#run:not([disabled])").wait_for()
    assert page.evaluate("stopSeconds") < 2  # one for the run, one for a busy machine to show it
    assert page.locator("#stop").is_disabled()
    # The machine is free again: the next picture does not wait for the rest of that one.
    upload(page, picture)
    choose(page, "#scale", "×4")
    page.locator("#forecast", has_text="28×20 → 112×80").wait_for()
    began = time.monotonic()
    upscale(page)
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_stop_is_no_error_at_whatever_moment(open_page: OpenPage) -> None:
    page = open_page()
    choose_long_run(page)
    for wait in (0, 0, 0, 300, 600, 1200):  # milliseconds; a piece is shown after the first thousand
        page.locator("#run").click()
        page.locator("#status .progress-level-inner", has_text="%").wait_for()
        page.wait_for_timeout(wait)
        page.locator("#stop").click()
        page.locator("#status", has_text="Stopped. Your picture and settings are as they were.").wait_for()
        page.locator("#run:not([disabled])").wait_for()
        page.locator("#status .progress-level-inner").wait_for(state="detached")
        page.wait_for_timeout(300)  # late answers; Gradio may keep its stream open after a stop, so no `settle`
        assert page.locator("#status").inner_text().strip() == "Stopped. Your picture and settings are as they were."


@pytest.mark.slow
def test_closing_the_page_ends_its_run(open_page: OpenPage, picture: Path) -> None:
    leaving, staying = open_page(), open_page()
    begin_long_run(leaving)
    upload(staying, picture)
    staying.locator("#forecast", has_text="28×20").wait_for()
    leaving.close()
    began = time.monotonic()
    upscale(staying)  # one at a time: it waits for the other to end
    assert time.monotonic() - began < 20


def test_a_bad_upload_says_so_and_harms_nothing(open_page: OpenPage, picture: Path, tmp_path: Path) -> None:
    page = open_page()
    bad = tmp_path / "bad.png"
    bad.write_text("<script>alert(1)</script>")
    upload(page, bad)
    page.locator("#refusal [role=alert]", has_text="not a picture").wait_for()
    page.locator("#picture button", has_text="Drop a picture here").wait_for()
    upload(page, picture)
    page.locator("#forecast", has_text="28×20").wait_for()
    upscale(page)


def test_running_without_a_picture(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#run").click()
    page.locator("#status [role=alert]", has_text="Choose a picture first").wait_for()


@pytest.mark.slow
def test_deep_grey_tiff(open_page: OpenPage, upscaler: Upscaler, deep_picture: Path, tmp_path: Path) -> None:
    """Browsers cannot show it: the page shows a stand-in, enlarges the original."""
    page = open_page()
    upload(page, deep_picture)
    page.locator("#forecast", has_text="16 bit").wait_for()
    assert "grey" in page.locator("#forecast").inner_text()
    assert loaded(page, "#picture img") == [(26, 20)]
    upscale(page)
    file = downloaded(page, "#download", tmp_path)
    assert file.name == "deep_x4_hpinet-t.png"
    assert file.read_bytes() == made_by_the_library(deep_picture, upscaler)
    assert open_picture(file).depth == 16


@pytest.mark.slow
def test_links_restore_settings_and_follow_them(open_page: OpenPage) -> None:
    page = open_page("?model=M&scale=2&treatment=clean&format=webp")
    page.locator("#model label.selected", has_text="Best").wait_for()
    page.locator("#scale label.selected", has_text="×2").wait_for()
    page.locator("#format label.selected", has_text="WebP").wait_for()
    choose(page, "#scale", "×3")
    page.wait_for_url("**/?model=M&scale=3&treatment=clean&format=webp")
    page.locator("#treatment label.selected", has_text="Clean").wait_for()

    page = open_page("?model=<b>&scale=99&treatment=all&format=exe")
    page.locator("#treatment label.selected", has_text="Auto").wait_for()
    page.locator("#model label.selected", has_text="Quick").wait_for()
    page.locator("#scale label.selected", has_text="×4").wait_for()


@pytest.mark.slow
def test_offline_models_say_so_and_the_bundled_one_works(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    upload(page, picture)
    page.locator("#forecast", has_text="×4").wait_for()
    assert "fetched" not in page.locator("#forecast").inner_text()
    choose(page, "#model", "Best")
    page.locator("#forecast", has_text="fetched on first use").wait_for()
    page.locator("#run").click()
    page.locator("#status [role=alert]").wait_for()
    told = page.locator("#status").inner_text()
    assert "Model M is not on this server yet and could not be fetched just now. Model T is here" in told
    assert "HPINET" not in told
    choose(page, "#model", "Quick")
    upscale(page)


@pytest.mark.slow
def test_the_authors_models_are_fetched_on_first_use(
    open_page: OpenPage, shared: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = shared / "authors" / "HPINet-S-x4.pth"
    with file_server({f"/{published.name}": published.read_bytes()}, slow) as authors:
        monkeypatch.setenv("HPINET_AUTHORS_URL", authors.url)
        settings.cache_clear()  # the server of these tests runs in this process
        page = open_page()
        upload(page, picture)
        page.locator("#forecast", has_text="28×20").wait_for()
        choose(page, "#model", "Good")
        page.locator("#forecast", has_text="fetched on first use").wait_for()
        upscale(page)
        assert "hpinet-s-x4, authors" in (page.locator("#status").text_content() or "")
        file = downloaded(page, "#download", tmp_path)
        assert file.name == "my-cat_x4_hpinet-s.png"
        assert file.read_bytes() == made_by_the_library(picture, Upscaler.load("S", scale=4))
        # From now on it is here, and the lens shows it too.
        page = open_page()
        upload(page, picture)
        choose(page, "#model", "Good")
        page.locator("#forecast", has_text="×4").wait_for()
        assert "fetched" not in page.locator("#forecast").inner_text()
        assert len(authors.requests) == 1
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize("name", ["facade.png", "large"])
def test_the_spot_that_is_clicked_is_marked_and_taken(
    open_page: OpenPage, tmp_path: Path, name: str, phone: bool
) -> None:
    """Small pictures are shown as they are, large ones reduced."""
    path = EXAMPLES / name
    if name == "large":
        path = tmp_path / "large.png"
        save_picture(resize_bicubic(open_picture(EXAMPLES / "facade.png"), 1920, 1600), path)
    page = open_page(phone=phone, width=390 if phone else 1280)
    upload(page, path)
    page.get_by_role("button", name="Lens").click()
    page.locator("#picture > .spot").wait_for()
    width, height = open_picture(path).width, open_picture(path).height
    for x, y in ((width // 8, height // 8), (width * 3 // 4, height // 2)):
        click_spot(page, "#picture", x, y)


def click_spot(page: "Page", picture: str, x: int, y: int) -> None:
    """Clicks a pixel of a shown picture; the fields and the ring have to follow, within a pixel of the screen."""
    page.locator(picture).scroll_into_view_if_needed()
    frame = page.locator(f"{picture} img").bounding_box()
    assert frame
    width, height = loaded(page, f"{picture} img")[0]
    zoom = min(frame["width"] / width, frame["height"] / height, 1)
    left, top = (frame["width"] - zoom * width) / 2, (frame["height"] - zoom * height) / 2
    page.mouse.click(frame["x"] + left + zoom * (x + 0.5), frame["y"] + top + zoom * (y + 0.5))
    fields = [page.locator(f"{picture}-{axis} input") for axis in "xy"]
    fields[1].wait_for()
    page.wait_for_function(
        "([x, y, ids, near]) => ids.every((id, i) => Math.abs(document.querySelector(id).value - [x, y][i]) <= near)",
        arg=[x, y, [f"{picture}-{axis} input" for axis in "xy"], 1 / zoom],
    )
    page.locator(f"{picture} > .spot").wait_for()
    page.wait_for_timeout(300)  # until it has moved
    ring = page.evaluate(
        """([ring, image]) => {
          const [a, b] = [ring, image].map((selector) => document.querySelector(selector).getBoundingClientRect());
          return [a.x + a.width / 2 - b.x, a.y + a.height / 2 - b.y];
        }""",
        [f"{picture} > .spot", f"{picture} img"],
    )
    marked = [float(field.input_value()) + 0.5 for field in fields]
    assert ring == pytest.approx([left + zoom * marked[0], top + zoom * marked[1]], abs=1)


@pytest.mark.slow
def test_lens_shows_a_spot_by_every_model_here(open_page: OpenPage) -> None:
    page = open_page()
    upload(page, EXAMPLES / "cat.png")
    page.locator("#forecast", has_text="225×150").wait_for()
    assert page.locator("#picture > .spot").count() == 0  # the lens is folded
    click_spot(page, "#picture", 60, 50)
    page.locator("#crops figure").nth(1).wait_for()
    names = page.locator("#crops figcaption").all_inner_texts()
    assert names[:2] == ["bicubic", "hpinet-t-x4"]
    assert loaded(page, "#crops img") == [(224, 224)] * len(names)
    page.locator("#picture-x input").fill("225")
    page.locator("#look").click()
    page.locator("#crops [role=alert]", has_text="outside the picture").wait_for()
    page.locator("#picture > .spot").wait_for(state="detached")
    page.locator("#picture-x input").fill("30")
    page.locator("#look").click()
    page.locator("#crops figure").nth(1).wait_for()
    page.locator("#examples button.thumbnail-item").nth(1).click()
    page.locator("#crops", has_text="Nothing looked at yet").wait_for()  # of this one


@pytest.mark.slow
def test_batch_with_a_bad_file(open_page: OpenPage, upscaler: Upscaler, picture: Path, tmp_path: Path) -> None:
    page = open_page()
    page.get_by_role("tab", name="Batch").click()
    bad = tmp_path / "<b>bad.png"
    bad.write_text("nothing")
    archive = tmp_path / "more.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(picture, "deep/inside.png")
        file.write(picture, "deep/inside.webp")
    empty = tmp_path / "empty.zip"
    zipfile.ZipFile(empty, "w").close()
    page.locator("#batch-files input[type=file]").set_input_files([picture, bad, archive, empty])
    page.locator("#batch-status", has_text="4 files to upscale").wait_for()
    page.locator("#batch-files", has_text="more").wait_for()
    page.locator("#batch-run").click()
    page.locator("#batch-download").wait_for()
    rows = page.locator("#batch-table tbody tr").all_inner_texts()
    assert len(rows) == 5
    assert "done" in rows[0]
    assert "failed" in rows[1]
    assert "not a picture" in rows[1]
    assert "deep/inside.png" in rows[2]
    assert "as deep/inside-2.png" in rows[3]
    assert "no pictures" in rows[4]
    with zipfile.ZipFile(downloaded(page, "#batch-download", tmp_path)) as result:
        assert result.namelist() == ["my cat.png", "deep/inside.png", "deep/inside-2.png"]
        assert result.read("deep/inside.png") == made_by_the_library(picture, upscaler)


@pytest.mark.slow
def test_batch_of_a_folder_keeps_its_tree(open_page: OpenPage, picture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    for name in ("beach/cat.png", "mountains/cat.png", "mountains/#1 peak.png", ".thumbs/cat.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture.read_bytes())
    page = open_page()
    page.get_by_role("tab", name="Batch").click()
    page.get_by_role("button", name="A whole folder").click()
    page.locator("#batch-folder input[type=file]").set_input_files(folder)
    page.locator("#batch-folder", has_text="peak").wait_for()
    choose(page, "#batch-scale", "×2")
    page.locator("#batch-run").click()
    page.locator("#batch-download").wait_for()
    with zipfile.ZipFile(downloaded(page, "#batch-download", tmp_path)) as result:
        assert sorted(result.namelist()) == [
            "holiday/beach/cat.png",
            "holiday/mountains/#1 peak.png",
            "holiday/mountains/cat.png",
        ]


@pytest.mark.slow
def test_batch_stopped_keeps_what_is_done(open_page: OpenPage, picture: Path, tmp_path: Path) -> None:
    large = [tmp_path / "large.png", tmp_path / "other.png"]  # half a minute each, for a page that is slow to show it
    for path in large:
        Image.effect_noise((400, 320), 70).save(path)
    page = open_page()
    page.get_by_role("tab", name="Batch").click()
    choose(page, "#batch-scale", "×16")
    page.locator("#batch-files input[type=file]").set_input_files([picture, *large])
    page.locator("#batch-files", has_text="large").wait_for()
    page.locator("#batch-run").click()
    page.locator("#batch-status", has_text="Picture 2 of 3").wait_for()
    page.locator("#batch-stop").click()
    page.locator("#batch-download").wait_for()
    assert "1 done" in page.locator("#batch-status").inner_text()
    assert "2 stopped" in page.locator("#batch-status").inner_text()


_REFUSE = """() => {  // in the browser, whose console would tell of such an answer as of an error
  window.kept = window.fetch;
  let calls = 0;
  window.fetch = (url, options) => {
    if (!String(url?.url ?? url).includes("/queue/join") || (calls += 1) == 1) return window.kept(url, options);
    return Promise.resolve(new Response('{"detail": "Queue is full."}', { status: 503 }));
  };
}"""


@pytest.mark.slow
def test_batch_that_a_full_queue_refuses_can_be_tried_again(open_page: OpenPage, picture: Path) -> None:
    """The buttons have been set by then; no call that would set them back is taken either."""
    page = open_page()
    page.get_by_role("tab", name="Batch").click()
    upload(page, picture, into="#batch-files")
    page.locator("#batch-forecast", has_text="megapixels").wait_for()
    page.evaluate(_REFUSE)
    page.locator("#batch-run").click()
    page.locator(".toast-body").first.wait_for()
    page.locator("#batch-run:enabled").wait_for()
    page.locator("#batch-stop:disabled").wait_for()
    page.evaluate("() => { window.fetch = window.kept; }")
    page.locator("#batch-run").click()
    page.locator("#batch-download").wait_for()


@pytest.mark.slow
def test_measure(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("tab", name="Measure").click()
    upload(page, EXAMPLES / "facade.png", into="#measure-picture")
    page.locator("#measure-picture img").wait_for()
    page.locator("#measure-run").click()
    page.locator("#measure-table tbody tr").nth(1).wait_for()
    bicubic, model = page.locator("#measure-table tbody tr").all_inner_texts()
    assert bicubic.startswith("bicubic")
    assert model.startswith("hpinet-t-x4")
    assert "+" in model  # dB gained over bicubic
    shown = [text.strip().partition(" at ")[0] for text in page.locator("#measure-crops figure").all_inner_texts()]
    # As many rows of crops as find room in the picture without overlapping, which depends on where the models differ.
    comparison = compare(open_picture(EXAMPLES / "facade.png"), 4, {"T": Upscaler.load("T", scale=4)})
    rows = len(comparison.telling_spots(count=CROPS, side=CROP_SIDE))
    assert rows > 1
    assert shown == ["Truth", "bicubic", "hpinet-t-x4"] * rows
    assert loaded(page, "#measure-maps img") == [(192, 160), (192, 160)]
    page.get_by_role("button", name="Copy the table").click()
    assert page.locator("#measure-markdown textarea").input_value().startswith("| model | PSNR-Y")
    assert page.locator("#measure-csv textarea").input_value().startswith("model,PSNR-Y")
    # Of another picture nothing is said yet.
    page.locator(
        "#measure-picture button[aria-label='Clear'], #measure-picture button[aria-label='Remove Image']"
    ).click()
    page.locator("#measure-table").wait_for(state="hidden")
    upload(page, EXAMPLES / "badge.png", into="#measure-picture")
    page.locator("#measure-picture img").wait_for()
    settle(page)
    assert page.locator("#measure-table").is_hidden()


@pytest.mark.slow
def test_measure_as_a_jpeg(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("tab", name="Measure").click()
    choose(page, "#measure-scale", "×2")
    choose(page, "#measure-jpeg", "JPEG of quality 50")
    page.locator("#measure-examples button.thumbnail-item").first.click()
    page.locator("#measure-table tbody tr").nth(2).wait_for()
    names = [row.split("\t")[0] for row in page.locator("#measure-table tbody tr").all_inner_texts()]
    assert names == ["bicubic", "hpinet-t-x2", "hpinet-t-x2, treated"]
    assert "saved as JPEG of quality 50" in page.locator("#measure-status").inner_text()


@pytest.mark.slow
def test_a_photograph_is_treated_by_itself_and_left_alone_when_told(open_page: OpenPage, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    with Image.open(EXAMPLES / "facade.png") as facade:
        facade.convert("RGB").resize((96, 80)).save(photo, quality=40)
    page = open_page("?scale=2")
    upload(page, photo)
    page.locator("#forecast", has_text="JPEG, about quality 40, 4:2:0: treated").wait_for()
    upscale(page)
    page.locator("#status", has_text="quality 40, 4:2:0: treated").wait_for()
    assert re.search(r"explains \d+ % of the JPEG", page.locator("#status").text_content() or "")
    choose(page, "#treatment", "Clean")
    page.locator("#forecast", has_text="4:2:0: as it is").wait_for()
    upscale(page)
    page.locator("#status", has_text="4:2:0: as it is").wait_for()
    choose(page, "#treatment", "Photo")
    page.locator("#model label.impossible", has_text=re.compile("Best.*no.treatment")).wait_for()
    assert page.locator("#model input").nth(2).is_disabled()


@pytest.mark.slow
def test_measure_goes_on_without_a_model_that_cannot_be_fetched(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("tab", name="Measure").click()
    choose(page, "#measure-models", "L · ")
    page.locator("#measure-examples button.thumbnail-item").first.click()
    page.locator("#measure-table tbody tr").nth(1).wait_for()
    assert page.locator("#measure-table tbody tr").count() == 2
    assert "Model L is not on this server yet" in page.locator("#measure-status [role=alert]").inner_text()


@pytest.mark.slow
def test_a_new_picture_takes_the_old_result_away(open_page: OpenPage, picture: Path, deep_picture: Path) -> None:
    page = open_page()
    upload(page, picture)
    page.locator("#forecast", has_text="28×20").wait_for()
    upscale(page)
    page.locator("#download").wait_for(state="visible")
    page.locator("#picture button[aria-label='Clear'], #picture button[aria-label='Remove Image']").first.click()
    page.locator("#download").wait_for(state="hidden")
    upload(page, deep_picture)
    page.locator("#forecast", has_text="26×20").wait_for()
    assert page.locator("#download").is_hidden()
    choose(page, "#format", "JPEG")
    page.locator("#forecast", has_text="JPEG has 8 bits").wait_for()


@pytest.mark.slow
def test_api_tab_knows_where_it_is(open_page: OpenPage, server: str) -> None:
    page = open_page()
    page.get_by_role("tab", name="API").click()
    page.get_by_text(f"{server}/gradio_api/mcp/").wait_for()


def test_api_tab_documents_the_endpoints(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("tab", name="API").click()
    page.locator("text=gradio_client").first.wait_for()
    page.locator("button.label-wrap", has_text="/upscale").first.click()
    page.locator("text=How many times larger along each side").first.wait_for()


def test_phone(open_page: OpenPage, picture: Path) -> None:
    page = open_page(width=390, height=844, phone=True)
    run = page.locator("#run").bounding_box()
    assert run is not None
    assert run["y"] > 700, "the button is not within reach of a thumb"
    assert run["y"] + run["height"] <= 844
    assert run["height"] >= 44
    upload(page, picture)
    page.locator("#forecast", has_text="28×20").wait_for()
    page.locator("#run").tap()
    page.locator("#status", has_text="megapixels").wait_for()
    for tab in ("Upscale", "Batch", "Measure", "Look inside", "API"):
        page.get_by_role("tab", name=tab).tap()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, f"{tab} scrolls sideways"


@pytest.mark.slow
def test_dark_follows_the_visitor(open_page: OpenPage) -> None:
    def brightness(page: "Page") -> float:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]) / 3

    assert brightness(open_page()) > 240
    assert brightness(open_page(dark=True)) < 40


@pytest.mark.slow
def test_two_visitors_never_see_each_others_files(
    open_page: OpenPage, upscaler: Upscaler, picture: Path, tmp_path: Path
) -> None:
    """The same name, other pixels, both at once."""
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / picture.name
    other.write_bytes(encode_picture(resize_bicubic(open_picture(EXAMPLES / "astronaut.png"), 28, 32)))
    first, second = open_page(), open_page()
    for page, path in ((first, picture), (second, other)):
        upload(page, path)
        page.locator("#forecast", has_text="28×").wait_for()
    for page in (first, second):
        page.locator("#run").click()
    for page in (first, second):
        page.locator("#status", has_text="megapixels").wait_for()
    sources = [
        set(
            page.eval_on_selector_all(
                "#picture img, hpinet-viewer, a[href*=file]", "all => all.map(e => e.dataset.view || e.src || e.href)"
            )
        )
        for page in (first, second)
    ]
    assert all(sources)
    assert sources[0].isdisjoint(sources[1])
    assert downloaded(first, "#download", tmp_path).read_bytes() == made_by_the_library(picture, upscaler)
    assert downloaded(second, "#download", tmp_path / "other").read_bytes() == made_by_the_library(other, upscaler)


@pytest.mark.slow
def test_keyboard_alone(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    upload(page, picture)
    page.locator("#forecast", has_text="28×20").wait_for()
    reached: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.closest('[id]')?.id ?? ''"))
        if reached[-1] == "run":
            break
    assert reached[-1] == "run", reached
    page.keyboard.press("Enter")
    page.locator("#status", has_text="megapixels").wait_for()
    border = page.get_by_role("slider", name="Border between before and after")
    border.wait_for()
    at = border.bounding_box()
    border.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("border => border.ariaValueNow > 60", arg=border.element_handle())
    moved = border.bounding_box()
    assert at
    assert moved
    assert moved["x"] > at["x"] + 20


@pytest.mark.slow
def test_first_paint_is_soon(open_page: OpenPage) -> None:
    """The best of three, since other work may be going on."""

    def paint() -> float:
        page = open_page()
        return page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")

    assert min(paint() for _ in range(3)) < 2000
