import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import tiny_recipe

from hpinet.errors import OptionError
from hpinet.training.recipes import PRESETS, Phase, Recipe, Schedule, find_recipe


def test_cosine_warms_up_then_falls_to_nothing() -> None:
    schedule = Schedule("cosine", 2.0, warmup=4)
    rates = [schedule.rate(step, 104) for step in range(104)]
    assert rates[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert rates[54] == pytest.approx(1.0)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 0.001


def test_wsd_is_stable_then_falls() -> None:
    schedule = Schedule("wsd", 2.0, warmup=2, decay=4)
    assert [schedule.rate(step, 10) for step in range(10)] == [1, 2, 2, 2, 2, 2, 2, 1.5, 1, 0.5]


def test_halving_halves() -> None:
    schedule = Schedule("halving", 1.0, decay=3)
    assert [schedule.rate(step, 9) for step in range(9)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_phases_follow_each_other() -> None:
    recipe = tiny_recipe(steps=6)
    assert [recipe.phase_at(step).crop for step in range(6)] == [9, 9, 9, 9, 10, 10]
    with pytest.raises(ValueError, match="no such step"):
        recipe.phase_at(6)
    assert recipe.config().patch_sizes == (12, 16, 20, 24)
    assert recipe.config(recipe.phases[1]).patch_sizes == (5, 6, 7, 8)


@pytest.mark.parametrize("step", [0, 1, 10, 95])
def test_cooling_keeps_the_past_and_goes_straight_to_the_decay(step: int) -> None:
    recipe = replace(tiny_recipe(steps=100), schedule=Schedule("wsd", 1.0, decay=5))
    cooled = recipe.cooled(step)
    assert cooled.steps == step + 5
    past = [(recipe.learning_rate(i), recipe.phase_at(i).crop) for i in range(step)]
    assert past == [(cooled.learning_rate(i), cooled.phase_at(i).crop) for i in range(step)]
    decay = [(recipe.learning_rate(i), recipe.phase_at(i).crop) for i in range(95, 100)]
    assert decay == [(cooled.learning_rate(i), cooled.phase_at(i).crop) for i in range(step, step + 5)]


def test_cooling_can_take_another_time() -> None:
    cooled = replace(tiny_recipe(steps=100), schedule=Schedule("wsd", 1.0, decay=4)).cooled(10, 40)
    assert [(phase.steps, phase.crop) for phase in cooled.phases] == [(10, 9), (20, 9), (20, 10)]
    assert cooled.learning_rate(10) == 1.0
    assert cooled.learning_rate(49) == pytest.approx(1 / 40)


def test_only_the_stable_part_can_be_cooled() -> None:
    with pytest.raises(OptionError, match="stable"):
        tiny_recipe(steps=6).cooled(4)
    with pytest.raises(OptionError, match="stable"):
        replace(tiny_recipe(), schedule=Schedule("cosine", 1.0)).cooled(0)
    with pytest.raises(OptionError, match="no decay"):
        replace(tiny_recipe(), schedule=Schedule("wsd", 1.0)).cooled(0, 10)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("variant", ["T", "L"])
def test_presets_survive_json(preset: str, variant: str, tmp_path: Path) -> None:
    recipe = find_recipe(preset, variant=variant, scale=3)
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps(recipe.to_dict()))
    assert find_recipe(str(file)) == find_recipe(str(file), variant=variant, scale=3) == recipe
    for other, scale in (("S", None), (None, 2), (variant, 4)):
        with pytest.raises(OptionError, match=f"is for {variant} x3: give no other"):
            find_recipe(str(file), variant=other, scale=scale)


def test_presets_are_for_the_smallest_network_by_default() -> None:
    for preset, make in PRESETS.items():
        assert find_recipe(preset) == find_recipe(preset, variant="T", scale=4) == make("T", 4)


def test_the_papers_recipe() -> None:
    recipe = PRESETS["paper"]("M", 4)
    assert recipe.steps == 420_000
    assert (recipe.phases[0].crop, recipe.phases[-1].crop) == (48, 180)
    assert recipe.learning_rate(0) == 1.5e-4
    assert recipe.learning_rate(419_999) == pytest.approx(1.5e-4 / 2**6)
    assert (recipe.clip_norm, recipe.weight_decay) == (1.0, 0.0)


def test_what_cannot_work_is_refused() -> None:
    recipe = tiny_recipe()
    for message, change in {
        "second patch": {"phases": [Phase(1, 8, 2, 1, patch_sizes=(5, 6, 7, 8))]},
        "each stage": {"phases": [Phase(1, 9, 2, 1, patch_sizes=(6,))]},
        "one phase": {"phases": []},
        "optimizer": {"optimizer": "sgd"},
    }.items():
        with pytest.raises(ValueError, match=message):
            replace(recipe, **change)
    for message, values in {
        "micro_batch must divide": {"batch": 4, "micro_batch": 3},
        "at least one step": {"steps": 0},
        "importance": {"importance": 1.5},
        "frequencies": {"frequencies": -0.1},
    }.items():
        with pytest.raises(ValueError, match=message):
            replace(Phase(1, 9, 1, 1), **values)
    with pytest.raises(ValueError, match="shape"):
        Schedule("linear", 1.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="loss"):
        Phase(1, 9, 1, 1, loss="huber")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="peak"):
        Schedule("halving", math.inf)


@pytest.mark.parametrize("text", ["{}", "[1]", "not JSON", '{"variant": "T"}'])
def test_a_bad_recipe_file_is_an_option_error(text: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(text)
    with pytest.raises(OptionError):
        find_recipe(str(file), variant="T", scale=4)


def test_the_recipes_of_bundled_weights_can_be_run_again() -> None:
    folders = [path.parent for path in (Path(__file__).parents[2] / "checkpoints").glob("*/recipe.json")]
    assert folders
    for folder in folders:
        recipe = find_recipe(str(folder / "recipe.json"))
        assert folder.name == f"hpinet-{recipe.variant.lower()}-x{recipe.scale}"


def test_unknown_names_are_option_errors() -> None:
    with pytest.raises(OptionError, match="neither a preset"):
        find_recipe("best", variant="T", scale=4)
    with pytest.raises(OptionError, match="variants are"):
        find_recipe("cpu", variant="X", scale=4)
    with pytest.raises(OptionError, match="no T x0"):
        find_recipe("cpu", scale=0)
    with pytest.raises(OptionError, match="recipe"):
        Recipe.from_dict({**tiny_recipe().to_dict(), "colour": 1})
