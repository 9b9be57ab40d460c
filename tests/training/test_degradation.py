from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import picture, tiny_recipe
from typer.testing import CliRunner

from hpinet.errors import OptionError
from hpinet.images.degradations import as_jpeg
from hpinet.training import degradation as degradation_module
from hpinet.training.cli import train_app
from hpinet.training.data import CropSampler, PictureStore, open_store
from hpinet.training.degradation import Degradation
from hpinet.training.loop import Options, train
from hpinet.training.recipes import LIGHT, PRESETS, STRONG, Recipe
from hpinet.training.state import Run, load_state

ONCE = Degradation(quality=(50, 50), full_chroma=0.0)  # as the protocol of the scores: one JPEG in 4:2:0
EVERYTHING = Degradation(
    clean=0.1, other_kernel=0.5, larger_jpeg=0.5, blur=0.5, noise=0.5, sharpen=0.5, twice=0.5, webp=0.3
)


@pytest.fixture
def store(tmp_path: Path) -> PictureStore:
    (tmp_path / "in").mkdir()
    picture(3, 300, 260).save(tmp_path / "in/one.png")
    return open_store([tmp_path / "in"], scale=2, cache=tmp_path / "cache")


@pytest.mark.parametrize("degradation", [LIGHT, STRONG, EVERYTHING], ids=["light", "strong", "everything"])
def test_crops_are_a_function_of_seed_step_and_index(store: PictureStore, degradation: Degradation) -> None:
    def sampler(seed: int = 5) -> CropSampler:
        return CropSampler(store, crop=24, seed=seed, degradation=degradation)

    whole, part = sampler().batch(7, range(12)), sampler().batch(7, range(8, 12))
    np.testing.assert_array_equal(whole.lr[8:], part.lr)
    assert not np.array_equal(sampler().batch(8, range(12)).lr, whole.lr)
    assert not np.array_equal(sampler(seed=6).batch(7, range(12)).lr, whole.lr)


def test_the_same_crops_are_taken_and_hr_is_the_truth(store: PictureStore) -> None:
    clean = CropSampler(store, crop=24, seed=0, importance=1.0).batch(0, range(20))
    spoilt = CropSampler(store, crop=24, seed=0, importance=1.0, degradation=STRONG).batch(0, range(20))
    np.testing.assert_array_equal(spoilt.hr, clean.hr)
    np.testing.assert_array_equal(spoilt.weight, clean.weight)
    assert spoilt.lr.shape == clean.lr.shape
    assert (np.abs(spoilt.lr.astype(int) - clean.lr).max((1, 2, 3)) > 0).all()


def test_one_save_gives_pieces_of_the_saved_picture(tmp_path: Path) -> None:
    """Along the picture's own border, where the grid can begin nowhere else, as if the whole had been saved."""
    (tmp_path / "in").mkdir()
    picture(1, 96, 96).save(tmp_path / "in/one.png")
    store = open_store([tmp_path / "in"], scale=2, cache=tmp_path / "cache")
    saved = as_jpeg(store.pair(0)[1], 50)
    random = np.random.default_rng(0)
    hr, lr = store.pair(0)
    np.testing.assert_array_equal(ONCE.apply(lr, hr, (0, 0), random), saved)


def test_grids_begin_anywhere(store: PictureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: Counter[tuple[int, int]] = Counter()
    hr, lr = store.pair(0)

    def spy(pixels: np.ndarray, quality: int, *, full_chroma: bool) -> np.ndarray:
        starts[lr.shape[0] - pixels.shape[0], lr.shape[1] - pixels.shape[1]] += 1
        return pixels

    monkeypatch.setattr(degradation_module, "as_jpeg", spy)
    random = np.random.default_rng(0)
    for _ in range(4000):
        ONCE.apply(lr, hr, (15, 15), random)
    assert len(starts) == 256
    assert max(starts.values()) < 4 * 4000 / 256


def test_draws_follow_the_recipe(store: PictureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[str] = Counter()
    qualities: list[int] = []
    chroma: list[bool] = []

    def spy(pixels: np.ndarray, quality: int, *, full_chroma: bool) -> np.ndarray:
        calls["jpeg"] += 1
        qualities.append(quality)
        chroma.append(full_chroma)
        return pixels

    def count(name: str, result: np.ndarray | None = None) -> None:
        def called(pixels: np.ndarray, *_: object) -> np.ndarray:
            calls[name] += 1
            return pixels

        monkeypatch.setattr(degradation_module, name, called)

    monkeypatch.setattr(degradation_module, "as_jpeg", spy)
    for name in ("blur", "add_noise", "sharpen", "as_webp"):
        count(name)
    what = Degradation(
        clean=0.2, blur=0.3, noise=0.4, sharpen=0.5, twice=0.25, webp=0.1, full_chroma=0.3, quality=(40, 49),
        first_quality=(80, 89),
    )  # fmt: skip
    hr, lr = store.pair(0)
    random = np.random.default_rng(1)
    draws = 3000
    for _ in range(draws):
        what.apply(lr[:32, :32], hr[:64, :64], (15, 15), random)
    shares = {name: number / draws / 0.8 for name, number in calls.items()}
    expected = {"blur": 0.3, "add_noise": 0.4, "sharpen": 0.5, "as_webp": 0.1, "jpeg": 0.9 + 0.25}
    assert shares == pytest.approx(expected, abs=0.04)
    assert np.mean(chroma) == pytest.approx(0.3, abs=0.03)
    assert set(qualities) == {*range(40, 50), *range(80, 90)}
    assert np.mean(np.array(qualities) < 50) == pytest.approx(0.9 / 1.15, abs=0.03)


@pytest.mark.slow
def test_a_degraded_run_resumes_to_the_same_weights(pictures: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(steps=6)
    recipe = replace(recipe, phases=tuple(replace(phase, degradation=EVERYTHING) for phase in recipe.phases))
    run = Run(recipe, (str(pictures),), None, None)
    train(tmp_path / "whole", run)
    train(tmp_path / "parts", run, options=Options(time_budget=0.0))
    for _ in range(5):
        train(tmp_path / "parts", options=Options(time_budget=0.0))
    whole, parts = (load_state(tmp_path / name) for name in ("whole", "parts"))
    assert whole is not None
    assert parts is not None
    assert whole["step"] == parts["step"] == 6
    for name, weights in whole["model"].items():
        np.testing.assert_array_equal(weights, parts["model"][name])


@pytest.mark.parametrize("preset", ["photo-light", "photo-strong"])
def test_presets_put_most_weight_on_one_jpeg_and_survive_json(preset: str) -> None:
    recipe = PRESETS[preset]("T", 4)
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    for phase in recipe.phases:
        what = phase.degradation
        assert what is not None
        extras = (what.other_kernel, what.larger_jpeg, what.blur, what.noise, what.sharpen, what.twice, what.webp)
        assert np.prod([1 - share for share in (what.clean, *extras)]) > 0.6


def test_what_cannot_be_is_refused() -> None:
    for message, values in {
        "blur must be a share": {"blur": 1.5},
        "noise_deviation must be a range": {"noise_deviation": (3, 1)},
        "^quality must be from 1": {"quality": (0, 50)},
        "first_quality must be from 1": {"first_quality": (0, 300)},
    }.items():
        with pytest.raises(ValueError, match=message):
            Degradation(**values)
    recipe = PRESETS["photo-light"]("T", 2).to_dict()
    recipe["phases"][0]["degradation"]["rain"] = 1.0
    with pytest.raises(OptionError, match="rain"):
        Recipe.from_dict(recipe)


def test_sixteen_crops_in_one_picture(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    picture(2, 200, 200).save(tmp_path / "in/one.png")
    arguments = ["crops", "--data", str(tmp_path / "in"), "--scale", "2", "--cache", str(tmp_path / "cache")]
    result = CliRunner().invoke(train_app, [*arguments, "--output", str(tmp_path / "crops.png")])
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "crops.png") as sheet:
        assert sheet.size == (4 * 2 * 64 + 3 * 4, 4 * 64 + 3 * 4)
    result = CliRunner().invoke(train_app, [*arguments, "--output", str(tmp_path / "crops.nothing")])
    assert "cannot be written" in str(result.exception)
