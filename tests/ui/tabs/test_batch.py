"""What the second tab foresees and hands over; called as the page calls it, without a browser."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest
from gradio.context import LocalContext
from PIL import Image

from hpinet.errors import OptionError
from hpinet.ui import endpoints
from hpinet.ui.jobs.batch import Batch, Item
from hpinet.ui.jobs.running import StopFlag, only_one
from hpinet.ui.tabs import batch

from .conftest import FIELDS


def sent(folder: Path, name: str, width: int = 40) -> dict[str, str]:
    Image.new("RGB", (width, 30), "teal").save(folder / name)
    return {"path": str(folder / name), "orig_name": name}


def test_whatever_changes_the_outcome_changes_the_forecast() -> None:
    with gr.Blocks() as page, gr.Tab("Batch"):
        batch.build()
    foresee = next(fn for fn in page.fns.values() if fn.name == "foresee")
    names = {getattr(page.blocks[block], "elem_id", None) for block, _ in foresee.targets if block is not None}
    fields = ("model", "scale", "side", "pixels", "treatment", "format", "quality", "metadata")
    assert names == {"batch-files", "batch-folder", *(f"batch-{field}" for field in fields)}


def test_the_format_follows_as_far_as_it_holds_the_results(uploads: Path) -> None:
    files = [sent(uploads, "wide.webp", 4400)]
    assert batch.foresee(files=files, tree=[], **FIELDS)[1] == {batch.FORMAT_FIELD: "PNG"}
    assert batch.foresee(files=files, tree=[], **{**FIELDS, "scale": "×2"})[1] == {batch.FORMAT_FIELD: "WebP"}
    forecast, _ = batch.foresee(files=files, tree=[], **{**FIELDS, "format": "WebP"})
    assert "1 that cannot be enlarged so" in forecast


def test_what_is_no_ones_picture_is_not_foreseen(uploads: Path) -> None:
    hidden = {"path": str(uploads / "none"), "orig_name": ".DS_Store"}
    tree: list[Any] = [hidden, sent(uploads, "a.jpg")]
    forecast, followed = batch.foresee(files=[], tree=tree, **FIELDS)
    assert "cannot be enlarged" not in forecast
    assert followed == {batch.FORMAT_FIELD: "JPEG"}
    assert ">1 file to upscale.<" in batch._count([], tree)
    assert "Choose pictures" in batch._count([], [hidden])


def test_more_than_a_batch_has_are_refused_before_they_are_looked_for(
    uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpinet.ui.jobs.batch.settings", lambda: SimpleNamespace(batch_files=2))
    nowhere: list[Any] = [{"path": "/nowhere"}] * 3
    told, _ = batch.foresee(files=nowhere, tree=[], **FIELDS)
    (status, *_), *more = batch.upscale_all(gr.Request(), files=nowhere[:2], tree=nowhere[:1], **FIELDS)
    assert "A batch has at most 2 pictures." in told
    assert "A batch has at most 2 pictures." in status
    assert more == []
    with pytest.raises(OptionError, match="at most 2 pictures"):
        endpoints.upscale_batch(nowhere)


@pytest.mark.parametrize("statuses", [("done", "done"), ("done", "failed"), ("failed", "failed")])
def test_a_zip_of_the_batch_before_does_not_stand_under_the_next(
    statuses: tuple[str, ...], uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(items: list[Item], *_: object) -> Iterator[Batch]:
        state = Batch(items, uploads / "hpinet.zip")
        state.archive.write_bytes(bytes(4000))
        yield state
        for item, status in zip(items, statuses, strict=True):
            item.status = status
        state.finished = True
        yield state

    monkeypatch.setattr(batch, "run_batch", run)
    files = [sent(uploads, "a.png"), sent(uploads, "b.png")]
    under_way, finished = (
        cast(dict[str, Any], offer) for _, _, offer in batch.upscale_all(gr.Request(), files=files, tree=[], **FIELDS)
    )
    assert under_way["visible"] is False
    done = statuses.count("done")
    assert finished["visible"] is (done > 0)
    if done:
        assert finished["label"] == f"Download ZIP · {done} {'picture' if done == 1 else 'pictures'} · 4 kB"


@pytest.fixture
def page() -> gr.Blocks:
    with gr.Blocks() as page:
        batch.build()
    return page


def test_stop_gives_the_buttons_back_where_nothing_is_under_way(page: gr.Blocks) -> None:
    """A batch that is under way does so itself, once it has handed over what is done."""
    [halt] = [fn.fn for fn in page.fns.values() if fn.name == "halt"]
    request = cast(gr.Request, SimpleNamespace(session_hash="a visit"))
    assert halt is not None
    token = LocalContext.event_id.set("a call")
    with only_one(StopFlag.of(request, "batch")):
        LocalContext.event_id.reset(token)
        assert halt(request) == (gr.skip(), gr.skip())
        assert StopFlag.of(request, "batch").is_raised
    assert halt(request) == (gr.update(interactive=True), gr.update(interactive=False))


def test_a_run_that_is_refused_gives_the_buttons_back_without_a_call(page: gr.Blocks) -> None:
    ids = {getattr(block, "elem_id", None): key for key, block in page.blocks.items()}
    ways_back = [each for each in page.get_config_file().get("dependencies", []) if each["trigger_only_on_failure"]]
    names = {page.fns[each["trigger_after"]].name for each in ways_back}
    assert names == {"upscale_all", "_after"}
    for each in ways_back:
        assert not each["backend_fn"]
        assert each["js"]
        assert each["outputs"] == [ids["batch-run"], ids["batch-stop"]]


def test_one_file_is_not_several(uploads: Path) -> None:
    assert "<li>1 file</li>" in batch._summary(Batch([Item("a.png", None, "failed")], uploads))
    assert "<li>2 files</li>" in batch._summary(Batch([Item("a.png", None, "failed")] * 2, uploads))
