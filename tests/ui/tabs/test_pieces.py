"""Choosing a part of a picture, without a browser."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import numpy as np
import pytest
from PIL import ExifTags, Image

from hpinet.images import Picture, open_picture, save_picture
from hpinet.ui.jobs import previews, tiles
from hpinet.ui.jobs.models import SHELF
from hpinet.ui.server import storage
from hpinet.ui.server.visitors import COOKIE
from hpinet.ui.tabs import pieces, upscale_events

from .conftest import FIELDS


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


@pytest.mark.parametrize(
    ("suffix", "follows", "found"),
    [(".jpg", "JPEG", "JPEG, about quality 80, 4:2:0"), (".webp", "WebP", "WEBP"), (".png", "PNG", "")],
)
def test_a_part_is_treated_and_saved_as_the_whole(uploads: Path, suffix: str, follows: str, found: str) -> None:
    """Its own file is a PNG that says nothing, and so few pixels tell little."""
    path = uploads / f"photo{suffix}"
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "A. Painter"
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(noise).resize((320, 240)).save(path, quality=80, exif=exif, dpi=(100, 100))
    whole = upscale_events.read_source(path)
    assert whole.follows == follows
    event = cast(gr.EventData, SimpleNamespace(_data={"index": [100, 50, 140, 90]}))
    fields: dict[str, Any] = {"wishes": {}, "placed": dict(upscale_events.FIRST)}
    _, part, told, *_ = pieces.cut(event, source=whole, **fields)
    assert part.size == (40, 40)
    assert str(part.found or "") == str(whole.found or "") == found
    assert part.follows == told["format"]["becomes"] == follows
    kept = part.said.kept("keep", (80, 80), is_srgb=True)
    assert b"A. Painter" in kept.exif
    assert kept.dpi is None or round(kept.dpi[0]) == 200  # a print keeps its size
    _, again, *_ = pieces.cut(event, source=replace(part, width=160, height=100, path=path), **fields)  # of that part
    assert (str(again.found or ""), again.follows, again.said.exif) == (found, follows, part.said.exif)


def test_a_part_becomes_what_it_would_be_in_the_whole(uploads: Path) -> None:
    path = uploads / "photo.webp"
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(noise).resize((320, 240)).save(path, quality=80)
    event = cast(gr.EventData, SimpleNamespace(_data={"index": [100, 50, 140, 90]}))
    fields: dict[str, Any] = {"wishes": {}, "placed": dict(upscale_events.FIRST)}
    image, part, *_ = pieces.cut(event, source=upscale_events.read_source(path), **fields)
    request = cast(gr.Request, SimpleNamespace(session_hash="me", cookies={}, client=None))
    status, *_, shown = upscale_events.upscale(
        request, image={"path": image}, source=part, shown=None, **{**FIELDS, "scale": "×2"}
    )
    assert "WEBP: <b>treated</b>" in status
    whole = open_picture(path)
    expected = SHELF.upscaler("T", 2)(
        replace(previews.cropped(whole, 100, 50, 40, 40), compression=whole.compression), treatment="auto"
    )
    assert shown is not None
    assert np.array_equal(open_picture(shown.outcome.picture).colour, expected.colour)
