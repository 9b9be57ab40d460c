import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hpinet.checkpoints.files import Provenance, read_model, write_checkpoint
from hpinet.checkpoints.levels import PARTS, TREATMENT, Levels, read_levels, read_treated
from hpinet.checkpoints.registry import find
from hpinet.errors import CheckpointError
from hpinet.model import HPINet, HPINetConfig

CONFIG = HPINetConfig(2, dim=8, qk_dim=4, ffn_dim=12, patch_sizes=(5, 8))
LEVELS = Levels(("light", "strong"), ((50, 2.0), (75, 1.5), (90, 1.0), (97, 0.0)))


def write(folder: Path, value: float, config: HPINetConfig = CONFIG) -> None:
    """A checkpoint all of whose weights are ``value``."""
    model = HPINet(config)
    with torch.no_grad():
        for weights in model.parameters():
            weights.fill_(value)
    write_checkpoint(model, folder, Provenance("a test", "apache-2.0", "nobody's"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Weights of 0, and levels of 1 and 3."""
    for name, value in (("", 0.0), ("light", 1.0), ("strong", 3.0)):
        write(tmp_path / "it" / name, value)
    (tmp_path / "it" / TREATMENT).write_text(LEVELS.to_json())
    return tmp_path / "it"


@pytest.mark.parametrize(
    ("quality", "strength"),
    [(None, 0.0), (100, 0.0), (97, 0.0), (95, 0.25), (90, 1.0), (82, 1.25), (75, 1.5), (50, 2.0), (1, 2.0)],
)
def test_strength_follows_quality(quality: int | None, strength: float) -> None:
    assert LEVELS.strength(quality) == strength


@given(st.integers(1, 100), st.integers(1, 100))
def test_worse_pictures_are_never_treated_less_and_always_by_quarters(one: int, other: int) -> None:
    worse, better = sorted((one, other))
    assert LEVELS.strength(worse) >= LEVELS.strength(better)
    assert (PARTS * LEVELS.strength(one)).is_integer()


@pytest.mark.parametrize(("strength", "value"), [(0.25, 0.25), (1.0, 1.0), (1.5, 2.0), (2.0, 3.0)])
def test_weights_lie_between_levels(checkpoint: Path, strength: float, value: float) -> None:
    for weights in read_treated(checkpoint, strength).parameters():
        torch.testing.assert_close(weights, torch.full_like(weights, value))


def test_strength_zero_is_the_checkpoint_itself(checkpoint: Path) -> None:
    for ours, own in zip(read_treated(checkpoint, 0).parameters(), read_model(checkpoint).parameters(), strict=True):
        assert torch.equal(ours, own)


def test_what_is_known_of_a_checkpoint_tells_its_levels(checkpoint: Path) -> None:
    assert read_levels(checkpoint) == LEVELS == find(checkpoint).levels
    assert find(checkpoint / "light").levels is None
    assert read_levels(checkpoint / "model.safetensors") is None


def test_what_is_not_there_is_refused(checkpoint: Path) -> None:
    for strength in (-0.5, 2.25):
        with pytest.raises(CheckpointError, match="no weights of strength"):
            read_treated(checkpoint, strength)
    with pytest.raises(CheckpointError, match="no weights of strength"):
        read_treated(checkpoint / "light", 1.0)
    write(checkpoint / "strong", 1.0, replace(CONFIG, ffn_dim=16))
    with pytest.raises(CheckpointError, match="another network"):
        read_treated(checkpoint, 1.5)


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        '{"levels": ["light"]}',
        '{"levels": [], "strengths": {"50": 1}}',
        '{"levels": ["../light"], "strengths": {"50": 1}}',
        '{"levels": ["light"], "strengths": {"50": 2}}',
        '{"levels": ["light"], "strengths": {"bad": 1}}',
        '{"levels": ["light"], "strengths": {}}',
        pytest.param(f'{{"levels": ["light"], "strengths": {{"50": 1{"0" * 400}}}}}', id="beyond floats"),
        pytest.param("[" * 200_000, id="nested"),
    ],
)
def test_damaged_levels_are_a_checkpoint_error(checkpoint: Path, text: str) -> None:
    (checkpoint / TREATMENT).write_text(text)
    with pytest.raises(CheckpointError, match=r"treatment\.json cannot be read"):
        read_levels(checkpoint)


def test_strengths_must_be_given_by_rising_quality() -> None:
    with pytest.raises(ValueError, match="rising"):
        Levels(("light",), ((80, 0.5), (50, 1.0)))
    assert json.loads(LEVELS.to_json())["strengths"]["50"] == 2.0
