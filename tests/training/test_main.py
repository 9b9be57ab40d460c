"""`python -m hpinet.training`, which launchers of several processes start: it ends as `hpinet train` does."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere"], "nowhere does not hold a training run to resume."),
        (["plot", "nowhere"], "nowhere has no log"),
        (["run", "nowhere", "--log-every", "0"], "Invalid value for '--log-every'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["training", *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("hpinet.training", run_name="__main__")
    printed = capsys.readouterr()
    assert (end.value.code, printed.out) == (2, "")
    assert printed.err.startswith("Error: ")
    assert printed.err.count("\n") == 1
    assert words in printed.err


@pytest.mark.slow
def test_names_that_the_terminal_cannot_write_end_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "log.jsonl").write_text(json.dumps({"kind": "train", "step": 1, "loss": 0.1, "norm": 1.0, "rate": 1e-3}))
    done = subprocess.run(
        [sys.executable, "-m", "hpinet.training", "plot", run, "--output", os.fsencode(tmp_path) + b"/caf\xe9.svg"],
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"caf\\udce9.svg written.\n")
