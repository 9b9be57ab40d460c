from pathlib import Path

import pytest
import torch
from tiny import tiny_run

from hpinet.training.loop import Options, train
from scripts.gradient_noise import _moments, main


def test_noise_and_signal_are_unbiased() -> None:
    torch.manual_seed(0)
    gradients = 2.0 + 3.0 * torch.randn(2000, 50)
    noise, signal = _moments(gradients)
    assert noise == pytest.approx(50 * 9, rel=0.05)
    assert signal == pytest.approx(50 * 4, rel=0.05)


def test_a_saved_run_is_measured(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "runs/run"
    train(run, tiny_run(pictures), options=Options(time_budget=0))
    main(run, crops=4)
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(row[0].strip("| "), row[1]) for row in rows] == [
        (loss, draws) for loss in ("l1", "smooth_l1") for draws in ("even", "by importance")
    ]
    assert all(float(row[2]) > 0 for row in rows)
