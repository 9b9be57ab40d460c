"""Opening a result of this visit again, without a browser."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import numpy as np
import pytest

from hpinet.images import Picture, save_picture
from hpinet.plan import Plan
from hpinet.ui.jobs import tiles
from hpinet.ui.server import storage
from hpinet.ui.server.visitors import COOKIE
from hpinet.ui.tabs import my_results, upscale_events


def test_what_was_forgotten_can_be_opened_again(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it is compared with, under the names that the browser may have tiles of."""
    monkeypatch.setattr(tiles, "VIEWS", views := tiles.Views(most=2))
    picture = Picture.from_array(np.zeros((20, 26, 3), np.uint8))
    save_picture(picture, uploads / "cat.png")
    source = upscale_events.read_source(uploads / "cat.png")

    def made(visitor: str) -> upscale_events.Shown:
        folder = storage.new_folder()
        save_picture(picture, folder / "result.png")
        outcome: Any = SimpleNamespace(
            picture=folder / "result.png", plan=Plan(source.size, (52, 40), (2,)), checkpoint="hpinet-t-x2"
        )
        view = tiles.keep(picture, picture, folder, upload=source.path)
        return upscale_events.Shown(source, outcome, folder, view, views.open(view, visitor), "T", "auto", "", "")

    mine = made("me"), made("me")
    for _ in range(2):
        made("others")
    assert [views.of(one.name, "me") for one in mine] == [None, None]
    request = cast(gr.Request, SimpleNamespace(cookies={COOKIE: "me"}, session_hash="me"))
    event = gr.EventData(None, {"index": 0})
    _, _, _, _, viewer, _, shown = my_results.open_again(
        request, event, results=mine, format="PNG", quality=90, metadata="drop"
    )
    assert shown is mine[1]
    assert [views.of(one.name, "me") for one in mine] == [one.view for one in mine]
    assert views.of(mine[1].name, "others") is None
    assert all(one.name in viewer for one in mine)
