"""What the second tab foresees and hands over; called as the page calls it, without a browser."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest
from PIL import Image

from hpinet.errors import OptionError
from hpinet.ui import endpoints
from hpinet.ui.jobs.batch import Batch, Item
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


def test_one_file_is_not_several(uploads: Path) -> None:
    assert "<li>1 file</li>" in batch._summary(Batch([Item("a.png", None, "failed")], uploads))
    assert "<li>2 files</li>" in batch._summary(Batch([Item("a.png", None, "failed")] * 2, uploads))
