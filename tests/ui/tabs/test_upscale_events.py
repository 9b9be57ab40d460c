"""What the first tab says about a picture, without a browser."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpinet.ui.server import storage
from hpinet.ui.tabs import upscale_events
from hpinet.ui.tabs.upscale_events import FIRST, open_source


@pytest.fixture
def uploaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture with 16 bits, which browsers cannot show, among the uploads."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    path = tmp_path / "upload" / "deep.tif"
    path.parent.mkdir()
    Image.fromarray((np.mgrid[:20, :26].sum(axis=0) * 1400).astype(np.uint16)).save(path)
    return path


def test_a_stand_in_is_never_taken_for_the_picture(uploaded: Path) -> None:
    """The page reports it as a change like any other, at times before it knows what it stands for."""
    assert storage.received({"path": str(uploaded)}) == uploaded

    def opened(path: Path, known: upscale_events.Source | None) -> tuple[object, ...]:
        present = {"scale": "×4", "pixels": 1920, "model": "T", "format": "PNG"}
        return open_source(image={"path": str(path)}, known=known, wishes={}, placed=dict(FIRST), **present)

    first, shown, *_ = opened(uploaded, None)
    assert isinstance(first, upscale_events.Source)
    assert (first.path, first.follows) == (uploaded, "PNG")
    again, *_ = opened(Path(str(shown)), None)
    assert isinstance(again, upscale_events.Source)
    assert again.path == uploaded
    known, *_ = opened(Path(str(shown)), first)
    assert not isinstance(known, upscale_events.Source)  # nothing to remember anew
    known, shown_again, *_ = opened(uploaded, first)  # the same one chosen once more
    assert not isinstance(known, upscale_events.Source)
    assert shown_again == shown
