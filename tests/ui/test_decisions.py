"""What the page decides for visitors, and what it does when something comes at the wrong moment."""

import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
import pytest
from PIL import Image

from hpinet.errors import Cancelled
from hpinet.settings import settings
from hpinet.ui import links
from hpinet.ui.jobs import running
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.parts.wishes import NAMES, Wishes
from hpinet.ui.tabs import pieces, upscale_events
from hpinet.ui.tabs.upscale import build
from hpinet.ui.tabs.upscale_events import Source

from .conftest import EXAMPLES, OpenPage, settle
from .test_browser import begin_long_run, choose, choose_long_run, shown, upload, upscale

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small photograph as a JPEG: 96 x 80 pixels."""
    path = tmp_path / "photo.jpg"
    with Image.open(EXAMPLES / "facade.png") as facade:
        facade.convert("RGB").resize((96, 80)).save(path, quality=90)
    return path


def next_visit(page: "Page") -> "Page":
    """The page anew in the same browser, at the bare address."""
    again = page.context.new_page()
    again.goto(page.url.partition("?")[0])
    again.wait_for_selector("#run")
    return again


def selected(page: "Page", field: str, words: str) -> None:
    page.locator(f"{field} label.selected", has_text=re.compile(rf"^\s*{words}")).wait_for()


def test_the_file_follows_the_upload_until_the_visitor_says_otherwise(
    open_page: OpenPage, photo: Path, picture: Path
) -> None:
    page = open_page()
    upload(page, photo)
    selected(page, "#format", r"JPEG · \d+ kB")
    page.locator("#format label", has_text=re.compile(r"PNG · \d+ kB")).wait_for()
    upscale(page)
    assert page.locator("#download").inner_text().startswith("Download JPEG")
    choose(page, "#format", "PNG")
    page.locator("#download", has_text="Download PNG").wait_for()
    page = next_visit(page)  # what was chosen by hand stays
    selected(page, "#format", "PNG")
    upload(page, photo)
    page.locator("#forecast", has_text="96×80").wait_for()
    selected(page, "#format", "PNG")
    page.locator("#reset").click()
    selected(page, "#format", "JPEG")
    page.wait_for_url(re.compile(r"^[^?]*$"))
    page = next_visit(page)
    upload(page, photo)
    selected(page, "#format", "JPEG")


@pytest.mark.slow
def test_a_reset_resets_every_field(open_page: OpenPage) -> None:
    """Above all what of the file's data goes into the next result."""
    page = open_page()
    for title in ("About the file", "About the models"):
        page.get_by_role("button", name=title).first.click()
    choose(page, "#metadata", "Keep all")
    choose(page, "#scale", "Pixels")
    choose(page, "#side", "Width")
    page.locator("#quality input[type=number]").fill("40")
    page.locator("#more input").check()
    page.locator("#model label", has_text="larger still").wait_for()
    page.locator("#reset").click()
    selected(page, "#metadata", "Leave out")
    selected(page, "#scale", "×4")
    page.locator("#model label", has_text="larger still").wait_for(state="detached")
    assert page.locator("#quality input[type=number]").input_value() == "90"
    choose(page, "#scale", "Pixels")
    selected(page, "#side", "Longest side")


def test_what_is_chosen_while_the_picture_is_read_stays(
    open_page: OpenPage, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    def slowly(path: Path, read: Callable[[Path], Source] = upscale_events.read_source) -> Source:
        begun.set()
        assert may_go_on.wait(60)
        return read(path)

    monkeypatch.setattr(upscale_events, "read_source", slowly)
    page = open_page()
    upload(page, photo)
    assert begun.wait(60)
    choose(page, "#scale", "Pixels")
    page.locator("#pixels input").fill("200")
    choose(page, "#model", "Good")
    may_go_on.set()
    page.locator("#forecast", has_text="96×80 → 200×167").wait_for()
    selected(page, "#format", "JPEG")  # what was not chosen follows the picture
    settle(page)
    assert page.locator("#pixels input").input_value() == "200"
    selected(page, "#scale", "Pixels")
    selected(page, "#model", "Good")


@pytest.mark.slow
def test_a_large_photograph_gets_a_scale_that_works_and_a_word_of_advice(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPINET_MAX_SECONDS", "100000")  # however slow this machine is just now
    monkeypatch.setenv("HPINET_JOB_MB", "8000")
    settings.cache_clear()  # the server of these tests runs in this process
    large = tmp_path / "large.jpg"
    Image.new("RGB", (6016, 4016), "teal").save(large)  # what a camera of 24 megapixels gives
    page = open_page()
    upload(page, large)
    page.locator("#scale", has_text="24 megapixels already: ×2 makes 97").wait_for()
    selected(page, "#scale", "×2")
    assert page.locator("#scale label.impossible").all_inner_texts() == ["×3 ✕", "×4 ✕", "×8 ✕", "×16 ✕"]
    page.locator("#scale input[value='×4']:disabled").wait_for()
    assert page.locator("#forecast [role=alert]").count() == 0
    choose(page, "#scale", "Pixels")
    assert page.locator("#pixels input").input_value() == "12032"
    page.locator("#forecast", has_text="6016×4016 → 12032×8032").wait_for()
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.parametrize("name", ["drawing.svg", "broken.jpg"])
def test_a_refused_picture_is_told_beside_the_field_and_the_next_one_works(
    open_page: OpenPage, picture: Path, tmp_path: Path, name: str
) -> None:
    bad = tmp_path / name
    bad.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="4"/></svg>')
    page = open_page()
    upload(page, bad)
    page.locator("#refusal [role=alert]", has_text="SVG files cannot be opened").wait_for()
    page.locator("#picture button", has_text="Drop a picture here").wait_for()
    assert page.locator(".toast-body").count() == 0
    upload(page, picture)
    page.locator("#refusal").wait_for(state="hidden")
    page.locator("#forecast", has_text="28×20").wait_for()
    upscale(page)


@pytest.mark.slow
def test_another_picture_ends_the_run_of_the_one_before(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    begin_long_run(page)
    page.locator("#picture button[aria-label='Clear'], #picture button[aria-label='Remove Image']").first.click()
    upload(page, picture)
    page.locator("#forecast", has_text="28×20").wait_for()
    page.locator("#run:not([disabled])").wait_for()
    assert page.locator("#download").is_hidden()
    choose(page, "#scale", "×2")
    page.locator("#forecast", has_text="28×20 → 56×40").wait_for()
    upscale(page)
    assert shown(page)["result"] == [56, 40]


@pytest.mark.slow
def test_an_example_ends_the_run_before_it(open_page: OpenPage) -> None:
    page = open_page()
    begin_long_run(page)
    page.locator("#examples button.thumbnail-item").first.click()
    page.locator("#results button.thumbnail-item").wait_for()
    page.locator("#run:not([disabled])").wait_for()
    settle(page)
    assert page.locator("#stop").is_disabled()
    assert page.locator("#results button.thumbnail-item").count() == 1
    said = page.locator("#status").inner_text()
    page.wait_for_timeout(2000)
    assert page.locator("#status").inner_text() == said
    assert sum(running.turns().counts) == 0


@pytest.mark.slow
def test_another_picture_ends_the_run_before_its_first_piece_is_there(
    open_page: OpenPage, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def slowly(*_: object, stop: StopFlag, **__: object) -> None:
        begun.set()
        while not stop.ends():
            time.sleep(0.1)
        raise Cancelled

    monkeypatch.setattr(pieces, "glimpse", slowly)
    page = open_page()
    choose_long_run(page)
    page.locator("#run").click()
    assert begun.wait(60)
    page.locator("#picture button[aria-label='Clear'], #picture button[aria-label='Remove Image']").first.click()
    upload(page, picture)
    page.locator("#forecast", has_text="28×20").wait_for()
    page.locator("#run:not([disabled])").wait_for()
    settle(page)
    page.locator("#status", has_text="Ready.").wait_for()
    assert page.locator("#stop").is_disabled()
    assert page.locator("#download").is_hidden()
    assert page.locator("#results").is_hidden()


@pytest.mark.slow
def test_the_upload_button_of_a_picture_asks_for_another_and_keeps_the_first(
    open_page: OpenPage, picture: Path, photo: Path
) -> None:
    page = open_page()
    upload(page, picture)
    page.locator("#forecast", has_text="28×20").wait_for()
    page.locator("#picture img").wait_for()
    with page.expect_file_chooser() as chooser:
        page.locator("#picture [data-testid=source-select] button[aria-label='Upload file']").click()
    assert page.locator("#picture img").is_visible()
    chooser.value.set_files(photo)
    page.locator("#forecast", has_text="96×80").wait_for()


FILES = """async ([kind, files]) => {
  const transfer = new DataTransfer();
  for (const [name, data] of files) {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type: "image/png" }));
  }
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
    : new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.activeElement.dispatchEvent(event);
}"""


def send(page: "Page", kind: str, *paths: Path) -> None:
    """What a browser does when files are pasted or dropped on the page."""
    page.evaluate(FILES, [kind, [[path.name, b64encode(path.read_bytes()).decode()] for path in paths]])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_files_go_where_they_belong(open_page: OpenPage, picture: Path, photo: Path, kind: str) -> None:
    page = open_page()
    settle(page)
    send(page, kind, picture)
    page.locator("#forecast", has_text="28×20").wait_for()
    send(page, kind, photo)  # in place of the first
    page.locator("#forecast", has_text="96×80").wait_for()
    page.get_by_role("tab", name="Measure").click()
    send(page, kind, EXAMPLES / "cat.png")
    page.locator("#measure-picture img").wait_for()
    send(page, kind, picture, photo)  # several are a batch, whatever tab is open
    page.locator("#batch-status", has_text="2 files to upscale").wait_for()
    page.locator("#batch-forecast", has_text="megapixels to be made").wait_for()


@pytest.mark.slow
def test_what_is_pasted_goes_to_the_picture_unless_one_types(open_page: OpenPage, picture: Path, photo: Path) -> None:
    page = open_page()
    settle(page)
    choose(page, "#scale", "Pixels")
    page.locator("#scale input[value='Pixels…']").focus()
    send(page, "paste", picture)
    page.locator("#forecast", has_text="28×20").wait_for()
    page.locator("#pixels input").focus()
    send(page, "paste", photo)
    settle(page)
    assert "28×20" in page.locator("#forecast").inner_text()


@pytest.mark.slow
def test_after_the_button_for_the_clipboard_files_are_taken_as_before(
    open_page: OpenPage, picture: Path, photo: Path
) -> None:
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copy = """async (data) => {
      const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), type = "image/png";
      await navigator.clipboard.write([new ClipboardItem({ [type]: new Blob([bytes], { type }) })]);
    }"""
    settle(page)
    page.evaluate(copy, b64encode(picture.read_bytes()).decode())
    sources = page.locator("#picture [data-testid=source-select] button")
    sources.nth(1).click()
    page.locator("#forecast", has_text="28×20").wait_for()
    send(page, "drop", photo)
    page.locator("#forecast", has_text="96×80").wait_for()
    sources.nth(1).click()
    page.locator("#forecast", has_text="28×20").wait_for()
    sources.nth(0).click()
    page.locator("#picture button", has_text="Drop a picture here").wait_for()


def hold(page: "Page", calls: str) -> Callable[[], None]:
    """Keeps such calls of the page from reaching the server until the function is called that this returns."""
    held: list[Route] = []

    def keep(route: "Route") -> None:
        held.append(route)

    def let_go() -> None:
        for route in held:
            route.continue_()
        page.unroute(re.compile(calls))

    page.route(re.compile(calls), keep)
    return let_go


@pytest.mark.slow
def test_what_is_sent_while_something_is_on_its_way_waits_for_it(
    open_page: OpenPage, picture: Path, photo: Path
) -> None:
    page = open_page()
    settle(page)
    let_go = hold(page, "/upload")
    send(page, "drop", photo)
    page.locator("#picture .uploading").wait_for()
    send(page, "paste", picture)  # in place of it
    page.wait_for_timeout(3500)  # an impatient page gives up by now
    let_go()
    page.locator("#forecast", has_text="28×20").wait_for()
    page.get_by_role("tab", name="Batch").click()
    let_go = hold(page, "/upload")
    send(page, "drop", picture, photo)
    page.locator("#batch-files .uploading").wait_for()
    send(page, "drop", photo)  # on their tab any file joins them
    send(page, "drop", EXAMPLES / "cat.png")
    page.wait_for_timeout(3500)
    let_go()
    page.locator("#batch-status", has_text="4 files to upscale").wait_for()


@pytest.mark.slow
def test_what_is_dropped_where_no_picture_belongs(open_page: OpenPage, picture: Path) -> None:
    """It brings up the first tab."""
    page = open_page()
    page.get_by_role("tab", name="API").click()
    settle(page)
    send(page, "drop", picture)
    page.locator("#forecast", has_text="28×20").wait_for()


def drop(page: "Page", selector: str, *paths: Path) -> None:
    """What the browser does when somebody drags files and folders from another window to the middle of an element."""
    box = page.locator(selector).bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})


@pytest.mark.slow
def test_dropped_folders_keep_their_trees(open_page: OpenPage, picture: Path, photo: Path, tmp_path: Path) -> None:
    """Dropped anywhere, on the field for folders too, where they join the one before; files beside them go along."""
    page = open_page()
    settle(page)
    first, second = tmp_path / "holiday", tmp_path / "sea"
    for path, source in (
        (first / "day 1" / "peak.png", picture),
        (first / "day 2" / "peak.png", photo),
        (second / "wave.png", picture),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
    drop(page, "#picture", second)
    page.locator("#batch-status", has_text="1 file to upscale").wait_for()
    drop(page, "#batch-folder", first, second, picture)
    page.locator("#batch-status", has_text="5 files to upscale").wait_for()
    page.get_by_role("button", name="Upscale all").click()
    page.locator("#batch-download", has_text="Download").wait_for()
    names = page.locator("#batch-table tbody tr > :first-child").all_inner_texts()
    in_trees = ["holiday/day 1/peak.png", "holiday/day 2/peak.png", "sea/wave.png", "sea/wave.png"]
    assert sorted(names) == sorted([*in_trees, picture.name])


# Makes gone.png a file that cannot be read any more once its folder is.
GONE = """() => {
  const { webkitGetAsEntry } = DataTransferItem.prototype;
  DataTransferItem.prototype.webkitGetAsEntry = function () {
    const folder = webkitGetAsEntry.call(this), reader = folder.createReader(), read = reader.readEntries.bind(reader);
    const gone = (_, fail) => fail(new DOMException("It could not be found.", "NotFoundError"));
    reader.readEntries = (done, fail) => read((entries) => {
      for (const entry of entries) if (entry.name === "gone.png") entry.file = gone;
      done(entries);
    }, fail);
    folder.createReader = () => reader;
    return folder;
  };
}"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["dropped", "chosen"])
def test_of_a_folder_what_cannot_be_sent_is_left_out_and_the_rest_goes_on(
    open_page: OpenPage, picture: Path, tmp_path: Path, how: str
) -> None:
    page = open_page()
    settle(page)
    folder = tmp_path / "holiday"
    for name in ("peak.PNG", "day 1/wave.png", "gone.png", ".DS_Store", ".thumbs/peak.png", "clip.mp4", "large.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture.read_bytes())
    megabytes = settings().max_upload_mb
    with (folder / "large.png").open("ab") as large:
        large.truncate(megabytes * 1_000_000 + 1)
    if how == "dropped":
        page.evaluate(GONE)
        drop(page, "#picture", folder)
    else:
        (folder / "gone.png").unlink()
        page.get_by_role("tab", name="Batch").click()
        page.get_by_role("button", name="A whole folder").click()
        page.locator("#batch-folder input[type=file]").set_input_files(folder)
    count = 5 if how == "dropped" else 4
    told = f"Left out: {count} (hidden, no picture, over {megabytes} MB, or unreadable)"
    page.locator("#batch-left-out", has_text=told).wait_for()
    page.locator("#batch-status", has_text="2 files to upscale").wait_for()
    assert page.locator(".toast-body").count() == 0
    # Nothing of the kind is said of the next one.
    page.locator("#batch-folder button:is([aria-label=Clear], [data-named=Clear])").click()
    page.locator("#batch-left-out").wait_for(state="hidden")
    drop(page, "#batch-folder", folder / "day 1")
    page.locator("#batch-status", has_text="1 file to upscale").wait_for()
    assert page.locator("#batch-left-out").is_hidden()
    # Where nothing is left, that is told.
    drop(page, "#batch-folder", folder / ".thumbs")
    page.locator("#batch-left-out", has_text="Left out: 1 (").wait_for()
    page.locator("#voice", has_text="Left out: 1 (").wait_for(state="attached")


def test_a_group_of_choices_is_one_stop_of_the_tab_key(open_page: OpenPage) -> None:
    page = open_page()
    settle(page)
    page.locator("#scale input[value='×4']").focus()
    page.keyboard.press("ArrowRight")
    selected(page, "#scale", "×8")
    settle(page)  # the choices are rendered anew
    page.wait_for_function("new Set([...document.querySelectorAll('#scale input')].map((i) => i.name)).size === 1")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('fieldset').id") == "treatment"


def test_the_page_speaks_english_and_says_what_happens(open_page: OpenPage, photo: Path) -> None:
    page = open_page()
    assert page.evaluate("[document.documentElement.lang, navigator.language]") == ["en", "en"]
    upload(page, photo)
    page.locator("#forecast", has_text="96×80").wait_for()
    upscale(page)
    page.locator("#voice", has_text="96×80 → 384×320").wait_for(state="attached")
    assert page.locator("#picture .image-frame img").get_attribute("alt") == "Your picture"


def test_an_answer_that_has_not_heard_of_the_last_choice_changes_nothing(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#scale label", has_text="×8").click()

    def followed(heard: str | None, becomes: str, stands: str = "×8") -> str:
        told = {"scale": {"heard": heard, "becomes": becomes}}
        [scale] = page.evaluate("([told, stands]) => window.followed(told, ['scale'], [stands])", [told, stands])
        return scale

    assert followed("×16", "×16") == followed(None, "×4") == "×8"
    assert followed("×8", "×2") == "×2"  # what cannot be done is not kept
    assert followed(None, "×3", stands="×2") == "×3"  # nor what the page itself has put there since
    page.locator("#reset").click()
    page.locator("#scale label.selected", has_text="×4").wait_for()
    assert followed(None, "×2") == "×2"


@pytest.mark.slow
def test_on_a_phone_progress_and_result_come_to_the_visitor(open_page: OpenPage) -> None:
    page = open_page(width=390, height=844, phone=True)
    choose_long_run(page)
    page.locator("#run").tap()
    page.locator(".actions .told", has_text=re.compile(r"Enlarging.* ([1-9]\d*|\d\.[1-9]) %")).wait_for()
    page.locator("#stop").tap()
    page.locator("#run:not([disabled])").wait_for()
    choose(page, "#scale", "×2")
    page.locator("#forecast", has_text="×2").wait_for()
    page.locator("#run").tap()
    page.locator("#download").wait_for()
    page.wait_for_function(
        "() => { const r = document.querySelector('#download').getBoundingClientRect();"
        " return r.top >= 0 && r.bottom < window.innerHeight - 80 }"
    )


@pytest.mark.slow
def test_what_is_touched_first_is_not_overwritten_by_what_is_restored(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page()
    settle(page)
    choose(page, "#scale", "×2")
    choose(page, "#treatment", "Photo")
    settle(page)  # until the browser has kept it
    asked = links._asked

    def slowly(request: gr.Request) -> Wishes:
        time.sleep(1.5)
        return asked(request)

    monkeypatch.setattr(links, "_asked", slowly)
    page = next_visit(page)
    choose(page, "#scale", "×3")  # before anything is restored
    selected(page, "#treatment", "Photo")
    selected(page, "#scale", "×3")
    page.locator("#scale label.selected", has_text="×2").wait_for(state="detached")
    monkeypatch.undo()
    settle(page)
    selected(next_visit(page), "#scale", "×3")


@pytest.mark.slow
def test_of_two_choices_at_once_both_are_kept(open_page: OpenPage) -> None:
    page = open_page()
    settle(page)
    let_go = hold(page, "/queue/join")
    choose(page, "#treatment", "Clean")
    choose(page, "#scale", "×2")
    page.wait_for_timeout(200)
    let_go()
    settle(page)
    page = next_visit(page)
    selected(page, "#scale", "×2")
    selected(page, "#treatment", "Clean")


def test_wishes_change_one_after_the_other() -> None:
    """Two handlers at once would read the same ones, and the later would undo what the earlier has noted."""
    with gr.Blocks() as page:
        tab = build([])
        links.connect(page, tab)
    changing = [fn for fn in page.fns.values() if tab.wishes in fn.outputs]
    assert len(changing) == 2 + len(NAMES)  # they are restored and reset too
    assert {(fn.concurrency_id, fn.concurrency_limit) for fn in changing} == {("wishes", 1)}
