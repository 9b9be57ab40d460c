"""A spot is explained as the library explains it, though only a part of the picture reaches the model."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpinet.attribution.explain import SURROUNDINGS, explain
from hpinet.attribution.lam import BlurPath
from hpinet.errors import OptionError
from hpinet.settings import settings
from hpinet.ui.jobs import explain as jobs
from hpinet.ui.jobs import previews, zerogpu
from hpinet.ui.jobs.explain import Question, expected_seconds, look
from hpinet.ui.jobs.models import SHELF
from hpinet.ui.jobs.running import StopFlag

STEP = BlurPath(steps=1)


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """Wider than what the model is shown of it."""
    path = tmp_path / "wide.png"
    pixels = np.random.default_rng(7).integers(0, 256, (40, SURROUNDINGS + 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("x", [SURROUNDINGS + 50, 170])
def test_a_part_explains_as_the_whole(wide: Path, x: int) -> None:
    question = Question(wide, x, 20, "T", 4, StopFlag.of(None, "look"), path=STEP, window=8, region=32)
    told = look(question).explanation
    model = SHELF.upscaler("T", 4).engine.model
    expected = explain(model, np.asarray(Image.open(wide)), x=x, y=20, path=STEP, window=8, region=32)
    assert (told.x, told.y, told.region, told.surroundings) == (x, 20, expected.region, expected.surroundings)
    assert told.chain == expected.chain
    assert told.window == expected.window
    np.testing.assert_array_equal(told.pixels, expected.pixels)
    np.testing.assert_array_equal(told.result, expected.result)
    strength = expected.attribution.strength
    np.testing.assert_allclose(told.attribution.strength, strength, atol=0.02 * strength.max())  # of rounding


def test_a_spot_outside_is_refused_before_any_work(wide: Path) -> None:
    with pytest.raises(OptionError, match="outside the picture"):
        look(Question(wide, 5, 40, "T", 4, StopFlag.of(None, "look"), path=STEP))


def test_a_region_for_which_there_is_no_memory(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPINET_JOB_MB", "400")
    settings.cache_clear()
    words = r"takes 0\.6 GB of memory with model T, and this page has 0\.4 GB: take fewer pixels shown to the network\."
    with pytest.raises(OptionError, match=words):
        look(Question(wide, 5, 20, "T", 4, StopFlag.of(None, "look"), path=STEP, region=128))
    monkeypatch.undo()
    settings.cache_clear()


def test_what_needs_no_gpu_is_refused_before_one_is_asked_for(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zerogpu, "IS_HERE", True)
    monkeypatch.setattr(jobs, "_look", lambda *_: pytest.fail("it has begun"))
    with pytest.raises(OptionError, match="T-cpu enlarges pictures and nothing else: choose T"):
        look(Question(wide, 5, 20, "T-cpu", 4, StopFlag.of(None, "look"), path=STEP))


def test_for_a_forecast_no_pixel_is_decoded(wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "open_picture", lambda *_: pytest.fail("it is decoded"))
    assert expected_seconds(wide, model="T", scale=4, steps=12, region=64) > 0
    with pytest.raises(OptionError, match="gone by now"):
        expected_seconds(wide.with_name("gone.png"), model="T", scale=4, steps=12, region=64)
