"""The files of a run, each replaced whole so that a kill at any moment leaves the old or the new one.

A run is a folder: ``run.json`` (the `Run`: recipe and pictures), ``state.pt`` (all that resuming needs) and
``log.jsonl`` (one JSON object a line, see `loop`).
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hpinet.atomic import replacing
from hpinet.errors import CheckpointError, OptionError
from hpinet.training.recipes import Recipe

RUN, STATE, LOG = "run.json", "state.pt", "log.jsonl"


@dataclass(frozen=True)
class Run:
    """What a run was started with."""

    recipe: Recipe
    data: tuple[str, ...]  # folders of training pictures
    validation: str | None  # folder of validation pairs
    started_from: str | None  # checkpoint it was warm-started from, as for `hpinet.checkpoints.registry.find`
    mixed_precision: str = "no"  # or "fp16", "bf16": the arithmetic of forward and backward passes

    def save(self, folder: Path) -> None:
        """Writes ``run.json``."""
        values = {**vars(self), "recipe": self.recipe.to_dict()}
        with replacing(folder / RUN) as file:
            file.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Run":
        """Reads ``run.json``. Raises OptionError if it is missing or damaged."""
        try:
            values = json.loads((folder / RUN).read_text(encoding="utf-8"))
            recipe = Recipe.from_dict(values.pop("recipe"))
            return cls(recipe=recipe, **{**values, "data": tuple(values["data"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OptionError(f"{folder} does not hold a training run: {error}") from error


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Writes ``state.pt``."""
    with replacing(folder / STATE) as file:
        torch.save(state, file)


def load_state(folder: Path) -> dict[str, Any] | None:
    """Reads ``state.pt`` onto the CPU; None before the first was written. Raises CheckpointError if it is damaged."""
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # torch's parsers raise whatever they stumble over
        raise CheckpointError(f"{path} is damaged.") from error
    if not isinstance(state, dict) or "step" not in state:
        raise CheckpointError(f"{path} does not hold the state of a run.")
    return state


def averaged_weights(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The averaged weights in a loaded state, by their names in the network."""
    prefix = "module."  # of torch's AveragedModel
    return {name[len(prefix) :]: value for name, value in state["average"].items() if name.startswith(prefix)}


def branch_cooldown(source: Path, folder: Path, *, steps: int | None = None) -> Run:
    """Copies a run as it was last saved into a new folder, with its recipe going straight to the decay.

    `hpinet.training.loop.train` on ``folder`` then ends with finished weights; the run in ``source`` is left alone and
    may even be going on. ``steps`` is how long the decay takes, by default what the recipe says. Raises OptionError if
    ``folder`` holds a run, or `Recipe.cooled` does.
    """
    if (folder / RUN).exists():
        raise OptionError(f"{folder} holds a run already: choose a new folder.")
    run, state = Run.load(source), load_state(source)
    if state is None:
        raise OptionError(f"{source} has not been saved yet.")
    cooled = replace(run, recipe=run.recipe.cooled(state["step"], steps))
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / LOG, folder / LOG)
    rewind_log(folder, state["step"])
    save_state(folder, state)
    cooled.save(folder)
    return cooled


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The entries of ``log.jsonl`` in order; none if there is no log. A last line cut short by a kill is left out."""
    path = folder / LOG
    if not path.is_file():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            break
    return entries


def rewind_log(folder: Path, step: int) -> None:
    """Drops the entries after ``step``, which a resumed run is about to write again."""
    kept = [entry for entry in read_log(folder) if entry["step"] <= step]
    with replacing(folder / LOG) as file:
        file.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")


def append_log(folder: Path, entry: dict[str, Any]) -> None:
    """Adds one entry to ``log.jsonl``."""
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
