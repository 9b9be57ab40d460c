"""What the first tab says about a picture, without a browser."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import numpy as np
import pytest
from gradio.context import LocalContext
from PIL import Image

from hpinet.errors import OptionError
from hpinet.images import open_picture, save_picture
from hpinet.plan import Plan
from hpinet.ui import create_demo, links
from hpinet.ui.jobs import formats, previews, tiles
from hpinet.ui.server import storage
from hpinet.ui.tabs import my_results, upscale_events
from hpinet.ui.tabs.upscale_events import FIRST, open_source


@pytest.fixture
def uploaded(uploads: Path) -> Path:
    """A picture with 16 bits, which browsers cannot show, among the uploads."""
    path = uploads / "deep.tif"
    Image.fromarray((np.mgrid[:20, :26].sum(axis=0) * 1400).astype(np.uint16)).save(path)
    return path


def test_a_stand_in_is_never_taken_for_the_picture(uploaded: Path) -> None:
    """The page reports it as a change like any other, at times before it knows what it stands for."""
    assert storage.received({"path": str(uploaded)}) == uploaded

    def opened(path: Path, known: upscale_events.Source | None) -> tuple[Any, ...]:
        present = {"scale": "×4", "pixels": 1920, "model": "T", "format": "PNG"}
        return open_source(image={"path": str(path)}, known=known, wishes={}, placed=dict(FIRST), **present)

    first, *told = opened(uploaded, None)
    assert isinstance(first, upscale_events.Source)
    assert (first.path, first.follows) == (uploaded, "PNG")
    assert told[:2] == [{"of": str(uploaded)}, str(first.shown)]
    again, *told = opened(first.shown, None)
    assert isinstance(again, upscale_events.Source)
    assert again.path == uploaded
    assert told[:2] == [None, None]
    known, *told = opened(first.shown, first)
    assert known == gr.skip()  # nothing to remember anew
    assert told[:2] == [None, None]
    known, *told = opened(uploaded, first)  # the same one chosen once more
    assert known == gr.skip()
    assert told[:2] == [{"of": str(uploaded)}, str(first.shown)]
    broken = uploaded.with_name("broken.png")
    broken.write_bytes(b"nothing")
    for before, shown in ((first, str(first.shown)), (None, None)):
        known, *told = opened(broken, before)
        assert known == gr.skip()
        assert told[:2] == [{"of": str(broken)}, shown]  # the one before in its place, if there is one
        assert told[2]["visible"]


REQUEST = cast(gr.Request, SimpleNamespace(session_hash="a-visit", cookies={}, client=None))


def result_of(uploaded: Path, size: tuple[int, int] = (52, 40)) -> upscale_events.Shown:
    """What a visitor looks at: a result, said to be that large."""
    source = upscale_events.read_source(uploaded)
    folder = storage.new_folder()
    save_picture(open_picture(uploaded), folder / "result.png")
    outcome: Any = SimpleNamespace(
        picture=folder / "result.png", plan=Plan(source.size, size, (2,)), checkpoint="hpinet-t-x2"
    )
    return upscale_events.Shown(source, outcome, folder, cast(Any, None), "", "T", "auto", "", "")


def offer(shown: upscale_events.Shown | None, format: str, quality: int = 90) -> Any:
    return upscale_events.offer(REQUEST, shown=shown, format=format, quality=quality, metadata="drop")


def test_the_file_that_was_offered_last_is_taken_along(uploaded: Path) -> None:
    shown = result_of(uploaded)
    assert upscale_events.offered_last(shown) is None
    for format in ("JPEG", "PNG", "WebP", "JPEG", "PNG"):
        assert offer(shown, format)["label"].startswith(f"Download {format} · ")
        last = upscale_events.offered_last(shown)
        assert last is not None
        assert last.suffix == previews.FORMATS[format]
    assert offer(shown, "PNG") == offer(None, "JPEG") == gr.skip()
    shown.outcome.picture.unlink()
    with pytest.raises(OptionError, match="gone from the server by now"):
        offer(shown, "JPEG", 80)
    for file in shown.folder.rglob("*.png"):
        file.unlink()
    assert upscale_events.offered_last(shown) is None


def test_a_large_result_is_there_before_its_file_is_made(uploaded: Path) -> None:
    small, large = result_of(uploaded), result_of(uploaded, (6000, 4000))
    for shown, made in ((small, "AVIF"), (large, "PNG")):
        at_once = upscale_events.offered_at_once(shown, "AVIF", 90, "drop", REQUEST)
        assert at_once["label"].startswith(f"Download {made}")
        assert Path(at_once["value"]).is_file()
    assert offer(small, "AVIF") == gr.skip()
    assert offer(large, "AVIF")["label"].startswith("Download AVIF")
    again = upscale_events.offered_at_once(large, "AVIF", 90, "drop", REQUEST)
    assert again["label"].startswith("Download AVIF")


@pytest.mark.parametrize("meanwhile", ["another format", "another result", "no result"])
def test_what_took_its_time_is_not_offered_after_what_came_later(
    uploaded: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    shown, encode = result_of(uploaded), formats.save_picture

    def overtaken(*arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(formats, "save_picture", encode)
        call = LocalContext.event_id.set("b")
        if meanwhile == "another format":
            assert offer(shown, "JPEG") != gr.skip()
        elif meanwhile == "another result":
            upscale_events.offered_at_once(result_of(uploaded), "PNG", 90, "drop", REQUEST)
        else:
            upscale_events.offer_no_more(REQUEST)
        LocalContext.event_id.reset(call)
        encode(*arguments, **options)

    monkeypatch.setattr(formats, "save_picture", overtaken)
    call = LocalContext.event_id.set("a")  # each call of the page's has a name
    try:
        assert offer(shown, "AVIF") == gr.skip()
    finally:
        LocalContext.event_id.reset(call)
    last = upscale_events.offered_last(shown)
    assert (last and last.suffix) == (".jpg" if meanwhile == "another format" else None)


def test_files_are_not_made_among_what_is_quick() -> None:
    offers = [handler for handler in create_demo([]).fns.values() if handler.fn is upscale_events.offer]
    assert [handler.concurrency_id for handler in offers] == ["compute"] * 3


def test_results_that_are_gone_leave_the_strip_and_the_others_stay(uploaded: Path) -> None:
    source = upscale_events.read_source(uploaded)

    def made() -> upscale_events.Shown:
        folder = storage.new_folder()
        view = tiles.keep(open_picture(uploaded), open_picture(uploaded), folder, upload=uploaded)
        return upscale_events.Shown(source, cast(Any, None), folder, view, "", "T", "auto", "", "")

    gone, there = made(), made()
    shutil.rmtree(gone.folder)
    strip, shown, _, results = my_results.show((gone, there))
    assert strip["visible"]
    assert len(shown) == 1
    assert results == (there,)


def test_after_a_reset_the_next_picture_is_followed(uploaded: Path) -> None:
    """What the page has put in place is no wish of the visitor's."""
    photo = uploaded.with_name("photo.jpg")
    Image.effect_noise((40, 30), 60).convert("RGB").save(photo, quality=80)
    first = {"model": "T", "scale": "×4", "treatment": "auto", "pixels": 1, "format": "PNG", "metadata": "drop"}
    *fields, kept, wishes, placed = links.reset(first, upscale_events.read_source(photo))
    values = dict(zip(first, (field["value"] for field in fields), strict=True))
    assert (kept, wishes) == ({}, {})
    assert (values["metadata"], values["pixels"]) == ("drop", 160)
    assert values["format"] == "JPEG"
    present = {name: values[name] for name in upscale_events.PRESELECTED if name in values}
    told, _ = upscale_events.followed(upscale_events.read_source(uploaded), wishes, placed, **present)
    assert told["format"]["becomes"] == "PNG"


def test_what_a_kind_of_file_does_not_keep_is_said(uploaded: Path) -> None:
    source = replace(upscale_events.read_source(uploaded), traits=("grey", "16 bit", "transparent"))
    told = {kind: " ".join(upscale_events._lost(source, kind)) for kind in previews.FORMATS}
    assert {kind for kind, words in told.items() if f"{kind} has 8 bits" in words} == {"JPEG", "WebP", "AVIF"}
    assert {kind for kind, words in told.items() if f"{kind} has no transparency" in words} == {"JPEG"}
