"""What the tabs say of what cannot be done; called as the page calls them, without a browser."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from hpinet.errors import OptionError
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.server.storage import NOT_SENT_HERE
from hpinet.ui.tabs import batch, lens, pieces, upscale_events
from hpinet.ui.tabs.upscale_events import Source, advice, read_source

from .conftest import FIELDS


@pytest.fixture
def path(uploads: Path) -> Path:
    path = uploads / "small.png"
    Image.new("RGB", (40, 30), "teal").save(path)
    return path


@pytest.fixture
def source(path: Path) -> Source:
    return read_source(path)


def event(data: object) -> Any:
    return SimpleNamespace(_data={"index": data})


def test_the_lens(source: Source) -> None:
    def looked_at(source: Source | None, x: int, y: int) -> Any:
        return lens.magnify(gr.Request(), source=source, treatment="auto", x=x, y=y)

    assert "Choose a picture first" in looked_at(None, 1, 1)
    assert "The spot 40, 2 lies outside the picture of 40×30 pixels." in looked_at(source, 40, 2)
    source.path.unlink()
    assert NOT_SENT_HERE in looked_at(source, 1, 1)


def test_the_lens_after_a_connection_was_lost(source: Source) -> None:
    """Gradio takes it for a page that was closed, whose work ends; and the page goes on as before."""
    request = gr.Request()
    request.session_hash = "a-session"
    StopFlag.of(request, "lens").raise_it()
    assert "hpinet-t-x4" in lens.magnify(request, source=source, treatment="clean", x=1, y=1)


def test_the_lens_treats_as_the_run_would(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "photo" / "photo.jpg"
    path.parent.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (120, 120, 3), np.uint8)
    Image.fromarray(noise).resize((480, 480)).save(path, quality=40)

    def looked_at(treatment: str) -> str:
        return lens.magnify(gr.Request(), source=read_source(path), treatment=treatment, x=9, y=9)

    assert looked_at("auto") == looked_at("photo") != looked_at("clean")


def test_a_part_of_the_picture(source: Source) -> None:
    request = gr.Request()
    assert all(one == gr.skip() for one in pieces.choose_part(request, None, None))
    settings: dict[str, Any] = {"wishes": {}, "placed": {}}
    with pytest.raises(OptionError, match="Choose a picture first"):
        pieces.cut(event([0, 0, 9, 9]), source=None, **settings)
    with pytest.raises(OptionError, match="A part must be at least"):
        pieces.cut(event([38, 0, 60, 30]), source=source, **settings)
    _, part, told, placed, word = pieces.cut(event([10, 5, 60, 60]), source=source, **settings)
    assert part.size == (30, 25)
    assert word
    assert {name: following["becomes"] for name, following in told.items()} == placed
    source.path.unlink()
    status, *others = pieces.choose_part(request, source, None)
    assert NOT_SENT_HERE in status
    assert all(one == gr.skip() for one in others)


def test_a_batch(path: Path) -> None:
    assert batch.foresee(files=[], tree=[], **FIELDS) == ("", {})
    told, followed = batch.foresee(files=[{"path": str(path)}], tree=[], **{**FIELDS, "scale": "×5"})
    assert 'role="alert"' in told
    assert followed == {}
    (status, *_), *more = batch.upscale_all(gr.Request(), files=[], tree=[], **FIELDS)
    assert "Choose pictures first." in status
    assert more == []


def test_the_forecast(source: Source) -> None:
    forecast, *others = upscale_events.foresee(
        source=source, more=False, **{**FIELDS, "pixels": -3, "scale": "Pixels…"}
    )
    assert 'role="alert"' in forecast
    assert all(one == gr.skip() for one in others)
    kept = upscale_events.foresee(source=source, more=False, **{**FIELDS, "pixels": 20, "scale": "Pixels…"})[2]
    assert not any(upscale_events.IMPOSSIBLE in label for label, _ in kept["choices"])
    assert (
        advice((100, 100), {"×2": "no treatment", "×4": "no treatment"}) == "What is crossed out cannot do this here."
    )
    assert "even ×2 would take too much" in advice((9000, 6000), {"×2": "too large", "×4": "too large"})
