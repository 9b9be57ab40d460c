"""The proof of what a public page must hold, in its short version, as the command that prints it."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.proof
def test_the_page_is_fair_and_loses_nothing() -> None:
    command = [sys.executable, "-m", "scripts.prove_trust", "--short"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
