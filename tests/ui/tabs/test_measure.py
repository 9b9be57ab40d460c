"""The "Measure" tab: what it shows of a picture, and what it measures."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from hpinet.errors import OptionError
from hpinet.ui.tabs import measure

from ..conftest import OpenPage, settle


@pytest.fixture
def tiff(uploads: Path) -> Path:
    """As it was sent; browsers cannot show it."""
    path = uploads / "good.tif"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(path)
    return path


def sent(path: str | Path) -> dict[str, Any]:
    return {"path": str(path)}


def test_what_browsers_cannot_show_has_a_stand_in_and_is_measured_itself(
    tiff: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, shown, status, results = measure._arrived(sent(tiff))
    assert told == {"of": str(tiff)}
    assert shown == f"{tiff}.shown.jpg"
    assert Image.open(shown).size == (80, 60)
    assert "Ready." in status
    assert results == gr.update(visible=False)

    def refuse(path: Path, *_: Any, **__: Any) -> None:
        raise OptionError(f"asked for {path.name}")

    monkeypatch.setattr(measure, "measure", refuse)
    fields: dict[str, Any] = {"scale": 4, "jpeg": 0, "models": ["T"]}
    assert ">asked for good.tif<" in measure.measure_picture(gr.Request(), image=sent(shown), **fields)[0]


def test_other_pictures_are_shown_themselves(tiff: Path) -> None:
    png = tiff.with_name("good.png")
    Image.open(tiff).save(png)
    assert measure._arrived(sent(png))[0] is None
    broken = tiff.with_name("broken.png")
    broken.write_bytes(png.read_bytes()[:60])
    told, shown, status, _ = measure._arrived(sent(broken))
    assert told is shown is None
    assert 'role="alert"' in status
    assert "Choose a good picture" in measure._arrived(None)[2]


def test_what_is_taken_over_is_shown_as_it_is_there(tiff: Path) -> None:
    """The same file, so that the tab knows it again."""
    source = SimpleNamespace(path=tiff, shown=tiff.with_name("good.tif.shown.jpg"))
    assert measure._carried(source)[0] == str(source.shown)


def test_errors_have_colours_up_to_the_worst() -> None:
    errors = np.linspace(0, 1.5 * measure.WORST_ERROR, 12 * 30, dtype=np.float32).reshape(12, 30)
    expected = colormaps["inferno"](np.clip(errors / measure.WORST_ERROR, 0, 1), bytes=True)[..., :3]
    np.testing.assert_array_equal(measure._coloured(errors).colour, expected)


@pytest.mark.slow
@pytest.mark.browser
def test_a_picture_that_browsers_cannot_show(open_page: OpenPage, deep_picture: Path) -> None:
    page = open_page()
    page.get_by_role("tab", name="Measure").click()
    page.locator("#measure-picture input[type=file]").set_input_files(deep_picture)
    page.locator("#measure-status", has_text="Ready.").wait_for()
    page.wait_for_function("document.querySelector('#measure-picture img')?.naturalWidth == 26")
    page.locator("#measure-run").click()
    page.locator("#measure-table tbody tr").nth(1).wait_for()
    settle(page)
