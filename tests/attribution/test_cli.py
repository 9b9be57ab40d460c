"""The commands that explain: what they refuse, and the settings that they keep to."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from hpinet.attribution.cli import attribution_app
from hpinet.checkpoints.files import Provenance, write_checkpoint
from hpinet.errors import ImageError, OptionError
from hpinet.model import HPINet

COMMANDS = (
    ["explain", "a.png", "--at=40,30", "--steps=1", "--region=24"],
    ["explain-gpa", "a.png", "--steps=1", "--region=24"],
    ["explain-reach", "a.png", "--tile=16"],
)


@pytest.fixture(autouse=True)
def _torch_alone(settings_of_this_test: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPINET_ENGINE", "torch")


@pytest.fixture
def _at_work(untrained: HPINet, facade: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with a picture and a network, both small."""
    write_checkpoint(untrained, tmp_path / "net", Provenance(source="A test", licence="apache-2.0", note=""))
    Image.fromarray(facade[:60, :80]).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> None:
    result = CliRunner().invoke(attribution_app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("source", [".", "/"])
@pytest.mark.parametrize("command", [("explain", "--at=1,1"), ("explain-reach",)], ids=" ".join)
def test_what_is_no_file_is_refused(command: tuple[str, ...], source: str) -> None:
    with pytest.raises(ImageError, match="cannot be read: Is a directory"):
        run(*command, source)


@pytest.mark.usefixtures("_at_work")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_threads_are_those_of_the_settings(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPINET_THREADS", "1")
    torch.set_num_threads(2)
    run(*command, "--model=./net")
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("_at_work")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_the_device_is_that_of_the_settings(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPINET_DEVICE", "abacus")
    with pytest.raises(OptionError, match="'abacus'"):
        run(*command, "--model=./net")
