"""Checkpoint folders: written and read back, refused when anything is wrong, their cards kept."""

import io
import json
import pickle
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hpinet.atomic import write_atomically
from hpinet.checkpoints import pretrained
from hpinet.checkpoints.files import (
    CARD,
    CONFIG,
    WEIGHTS,
    Provenance,
    Score,
    file_sha256,
    infer_config,
    parameter_count,
    read_config,
    read_model,
    read_scores,
    record_score,
    variant_name,
    weights_file,
    write_checkpoint,
)
from hpinet.errors import CheckpointError
from hpinet.model import SCALES, VARIANTS, HPINet, HPINetConfig, variant_config

PROVENANCE = Provenance(source="Made for a test", licence="apache-2.0", note="Credit: nobody.", created="2026-01-02")
SCORES = {"Set5": Score(31.25, 0.88), "Set14": Score(28.5, 0.77)}
SMALL = HPINetConfig(4, dim=8, qk_dim=4, ffn_dim=12, patch_sizes=(5, 8))


def network(config: HPINetConfig = SMALL) -> HPINet:
    torch.manual_seed(0)
    return HPINet(config).eval()


def same(a: HPINet, b: HPINet) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of a small network of no named variant."""
    write_checkpoint(network(), tmp_path / "small", PROVENANCE, scores=SCORES)
    return tmp_path / "small"


def published(file: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """A file like the authors'."""
    torch.save({f"module.{name}": tensor for name, tensor in tensors.items()}, file)
    return file


# -------------------------------------------------------------------------------------------------- round trips


def test_a_checkpoint_round_trip(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted([CARD, CONFIG, WEIGHTS])
    again = read_model(folder)
    assert again.config == read_config(folder) == SMALL
    assert not again.training
    assert same(again, network())
    assert same(pretrained.HPINet.from_pretrained(folder), again)


def test_the_card_tells_origin_rights_scores_and_hash(folder: Path) -> None:
    assert read_scores(folder) == SCORES
    _, front_matter, text = (folder / CARD).read_text().split("---\n", 2)
    fields = yaml.safe_load(front_matter)
    assert fields["license"] == "apache-2.0"
    assert fields["weights_sha256"] == file_sha256(folder / WEIGHTS)
    assert fields["model-index"][0]["name"] == "hpinet-custom-x4"
    for words in ("Made for a test", "Credit: nobody.", "2026-01-02", f"{parameter_count(SMALL):,} parameters"):
        assert words in text
    with safe_open(folder / WEIGHTS, "pt") as file:
        assert file.metadata() == {name: value for name, value in asdict(PROVENANCE).items() if value}


def test_the_date_is_todays_unless_given(tmp_path: Path) -> None:
    write_checkpoint(network(), tmp_path, replace(PROVENANCE, created=""))
    with safe_open(tmp_path / WEIGHTS, "pt") as file:
        assert len(file.metadata()["created"]) == len("2026-01-02")


def test_writing_again_replaces_the_checkpoint_alone(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    other = network(replace(SMALL, patch_sizes=(4, 7)))
    torch.nn.init.ones_(other.first_conv.weight)
    write_checkpoint(other, folder, PROVENANCE)
    assert same(read_model(folder), other)
    assert read_config(folder) == other.config
    assert read_scores(folder) == {}
    assert sorted(path.name for path in folder.iterdir()) == sorted([CARD, CONFIG, WEIGHTS, "notes.txt"])


def test_half_precision_is_read_as_single(folder: Path) -> None:
    (folder / CARD).unlink()
    weights = {name: tensor.half() for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file(weights, folder / WEIGHTS)
    model = read_model(folder)
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}


def test_a_lone_file_takes_the_configuration_beside_it(folder: Path) -> None:
    assert same(read_model(folder / WEIGHTS), network())
    (folder / CONFIG).unlink()
    with pytest.raises(CheckpointError, match="No variant has 8 channels and scale 4"):
        read_model(folder / WEIGHTS)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_named_variants_are_known_by_their_shapes(variant: str, scale: int) -> None:
    config = variant_config(variant, scale)
    with torch.device("meta"):
        assert infer_config(HPINet(config).state_dict()) == config
    assert variant_name(config) == variant


def test_a_published_file(tmp_path: Path) -> None:
    model = network(variant_config("T", 3))
    file = published(tmp_path / "weights.pth", model.state_dict())
    assert read_config(file) == model.config
    assert same(read_model(file), model)


def test_a_lone_safetensors_of_a_named_variant(tmp_path: Path) -> None:
    model = network(variant_config("T", 2))
    save_file(model.state_dict(), tmp_path / "any.safetensors")
    assert same(read_model(tmp_path / "any.safetensors"), model)


def test_all_of_the_authors_files(shared: Path) -> None:
    for variant, scale in (("S", 4), ("M", 2), ("M", 3), ("M", 4)):
        model = read_model(shared / "authors" / f"HPINet-{variant}-x{scale}.pth")
        assert model.config == variant_config(variant, scale)


# ---------------------------------------------------------------------------------------------------- strictness


def test_weights_that_differ_from_their_card(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({**weights, "last_conv.bias": weights["last_conv.bias"] + 1}, folder / WEIGHTS)
    with pytest.raises(CheckpointError, match="checksum"):
        read_model(folder)


@pytest.mark.parametrize("length", [0, 7, 1000, -1])
def test_truncated_weights(folder: Path, length: int) -> None:
    file = folder / WEIGHTS
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="checksum"):
        read_model(folder)
    with pytest.raises(CheckpointError, match="damaged or not a safetensors file"):
        read_model(file)


def test_missing_files(folder: Path, tmp_path: Path) -> None:
    (folder / WEIGHTS).rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors"):
        read_model(folder)
    (folder / CONFIG).unlink()
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        read_model(folder)
    with pytest.raises(CheckpointError, match="no file"):
        weights_file(tmp_path / "nowhere.safetensors")
    with pytest.raises(CheckpointError, match="neither a checkpoint folder nor"):
        read_model(tmp_path / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "fields of a configuration"),
        ("{}", "must have the fields"),
        (json.dumps({**asdict(SMALL), "colour": 1}), "must have the fields"),
        (json.dumps({**asdict(SMALL), "scale": 7}), "scale must be one of"),
        (json.dumps({**asdict(SMALL), "dim": "8"}), "does not describe"),
        (json.dumps({**asdict(SMALL), "dim": 8.0}), "a whole number"),
        (json.dumps({**asdict(SMALL), "scale": float(SMALL.scale)}), "a whole number"),
        (json.dumps({**asdict(SMALL), "qk_dim": True}), "a whole number"),
        (json.dumps({**asdict(SMALL), "patch_sizes": [12] * 1000}), "1 to 64 sizes"),
        (json.dumps({**asdict(SMALL), "dim": 4096, "patch_sizes": [5] * 64}), "missing"),  # more than any machine has
        (json.dumps({**asdict(SMALL), "dim": 4096}), "another configuration"),
        (json.dumps({**asdict(SMALL), "dim": 10**10}), "at most 4096"),
        (json.dumps({**asdict(SMALL), "dim": 10**30}), "at most 4096"),
        pytest.param("[" * 200_000, "not JSON", id="nested"),
    ],
)
def test_bad_configurations(folder: Path, content: str, words: str) -> None:
    (folder / CONFIG).write_text(content)
    with pytest.raises(CheckpointError, match=words):
        read_model(folder)


def test_weights_of_another_configuration(folder: Path) -> None:
    (folder / CONFIG).write_text(json.dumps(asdict(replace(SMALL, ffn_dim=13))))
    with pytest.raises(CheckpointError, match="another configuration"):
        read_model(folder)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("fault", ["missing", "surplus", "shape", "foreign", "not finite", "integers"])
def test_lone_files_are_checked_name_by_name(tmp_path: Path, suffix: str, fault: str) -> None:
    tensors = network(variant_config("T", 2)).state_dict()
    if fault == "missing":
        del tensors["mid_convs.1.bias"]
    elif fault == "surplus":
        tensors["mid_convs.4.bias"] = torch.zeros(32)
    elif fault == "shape":
        tensors["mid_convs.1.bias"] = torch.zeros(33)
    elif fault == "foreign":
        tensors = {"conv.weight": torch.zeros(3)}
    elif fault == "not finite":
        tensors["mid_convs.1.bias"][3] = torch.nan
    else:
        tensors["mid_convs.1.bias"] = torch.zeros(32, dtype=torch.int64)
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        published(file, tensors)
    else:
        save_file(tensors, file)
    with pytest.raises(CheckpointError):
        read_model(file)


class Opener:
    """Pickles as a call: what reading must never make."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (open, (str(self.path), "w"))


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    victim = tmp_path / "written by the pickle"
    for name, save in (("zip", torch.save), ("plain", partial(pickle.dump, protocol=2))):
        file = tmp_path / f"{name}.pth"
        with file.open("wb") as stream:
            save({"first_conv.weight": Opener(victim)}, stream)
        with pytest.raises(CheckpointError, match="plain tensors"):
            read_model(file)
        assert not victim.exists()


@pytest.mark.parametrize("shape", [(), (0,), (32,)])
def test_foreign_tensors_under_our_names(tmp_path: Path, shape: tuple[int, ...]) -> None:
    tensors = {"first_conv.weight": torch.zeros(shape), "upconv.weight": torch.zeros(shape)}
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError):
        read_model(tmp_path / "x.safetensors")


@pytest.mark.parametrize("content", [[torch.zeros(1)], {1: torch.zeros(1)}, {"a": 1.0}, {"a": {"b": torch.zeros(1)}}])
def test_published_files_that_hold_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError):
        read_model(tmp_path / "x.pth")


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(3, 3).to_sparse(), torch.zeros(3, device="meta"), torch.zeros(3).to(torch.float8_e4m3fn)],
    ids=["sparse", "meta", "float8"],
)
def test_numbers_of_other_kinds(tmp_path: Path, tensor: torch.Tensor) -> None:
    torch.save({"first_conv.weight": tensor}, tmp_path / "x.pth")
    files = ["x.pth"]
    if tensor.dtype == torch.float8_e4m3fn:
        save_file({"first_conv.weight": tensor}, tmp_path / "x.safetensors")
        files.append("x.safetensors")
    for name in files:
        with pytest.raises(CheckpointError):
            read_model(tmp_path / name)


def test_damaged_published_files(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(100)}, stream)
    whole = stream.getvalue()
    for data in (b"", b"hello", whole[:200], whole[:-30], b"\x80\x02."):
        (tmp_path / "x.pth").write_bytes(data)
        with pytest.raises(CheckpointError, match="damaged"):
            read_model(tmp_path / "x.pth")


# ---------------------------------------------------------------------------------------------------------- cards


def test_recording_a_score_changes_that_score_alone(folder: Path) -> None:
    text = (folder / CARD).read_text()
    record_score(folder, "Set5", Score(32.5, 0.9))
    record_score(folder, "Urban100", Score(26.0, 0.8))
    assert read_scores(folder) == {"Set5": Score(32.5, 0.9), "Set14": SCORES["Set14"], "Urban100": Score(26.0, 0.8)}
    assert (folder / CARD).read_text().split("---\n")[2] == text.split("---\n")[2]
    read_model(folder)  # the checksum is still there, and right


def test_a_card_is_optional(folder: Path) -> None:
    (folder / CARD).unlink()
    assert read_scores(folder) == {}
    assert same(read_model(folder), network())
    with pytest.raises(CheckpointError, match=r"no README\.md"):
        record_score(folder, "Set5", Score(1, 1))


def test_cards_of_others(folder: Path) -> None:
    (folder / CARD).write_text("# No front matter\n")
    assert read_scores(folder) == {}
    (folder / CARD).write_text("---\nlicense: mit\n---\n# No scores\n")
    assert read_scores(folder) == {}
    result = "model-index:\n- name: x\n  results:\n  - task:\n      type: image-to-image\n"
    result += "    dataset:\n      name: Set5\n      type: set5\n"
    result += "    metrics:\n    - type: psnr_y\n      value: %s\n    - type: ssim_y\n      value: 0.9\n"
    for value in ("38 dB", "null", "[1]"):  # no number
        (folder / CARD).write_text(f"---\n{result % value}---\n# A card\n")
        assert read_scores(folder) == {}
    (folder / CARD).write_text("---\n- [broken\n---\n")
    with pytest.raises(CheckpointError, match="front matter"):
        read_scores(folder)


def test_atomic_writing_leaves_the_old_file_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
