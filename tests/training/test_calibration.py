"""Strengths are those that are best, quality by quality."""

from pathlib import Path

import pytest
import torch
from tiny import picture
from torch import nn
from typer.testing import CliRunner

from hpinet.checkpoints.files import Provenance, write_checkpoint
from hpinet.checkpoints.levels import read_levels
from hpinet.errors import CheckpointError, OptionError
from hpinet.model import HPINet, HPINetConfig
from hpinet.training import calibration
from hpinet.training.calibration import calibrate, mildest_of_the_best
from hpinet.training.cli import train_app


def write(folder: Path, shift: float) -> None:
    """A checkpoint that gives bilinear enlargements, made brighter by ``shift``."""
    torch.manual_seed(0)
    model = HPINet(HPINetConfig(2, dim=8, qk_dim=4, ffn_dim=12, patch_sizes=(5, 8)))
    nn.init.zeros_(model.last_conv.weight)
    assert model.last_conv.bias is not None
    nn.init.constant_(model.last_conv.bias, shift)
    write_checkpoint(model, folder, Provenance("a test", "apache-2.0", "nobody's"))


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(calibration, "PIECE", 24)
    (tmp_path / "in").mkdir()
    picture(1, 120, 130).save(tmp_path / "in/one.png")
    for name, shift in (("", 0.1), ("good", 0.0), ("bad", 0.2)):
        write(tmp_path / "it" / name, shift)
    return tmp_path / "it"


@pytest.mark.slow
def test_the_best_strength_is_found_at_every_quality(checkpoint: Path, tmp_path: Path) -> None:
    """The level in the middle is right whatever the quality, and half-way beyond it as wrong as the checkpoint."""
    decoded: list[tuple[int, int]] = []
    scores = calibrate(
        checkpoint,
        ["good", "bad"],
        data=[tmp_path / "in"],
        cache=tmp_path / "cache",
        pieces=3,
        decoding=lambda *call: decoded.append(call),
    )
    assert decoded == [(0, 1), (1, 1)]
    assert set(scores) == set(calibration.QUALITIES)
    for row in scores.values():
        assert len(row) == 9
        assert max(row) == row[4]
        assert row[6] == pytest.approx(row[0], abs=0.2)
    levels = read_levels(checkpoint)
    assert levels is not None
    assert {levels.strength(quality) for quality in (1, 30, 60, 98)} == {1.0}


def test_the_command_prints_what_was_tried(checkpoint: Path, tmp_path: Path) -> None:
    arguments = ["calibrate", str(checkpoint), "good/", "--data", str(tmp_path / "in"), "--pieces", "1"]
    result = CliRunner().invoke(train_app, [*arguments, "--cache", str(tmp_path / "cache")])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "| quality | 0 | 0.25 | 0.5 | 0.75 | 1 |"
    assert len(lines) == 2 + len(calibration.QUALITIES)


def test_what_is_missing_is_said(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="Name the levels"):
        calibrate(checkpoint, [], data=[tmp_path / "in"], cache=tmp_path / "cache")
    with pytest.raises(OptionError, match="folders in the checkpoint's"):
        calibrate(checkpoint, ["good/deeper"], data=[tmp_path / "in"], cache=tmp_path / "cache")
    with pytest.raises(CheckpointError):
        calibrate(checkpoint, ["absent"], data=[tmp_path / "in"], cache=tmp_path / "cache", pieces=1)


def test_of_strengths_that_are_as_good_the_mildest_counts() -> None:
    strengths = [0.0, 0.25, 0.5, 0.75]
    assert mildest_of_the_best(strengths, [30.0, 31.0, 31.005, 30.9]) == 0.25
    assert mildest_of_the_best(strengths, [30.0, 31.0, 31.015, 30.9]) == 0.5
    assert mildest_of_the_best(strengths, [30.0, 29.0, 29.0, 29.0]) == 0.0
