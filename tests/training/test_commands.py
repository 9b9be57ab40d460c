"""The commands' own part: what they refuse, and what they show of the work."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny import tiny_recipe, tiny_run
from typer.testing import CliRunner

from hpinet.errors import OptionError
from hpinet.progress import Progress
from hpinet.terminal import Bars
from hpinet.training import cli
from hpinet.training.cli import train_app
from hpinet.training.loop import Options, train
from hpinet.training.state import Run


def run(*arguments: object) -> str:
    """What a command prints. Errors are raised."""
    return CliRunner().invoke(train_app, list(map(str, arguments)), catch_exceptions=False).output


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--validation", "nosuch"),
        ("--variant", "M"),
        ("--scale", "2"),
        ("--recipe", "paper"),
        ("--start-from", "nosuch"),
        ("--mixed-precision", "bf16"),
    ],
)
def test_what_a_run_was_begun_with_cannot_be_changed(option: str, value: str, pictures: Path, tmp_path: Path) -> None:
    folder, begun = tmp_path / "run", tiny_run(pictures)
    train(folder, begun, options=Options(time_budget=0))
    with pytest.raises(OptionError, match=f"leave {option} away"):
        run("run", folder, option, value, "--time-budget", "0")
    assert Run.load(folder) == begun
    assert "2 steps" in run("run", folder, "--time-budget", "0")


def test_all_that_cannot_be_changed_is_named(tmp_path: Path) -> None:
    options = ("--recipe", "cpu", "--variant", "T", "--scale", 4)
    with pytest.raises(OptionError, match="leave --variant, --scale, --recipe away, or begin one with --data"):
        run("run", tmp_path / "new", *options)


@pytest.mark.parametrize("command", [("run", "new"), ("crops",)], ids=lambda command: command[0])
def test_a_recipe_says_its_own_scale(command: tuple[str, ...], pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps(tiny_recipe().to_dict()))
    with pytest.raises(OptionError, match="is for T x2"):
        run(*command, "--data", pictures, "--recipe", tmp_path / "recipe.json", "--scale", 4)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[int, int]]]:
    """What the bars of a command are told, by their titles."""
    told: dict[str, list[tuple[int, int]]] = {}

    def bar(title: str) -> Progress:
        return lambda *call: told.setdefault(title, []).append(call)

    @contextmanager
    def bars() -> Iterator[Bars]:
        yield bar

    monkeypatch.setattr(cli, "bars", bars)
    return told


def test_decoding_shows(shown: dict[str, list[tuple[int, int]]], pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps(tiny_recipe().to_dict()))
    given = ("--data", pictures, "--recipe", tmp_path / "recipe.json")
    run("crops", *given, "--cache", tmp_path / "one", "--output", tmp_path / "crops.png")
    assert shown == {"decoding pictures": [(done, 3) for done in range(4)]}
    shown.clear()
    run("run", tmp_path / "run", *given, "--time-budget", 0)
    assert shown == {"decoding pictures": [(done, 3) for done in range(4)], "steps": [(0, 6), (1, 6)]}
