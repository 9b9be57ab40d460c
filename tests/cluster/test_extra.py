"""Without the extra, the package works and says what is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from hpinet.cluster.cli import serve
from hpinet.errors import OptionError

HIDDEN = """
import sys
for name in ("ray", "pyarrow"):
    sys.modules[name] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("ray", "pyarrow") else found(name, *rest)
from hpinet.cli import main
main()
"""


@pytest.mark.parametrize(
    "arguments",
    [("upscale", "scans", "--output", "large", "--cluster", "auto"), ("serve", "--cluster", "auto")],
    ids=lambda arguments: arguments[0],
)
def test_what_is_missing_is_named(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", HIDDEN, *arguments]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    told = 'Error: A cluster needs ray, pyarrow: run `pip install ".[cluster]"` in a clone of this project.\n'
    assert done.stderr == told


def test_a_page_on_windows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its replicas could not reach it, and nobody would hear why."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(OptionError, match="runs on Linux and macOS"):
        serve(cluster="auto")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--workers", "2"), "name it with --cluster"),
        (("--cluster", "auto", "--existing", "skip"), "leave --existing away"),
    ],
)
def test_options_that_contradict_each_other(options: tuple[str, ...], words: str) -> None:
    command = [sys.executable, "-m", "hpinet", "upscale", "scans", "--output", "large", *options]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr
