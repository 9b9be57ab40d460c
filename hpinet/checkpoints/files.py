"""Checkpoint folders and weights files: reading, checking, writing, and the model card.

A checkpoint is a folder with ``config.json``, ``model.safetensors`` and ``README.md``, the card. Its front matter holds
the scores (a Hub ``model-index``) and the SHA-256 of the weights, which reading checks. Other files can be read too: a
single ``.safetensors``, and the authors' ``.pth``, which is a pickle: `_read_published` is the one function that opens
such a file, and it takes nothing but tensors from it.
"""

import hashlib
import io
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

import safetensors.torch
import torch
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hpinet.atomic import write_atomically
from hpinet.errors import CheckpointError
from hpinet.model import SCALES, VARIANTS, HPINet, HPINetConfig, load_weights, variant_config

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"

CUSTOM = "custom"
"""Variant of a configuration that is none of `VARIANTS`."""

_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}  # what weights are kept in


@dataclass(frozen=True)
class Score:
    """Mean PSNR-Y (dB) and SSIM-Y on a benchmark, by the protocol of `hpinet.metrics`."""

    psnr_y: float
    ssim_y: float


@dataclass(frozen=True)
class Provenance:
    """Where weights come from; kept in their card and in the metadata of the weights file."""

    source: str  # address they were fetched from, or how they were trained
    licence: str  # a Hub licence identifier such as apache-2.0, or "other" where the note explains
    note: str  # who holds which rights; credits of the training data
    source_sha256: str = ""  # of the file they were converted from
    created: str = ""  # ISO date


def variant_name(config: HPINetConfig) -> str:
    """T, S, M or L, or `CUSTOM` for a configuration that is none of them."""
    return next((name for name in VARIANTS if variant_config(name, config.scale) == config), CUSTOM)


def checkpoint_name(variant: str, scale: int) -> str:
    """Such as ``hpinet-t-x4``: what the checkpoint and its folder are called."""
    return f"hpinet-{variant.lower()}-x{scale}"


@lru_cache(maxsize=64)
def parameter_count(config: HPINetConfig) -> int:
    """How many numbers training sets in a network of this configuration."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in HPINet(config).parameters())


# ------------------------------------------------------------------------------------------------------- reading


def read_model(path: Path) -> HPINet:
    """The network of a checkpoint folder, ``.safetensors`` or published ``.pth`` file, in evaluation mode on the CPU.

    A lone ``.safetensors`` takes its configuration from a ``config.json`` beside it, else from its tensors' shapes.
    Raises CheckpointError if it is missing, damaged, or not exactly the weights of its configuration.
    """
    config, tensors = _read_folder(path) if path.is_dir() else _read_file(path)
    with torch.device("meta"):  # a few words may say that the network is larger than the machine
        model = HPINet(config)
    load_weights(model, tensors)
    return model.eval()


def read_config(path: Path) -> HPINetConfig:
    """The configuration of whatever `read_model` reads. Raises CheckpointError."""
    return _read_config_file(path / CONFIG) if path.is_dir() else _read_file(path)[0]


def weights_file(path: Path) -> Path:
    """The file with the tensors of a checkpoint folder, or the file itself. Raises CheckpointError if there is none."""
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(f"{path} has no {WEIGHTS}." if path.is_dir() else f"There is no file {path}.")
    return file


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal. Read once, as long as the file keeps its size and time."""
    facts = path.stat()
    return _sha256(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=256)
def _sha256(path: Path, _size: int, _time: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_provenance(file: Path) -> Provenance | None:
    """What a ``.safetensors`` file of ours says of its origin and rights; None of any other file."""
    if file.suffix != ".safetensors":
        return None
    with safe_open(file, "pt") as opened:
        kept = opened.metadata() or {}
    if not {"source", "licence"} <= kept.keys():
        return None
    known = {field.name: kept.get(field.name, "") for field in fields(Provenance)}  # what is empty is not written
    return Provenance(**known)


def infer_config(tensors: Mapping[str, Tensor]) -> HPINetConfig:
    """The named variant whose widths these tensors have. Raises CheckpointError if there is none.

    Patch sizes leave no trace in the weights, so those of the variant are taken. That all names and shapes are right
    is for `load_weights` to check.
    """
    try:
        dim = tensors["first_conv.weight"].shape[0]
        scale = 4 if "upconv1.weight" in tensors else math.isqrt(tensors["upconv.weight"].shape[0] // dim)
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError("These are not weights of HPINet: the tensors of its ends are missing.") from error
    variant = next((config for config in VARIANTS.values() if config.dim == dim), None)
    if variant is None or scale not in SCALES:
        raise CheckpointError(f"No variant has {dim} channels and scale {scale}: put the {CONFIG} beside the file.")
    return replace(variant, scale=scale)


def _read_folder(folder: Path) -> tuple[HPINetConfig, dict[str, Tensor]]:
    return _read_config_file(folder / CONFIG), read_tensors(folder)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint folder, checked against the SHA-256 in its card. Raises CheckpointError."""
    data = weights_file(folder).read_bytes()
    card = _read_card(folder)
    recorded = card.data.get("weights_sha256") if card else None
    if recorded not in (None, hashlib.sha256(data).hexdigest()):
        raise CheckpointError(f"{folder / WEIGHTS} is damaged: its checksum is not the one in {CARD}.")
    return _parse_safetensors(data, folder / WEIGHTS)


def _read_file(path: Path) -> tuple[HPINetConfig, dict[str, Tensor]]:
    data = weights_file(path).read_bytes()
    if path.suffix == ".pth":
        tensors = _read_published(data, path)
        return infer_config(tensors), tensors
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path} is neither a checkpoint folder nor a .safetensors or .pth file.")
    tensors = _parse_safetensors(data, path)
    beside = path.with_name(CONFIG)
    return _read_config_file(beside) if beside.is_file() else infer_config(tensors), tensors


def _read_config_file(file: Path) -> HPINetConfig:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{file.parent} is not a checkpoint: it has no {CONFIG}.") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{file} does not hold the fields of a configuration.")
    return HPINetConfig.from_dict(values)


def _parse_safetensors(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return _numbers(safetensors.torch.load(data), path)
    except (SafetensorError, KeyError) as error:  # KeyError: of a type of numbers that it does not know
        raise CheckpointError(f"{path} is damaged or not a safetensors file ({error}).") from error


def _read_published(data: bytes, path: Path) -> dict[str, Tensor]:
    """The tensors of a file in the authors' format: a pickled dictionary, its names perhaps behind ``module.``."""
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's parsers raise whatever they stumble over
        raise CheckpointError(f"{path} is damaged or not a file of plain tensors.") from error
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise CheckpointError(f"{path} does not hold named tensors.")
    return _numbers({name.removeprefix("module."): tensor for name, tensor in content.items()}, path)


def _numbers(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    for name, tensor in tensors.items():
        is_plain = isinstance(tensor, Tensor) and tensor.layout is torch.strided and tensor.device.type == "cpu"
        if not is_plain or tensor.dtype not in _DTYPES or not tensor.isfinite().all():
            raise CheckpointError(f"{path} is damaged: {name} is not a tensor of finite numbers.")
    return tensors


# ------------------------------------------------------------------------------------------------------- writing


def write_checkpoint(
    model: HPINet, folder: Path, provenance: Provenance, *, scores: Mapping[str, Score] | None = None
) -> None:
    """Writes (or replaces) the three files of a checkpoint folder.

    Each appears complete, the weights last: a folder that has weights is a whole checkpoint. Raises OSError.

    Args:
        model: On any device; kept in float32.
        folder: Created where missing; other files in it are left alone.
        provenance: Without a date, today's.
        scores: By the name of the benchmark, such as "Set5".
    """
    provenance = replace(provenance, created=provenance.created or date.today().isoformat())
    tensors = {name: tensor.detach().float().cpu().contiguous() for name, tensor in model.state_dict().items()}
    data = safetensors.torch.save(tensors, {key: value for key, value in asdict(provenance).items() if value})
    card = _new_card(model.config, provenance, weights_sha256=hashlib.sha256(data).hexdigest())
    _set_scores(card, scores or {})

    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / CONFIG, (json.dumps(asdict(model.config), indent=2) + "\n").encode())
    write_atomically(folder / CARD, str(card).encode())
    write_atomically(folder / WEIGHTS, data)


# ---------------------------------------------------------------------------------------------------- model card


def read_scores(folder: Path) -> dict[str, Score]:
    """The scores recorded in a checkpoint's card by benchmark. Raises CheckpointError if the card is damaged."""
    card = _read_card(folder)
    values: dict[str, dict[str, float]] = {}
    for result in (_data(card).eval_results or []) if card else []:
        with suppress(TypeError, ValueError):  # no number: no score of ours
            values.setdefault(result.dataset_name, {})[result.metric_type] = float(result.metric_value)
    names = {field.name for field in fields(Score)}
    return {dataset: Score(**metrics) for dataset, metrics in values.items() if metrics.keys() == names}


def record_score(folder: Path, dataset: str, score: Score) -> None:
    """Writes a benchmark's score into the card of a checkpoint, in place of an earlier one.

    Raises CheckpointError if there is no readable card.
    """
    card = require_card(folder)
    _set_scores(card, {**read_scores(folder), dataset: score})
    write_atomically(folder / CARD, str(card).encode())


def require_card(folder: Path) -> ModelCard:
    """The card of a checkpoint, to record scores in. Raises CheckpointError if there is no readable one."""
    card = _read_card(folder)
    if card is None:
        raise CheckpointError(f"{folder} has no {CARD} to record a score in.")
    return card


def _read_card(folder: Path) -> ModelCard | None:
    file = folder / CARD
    if not file.is_file():
        return None
    try:
        return ModelCard(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise CheckpointError(f"The front matter of {file} cannot be read: {error}") from error


def _data(card: ModelCard) -> ModelCardData:
    assert isinstance(card.data, ModelCardData)  # which its annotation leaves open
    return card.data


def _set_scores(card: ModelCard, scores: Mapping[str, Score]) -> None:
    _data(card).eval_results = [
        EvalResult(
            task_type="image-to-image",
            dataset_type=dataset.lower(),
            dataset_name=dataset,
            metric_type=metric,
            metric_name=_METRIC_NAMES[metric],
            metric_value=value,
        )
        for dataset, score in scores.items()
        for metric, value in asdict(score).items()
    ] or None


_METRIC_NAMES = {"psnr_y": "PSNR-Y (dB)", "ssim_y": "SSIM-Y"}


def _new_card(config: HPINetConfig, provenance: Provenance, *, weights_sha256: str) -> ModelCard:
    variant = variant_name(config)
    name = checkpoint_name(variant, config.scale)
    data = ModelCardData(
        license=provenance.licence,
        license_name="see-model-card" if provenance.licence == "other" else None,
        library_name="hpinet",
        pipeline_tag="image-to-image",
        tags=["super-resolution", "hpinet"],
        model_name=name,
        weights_sha256=weights_sha256,
    )
    converted = f" (SHA-256 `{provenance.source_sha256}`)" if provenance.source_sha256 else ""
    text = f"""
# {name}

HPINet-{variant} enlarges pictures ×{config.scale}. It has {parameter_count(config):,} parameters in \
{len(config.patch_sizes)} stages of {config.dim} channels. The network is the one of Liu, Chen, Tang and Wu,
"From Coarse to Fine: Hierarchical Pixel Integration for Lightweight Image Super-Resolution", AAAI 2023
([arXiv 2211.16776](https://arxiv.org/abs/2211.16776)).

```python
from hpinet import Upscaler, open_picture, save_picture

upscaler = Upscaler.load("path/to/this/folder")
save_picture(upscaler(open_picture("small.png")), "large.png")
```

## Origin

{provenance.source}{converted}, {provenance.created}.

## Rights and credits

{provenance.note}

## Scores

They are in the front matter of this card: PSNR and SSIM of the luminance without {config.scale} pixels along the
borders, as `python -m hpinet evaluate` measures them.
"""
    return ModelCard(f"---\n{data.to_yaml()}\n---\n{text}")
