"""The README's examples work as printed."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image

from hpinet import cli
from hpinet.images import open_picture, resize_bicubic, save_picture
from hpinet.model import HPINet, variant_config
from hpinet.settings import settings
from hpinet.upscaler import Upscaler
from scripts import write_formats

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
LINES = [
    line.partition("#")[0].strip()
    for line in [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
    + re.findall(r"`(python -m hpinet [^`]*)`", README)
    if "hpinet" in line
]
COMMANDS = [shlex.split(line)[3:] for line in LINES if line.startswith("python -m hpinet ")]
SECTION = README[README.index("## Command line") : README.index("## Python")]
TYPED = [shlex.split(line, comments=True)[3:] for line in SECTION.splitlines() if line.startswith("python -m hpinet ")]

# Long work is cut short; the other models need no other code, only a network connection.
SHORTER = {
    "benchmark": ["--variants", "T", "--sizes", "24x24", "--engines", "torch", "--repeats", "1"],
    "explain": ["--steps", "1", "--region", "24"],
}
INSTEAD = {"M": "T"}


@pytest.mark.parametrize("words", COMMANDS, ids=shlex.join)
def test_commands_and_options_exist(words: list[str]) -> None:
    group = typer.main.get_command(cli.app)
    while words and words[0] in getattr(group, "commands", {}):
        group, words = getattr(group, "commands")[words[0]], words[1:]  # noqa: B009 (of groups only)
    group.make_context("hpinet", list(words))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with the files that the examples speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the processes that a benchmark starts
    monkeypatch.setenv("HPINET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HPINET_ENGINE", "torch")
    monkeypatch.setenv("HPINET_THREADS", "1")
    settings.cache_clear()
    threads = torch.get_num_threads()
    pixels = np.random.default_rng(0).integers(0, 256, (88, 128, 3), np.uint8)
    for name in ("photo.jpg", "photo.png", "scans/deep/page.png", "HR/one.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels if "HR" not in name else pixels[:64, :64]).save(name)
    small = resize_bicubic(open_picture(Path("HR/one.png")), 16, 16)
    Path("LR").mkdir()
    save_picture(small, Path("LR/onex4.png"))
    torch.save(HPINet(variant_config("M", 4)).state_dict(), "HPINet-M-x4.pth")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    yield tmp_path
    monkeypatch.undo()
    settings.cache_clear()
    torch.set_num_threads(threads)


@pytest.mark.parametrize("words", TYPED, ids=shlex.join)
@pytest.mark.usefixtures("folder")
def test_commands_work(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = [INSTEAD.get(word, word) for word in words] + SHORTER.get(words[0], [])
    if "--longest-side" in words:
        words[words.index("--longest-side") + 1] = "192"
    monkeypatch.setattr(sys, "argv", ["hpinet", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code


def test_python_works(folder: Path) -> None:
    code = next(block for language, block in BLOCKS if language == "python" and "Upscaler" in block)
    exec(compile(code, "README.md", "exec"), {})
    expected = Upscaler.load("T", scale=4)(open_picture(ROOT / "examples/cat.png"))
    np.testing.assert_array_equal(open_picture(folder / "cat_x4.png").colour, expected.colour)


def test_the_client_is_the_one_that_is_tested() -> None:
    clients = [path.read_text("utf-8") for path in (ROOT / "hpinet/ui/clients").glob("*.py")]
    assert clients
    for code in clients:
        assert ("python", code.partition('"""\n\n')[2]) in BLOCKS  # what follows the docstring


def test_the_table_of_formats_is_that_of_the_package() -> None:
    """Run `python -m scripts.write_formats` if it is not."""
    assert write_formats.written(README) == README
    assert write_formats.rows() in README
