"""What is quick must stay quick: heavy libraries are imported when they are first needed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "PIL",
    "fsspec",
    "gradio",
    "huggingface_hub",
    "imagecodecs",
    "matplotlib",
    "numpy",
    "openvino",
    "pyarrow",
    "ray",
    "spaces",
    "torch",
}

IMPORTED_BY = """
import json, runpy, sys
try:
    {statement}
except SystemExit as stop:
    assert not stop.code, stop.code
finally:
    print("\\n" + json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


def imported_by(statement: str) -> set[str]:
    """Top-level modules in a fresh process after ``statement``."""
    script = IMPORTED_BY.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def command(*arguments: str) -> str:
    """The statement that runs `python -m hpinet` with ``arguments``."""
    return f"sys.argv[1:] = {list(arguments)!r}; runpy.run_module('hpinet', run_name='__main__')"


@pytest.mark.parametrize(
    "statement",
    [
        "import hpinet",
        "import hpinet.errors, hpinet.progress, hpinet.settings",
        "import hpinet; hpinet.__version__",
        command("--help"),
        command("--version"),
        command("upscale", "--help"),
    ],
    ids=lambda statement: statement[:60],
)
def test_nothing_heavy_is_imported(statement: str) -> None:
    assert HEAVY & imported_by(statement) == set()


def test_pictures_need_no_network() -> None:
    """Decoding, scaling and saving know nothing of PyTorch."""
    assert not {"torch", "gradio", "openvino", "matplotlib"} & imported_by("import hpinet.images")


def test_pictures_need_no_codec_but_pillow_until_they_do() -> None:
    assert not {"imagecodecs", "pillow_heif", "tifffile"} & imported_by("import hpinet.images")


def test_networks_need_no_page() -> None:
    assert not {"gradio", "spaces", "matplotlib"} & imported_by("import hpinet.upscaler, hpinet.evaluation")


@pytest.mark.slow
def test_this_test_would_notice() -> None:
    assert "torch" in imported_by("import hpinet; hpinet.Upscaler")


def test_names_of_the_package_are_those_it_lists() -> None:
    import hpinet

    assert all(getattr(hpinet, name) is not None for name in hpinet.__all__)
    with pytest.raises(AttributeError, match="Enlarger"):
        hpinet.Enlarger  # noqa: B018
