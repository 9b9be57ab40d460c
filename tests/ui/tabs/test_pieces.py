"""Choosing a part of a picture, without a browser."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import numpy as np
import pytest

from hpinet.images import Picture, save_picture
from hpinet.ui.jobs import tiles
from hpinet.ui.server import storage
from hpinet.ui.server.visitors import COOKIE
from hpinet.ui.tabs import pieces, upscale_events


def test_a_picture_to_choose_from_is_written_once(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "VIEWS", views := tiles.Views(most=2))
    picture = Picture.from_array(np.zeros((20, 26, 3), np.uint8))
    for name in ("cat.png", "dog.png"):
        save_picture(picture, uploads / name)
    cat, dog = (upscale_events.read_source(uploads / name) for name in ("cat.png", "dog.png"))
    request = cast(gr.Request, SimpleNamespace(cookies={COOKIE: "me"}, session_hash="me"))

    def chosen(source: upscale_events.Source, seen: Any) -> tuple[str, pieces.Seen]:
        _, _, viewer, _, _, now = pieces.choose_part(request, source, seen)
        assert now.name in viewer
        assert views.of(now.name, "me") == now.view
        return viewer, now

    of_others = views.open(tiles.keep_upload(picture, uploads, upload=uploads), "others")
    viewer, seen = chosen(cat, None)
    for _ in range(3):
        before, (viewer, again) = viewer, chosen(cat, seen)
        assert again.view == seen.view
        assert viewer != before  # or the page would show nothing
        seen = again
    assert len([*storage.results_root().iterdir()]) == 1
    assert views.of(of_others, "others") is not None
    _, other = chosen(dog, seen)
    assert other.view != seen.view
    shutil.rmtree(other.view.folder)  # as the sweep does
    _, anew = chosen(dog, other)
    assert anew.view != other.view
