"""Training where its own packages are not installed."""

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = """
import sys
sys.modules[{module!r}] = None
sys.argv = ["hpinet", "train", *{words!r}]
from hpinet.cli import main
main()
"""


def ended(module: str, *words: str) -> tuple[int, str]:
    """Exit code and complaint of `hpinet train` without that module."""
    code = WITHOUT.format(module=module, words=words)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr.strip()


@pytest.mark.slow
@pytest.mark.parametrize("module", ["accelerate", "pytorch_optimizer"])
def test_what_is_missing_is_said(module: str, tmp_path: Path) -> None:
    told = f'Error: Training needs {module}: run `pip install ".[train]"` in a clone of this project.'
    assert ended(module, "run", str(tmp_path / "run")) == (2, told)


def test_help_needs_none_of_it() -> None:
    assert ended("accelerate", "run", "--help") == (0, "")
