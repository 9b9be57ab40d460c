"""Weights as other libraries of the Hub fetch them: strictly, and checked against the card. Also see test_hub.py."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import hpinet
from hpinet.checkpoints.files import CARD, CONFIG, WEIGHTS, Provenance, write_checkpoint
from hpinet.checkpoints.pretrained import HPINet
from hpinet.errors import CheckpointError
from hpinet.model import HPINetConfig

SMALL = HPINetConfig(3, dim=8, qk_dim=4, ffn_dim=12, patch_sizes=(5, 8))


def network() -> HPINet:
    torch.manual_seed(4)
    return HPINet(SMALL).eval()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    network().save_pretrained(tmp_path)
    return tmp_path


def test_saved_and_read_back(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} >= {CONFIG, WEIGHTS}
    again = HPINet.from_pretrained(saved)
    assert again.config == SMALL
    assert not again.training
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in network().state_dict().items())


def test_the_package_names_it() -> None:
    assert hpinet.HPINet is HPINet


def test_weights_that_are_not_those_of_the_card_are_refused(tmp_path: Path) -> None:
    write_checkpoint(network(), tmp_path, Provenance("Made for a test", "apache-2.0", "Credit: nobody."))
    assert HPINet.from_pretrained(tmp_path).config == SMALL
    weights = load_file(tmp_path / WEIGHTS)
    weights["last_conv.bias"] += 1
    save_file(weights, tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match=f"is damaged: its checksum is not the one in {CARD}"):
        HPINet.from_pretrained(tmp_path)


def change_config(folder: Path, **values: object) -> None:
    file = folder / CONFIG
    config = {**json.loads(file.read_text()), **values}
    file.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))


def test_a_missing_tensor(saved: Path) -> None:
    weights = load_file(saved / WEIGHTS)
    weights.pop("last_conv.bias")
    save_file(weights, saved / WEIGHTS)
    with pytest.raises(CheckpointError, match=r"missing \['last_conv.bias'\]"):
        HPINet.from_pretrained(saved)


def test_an_unknown_tensor(saved: Path) -> None:
    weights = load_file(saved / WEIGHTS)
    save_file({**weights, "surprise": torch.zeros(1)}, saved / WEIGHTS)
    with pytest.raises(CheckpointError, match=r"unknown \['surprise'\]"):
        HPINet.from_pretrained(saved)


def test_a_wrong_shape(saved: Path) -> None:
    weights = load_file(saved / WEIGHTS)
    save_file({**weights, "last_conv.bias": torch.zeros(4)}, saved / WEIGHTS)
    with pytest.raises(CheckpointError, match=r"last_conv.bias is \(4,\)"):
        HPINet.from_pretrained(saved)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"colour": "blue"}, "colour"),
        ({"dim": None}, "dim"),
        ({"scale": 5}, "scale"),
        ({"dim": 4096}, "another configuration"),
        ({"dim": 2_000_000}, "at most 4096"),  # more than any machine has
    ],
    ids=["unknown field", "missing field", "impossible value", "large", "too large"],
)
def test_a_configuration_that_is_none(saved: Path, values: dict[str, object], complaint: str) -> None:
    change_config(saved, **values)
    with pytest.raises(CheckpointError, match=complaint):
        HPINet.from_pretrained(saved)


def test_no_configuration(saved: Path) -> None:
    (saved / CONFIG).unlink()
    with pytest.raises(CheckpointError, match=r"config\.json"):
        HPINet.from_pretrained(saved)


def test_pickles_are_never_opened(saved: Path) -> None:
    torch.save(load_file(saved / WEIGHTS), saved / "pytorch_model.bin")
    (saved / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=r"no model\.safetensors"):
        HPINet.from_pretrained(saved)


@pytest.mark.parametrize("name", ["map_loction", "map_location", "strict", "subfolder"])
def test_an_argument_that_would_do_nothing(saved: Path, name: str) -> None:
    arguments: dict[str, Any] = {name: "cuda"}
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        HPINet.from_pretrained(saved, **arguments)
