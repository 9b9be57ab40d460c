"""What the lens keeps of a picture while it waits."""

import weakref
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from hpinet.errors import Cancelled
from hpinet.images import Picture, open_picture
from hpinet.ui.tabs import lens
from hpinet.ui.tabs.upscale_events import read_source


def test_the_whole_picture_is_let_go_while_its_piece_waits(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = uploads / "picture.png"
    Image.new("RGB", (300, 200), "teal").save(path)
    source = read_source(path)
    opened, held = list[weakref.ref[np.ndarray]](), list[bool]()

    def open_sent(path: Path) -> Picture:
        picture = open_picture(path)
        opened.append(weakref.ref(picture.colour))
        return picture

    def enlarged(surroundings: Picture, *_: Any) -> Any:
        assert surroundings.width == lens.CONTEXT
        held.append(opened[0]() is not None)
        raise Cancelled

    monkeypatch.setattr(lens.previews, "open_sent", open_sent)
    monkeypatch.setattr(lens, "_enlarged", enlarged)
    lens.magnify(gr.Request(), source=source, treatment="auto", x=1, y=1)
    assert held == [False]
