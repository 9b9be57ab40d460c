import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny import tiny_run
from typer.testing import CliRunner

from hpinet.checkpoints.registry import load
from hpinet.errors import OptionError
from hpinet.settings import settings
from hpinet.training.cli import train_app
from hpinet.training.export import export, training_command
from hpinet.training.loop import Options, train
from hpinet.training.recipes import Recipe
from hpinet.training.state import load_state, read_log, rewind_log

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


@pytest.fixture(autouse=True)
def _torch_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine that is ready at once; any gives the same scores."""
    monkeypatch.setenv("HPINET_ENGINE", "torch")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def run(pictures: Path, tmp_path: Path) -> Path:
    """A finished run."""
    run = tiny_run(pictures, validation=True)
    train(tmp_path / "run", run, options=Options(log_every=1, validate_every=2))
    return tmp_path / "run"


def test_a_checkpoint_is_the_averaged_weights_and_tells_how_good_they_are(
    run: Path, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "2.png").unlink()  # too narrow for the window of SSIM
    output = tmp_path / "hpinet-t-x2"
    export(run, output, benchmark=pictures, licence="apache-2.0", credits="By nobody.", history="Begun anew.")
    model, info = load(output)
    state = load_state(run)
    assert state is not None
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state["average"][f"module.{name}"])
    assert (info.variant, info.scale) == ("T", 2)
    card = (output / "README.md").read_text()
    assert "name: Pictures" in card
    assert "| bicubic |" in card
    assert "By nobody." in card
    assert "for 6 steps" in card
    assert "Begun anew" in card
    assert "--data pictures --validation pictures --recipe recipe.json" in card
    assert str(tmp_path) not in card
    with Image.open(output / "curve.png") as curve:
        assert curve.width > 400
    assert Recipe.from_dict(json.loads((output / "recipe.json").read_text())).steps == 6


def test_without_a_saved_run_there_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="does not hold a training run"):
        export(tmp_path, tmp_path / "out")


def test_without_a_log_an_earlier_checkpoint_stays(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    (run / "log.jsonl").write_text("")
    with pytest.raises(OptionError, match="no log"):
        export(run, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize(
    ("source", "name"), [("owner/weights@main", "owner/weights@main"), ("/somewhere/mine/", "mine"), ("T", "T")]
)
def test_the_card_names_what_training_started_from(pictures: Path, source: str, name: str) -> None:
    assert training_command(tiny_run(pictures, started_from=source)).endswith(f"--start-from {name}")


def test_a_level_and_a_benchmark_are_named_with_what_they_belong_to(pictures: Path) -> None:
    level = CHECKPOINTS / "hpinet-t-x4" / "light"
    run = replace(tiny_run(pictures, started_from=str(level)), validation="/data/set5/HR")
    assert "--validation set5/HR " in training_command(run)
    assert training_command(run).endswith("--start-from hpinet-t-x4/light")


@pytest.mark.parametrize("card", sorted(CHECKPOINTS.glob("*/*/README.md")), ids=lambda card: card.parent.name)
def test_the_cards_of_levels_say_which(card: Path) -> None:
    title = next(line for line in card.read_text("utf-8").splitlines() if line.startswith("# "))
    assert title == f"# {card.parents[1].name}, level {card.parent.name}"


def test_steps_that_are_not_there(pictures: Path, tmp_path: Path) -> None:
    output = ["--cache", str(tmp_path), "--output", str(tmp_path / "crops.png"), "--step", "9999999"]
    with pytest.raises(OptionError, match="has steps 0 to"):
        CliRunner().invoke(train_app, ["crops", "--data", str(pictures), *output], catch_exceptions=False)
    for name in ("log", "save", "validate"):
        assert CliRunner().invoke(train_app, ["run", str(tmp_path), f"--{name}-every", "0"]).exit_code == 2


def test_the_commands(pictures: Path, tmp_path: Path) -> None:
    recipe, run = tmp_path / "recipe.json", str(tmp_path / "run")
    recipe.write_text(json.dumps(tiny_run(pictures, steps=60).recipe.to_dict()))
    first = ["run", run, "--data", str(pictures), "--recipe", str(recipe), "--time-budget", "0", "--log-every", "1"]
    for command, said in {
        tuple(first): "1 steps, to be resumed.",
        ("run", run, "--time-budget", "0", "--log-every", "1"): "2 steps, to be resumed.",
        ("cool", run, f"{run}-cooled", "--steps", "3"): "ends after 5 steps",
        ("plot", run, "--output", f"{run}.svg"): "written",
        ("export", run, f"{run}-out"): "written",
    }.items():
        result = CliRunner().invoke(train_app, command, catch_exceptions=False)
        assert result.exit_code == 0
        assert said in " ".join(result.output.split())
    assert Path(f"{run}.svg").read_text().startswith("<?xml")


def test_plotting_needs_a_log_and_a_known_format(run: Path, tmp_path: Path) -> None:
    for arguments, message in (([str(tmp_path)], "no log"), ([str(run), "--output", str(tmp_path / "c.xyz")], "xyz")):
        with pytest.raises(OptionError, match=message):
            CliRunner().invoke(train_app, ["plot", *arguments], catch_exceptions=False)


def test_a_line_cut_short_by_a_kill_is_dropped(run: Path) -> None:
    with (run / "log.jsonl").open("a") as file:
        file.write('{"kind": "tr')
    before = read_log(run)
    rewind_log(run, 3)
    assert read_log(run) == [entry for entry in before if entry["step"] <= 3]
