"""HPINet as an ONNX file, for pictures of one size.

How a picture divides into patches depends on its size, and is decided while the network is traced: a file therefore
takes pictures of the size that it was made for, and no others. The extra ``export`` brings what is needed.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from hpinet.atomic import write_atomically
from hpinet.engines import use_threads
from hpinet.engines.machine import memory_allowance
from hpinet.errors import CheckpointError, OptionError, needs_extra
from hpinet.model import HPINet, HPINetConfig
from hpinet.patches import patch_grid

OPSET = 18  # the first whose ScatterND adds up, which merging overlapping patches needs
TOLERANCE = 1e-4
"""How far a pixel in [0, 1] of onnxruntime's result may be from PyTorch's."""

LARGEST_SIDE = 2048
"""Pixels; the file holds the indices of all patches, and the run all patches at once."""

_MATRICES = 3
"""As large as the largest, held at once while a file is tried: measured for T ×2 from 256x256 to 384x384."""


def export_onnx(model: HPINet, target: Path, *, height: int, width: int) -> float:
    """Writes the network for pictures of one size, and tries it; returns the largest difference from PyTorch.

    The file's input ``lr`` is (1, 3, height, width) in [0, 1], its output ``hr`` (1, 3, scale * height, scale * width),
    not clamped, both float32. It appears only when onnxruntime has given what PyTorch gives, within `TOLERANCE`.

    Raises:
        OptionError: packages are missing, the size is below 1, above `LARGEST_SIDE` or too large for this machine's
            memory, or there is no such folder.
        CheckpointError: onnxruntime gives something else with these weights.
        OSError: the file cannot be written.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if not find_spec(name)]
    if missing:
        raise OptionError(needs_extra("Exporting", missing, "export"))
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise OptionError(f"The size must be from 1x1 to {LARGEST_SIDE}x{LARGEST_SIDE}, not {width}x{height}.")
    if not target.parent.is_dir():
        raise OptionError(f"{target} cannot be written: there is no such folder.")
    _check_memory(model.config, height, width)
    threads = use_threads()
    picture = _blots(height, width)
    # Before anything is traced: it also fills the grids of patches, kept by size, with numbers instead of traces.
    with torch.inference_mode():
        expected = model.eval().cpu()(picture)
    data = _traced(model, picture)
    difference = (_answer_of_onnxruntime(data, picture, threads) - expected).abs().max().item()
    if not difference <= TOLERANCE:
        raise CheckpointError(f"onnxruntime differs from PyTorch by {difference:.2g} with these weights: not exported.")
    write_atomically(target, data)
    return difference


def _check_memory(config: HPINetConfig, height: int, width: int) -> None:
    """Raises OptionError if pictures of that size take more memory than this machine has."""
    needed, there = _memory_mb(config, height, width), memory_allowance()
    if needed <= there:
        return
    smaller = [(max(1, height >> halvings), max(1, width >> halvings)) for halvings in range(1, 12)]
    fitting = (f"{size[1]}x{size[0]} or less" for size in smaller if _memory_mb(config, *size) <= there)
    raise OptionError(
        f"Pictures of {width}x{height} take {needed / 1000:.1f} GB of memory and this machine has {there / 1000:.1f}: "
        f"choose {next(fitting, 'another model')}."
    )


def _memory_mb(config: HPINetConfig, height: int, width: int) -> float:
    """Megabytes that a run takes at least: of the similarities of all patches, and of the scores of their pixels."""
    height, width = (max(side, config.minimum_size) for side in (height, width))
    grids = [patch_grid(height, width, patch) for patch in config.patch_sizes]
    largest = max(max(grid.count**2, grid.count * grid.patch**4) for grid in grids)
    return _MATRICES * 4 * largest / 1e6


def _blots(height: int, width: int) -> Tensor:
    """A picture (1, 3, H, W) to try a file on, as smooth as photographs are.

    In plain noise all patches are nearly as similar to each other, and rounding decides which is matched.
    """
    coarse = torch.rand(1, 3, 2 + height // 6, 2 + width // 6, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


def _traced(model: HPINet, picture: Tensor) -> bytes:
    program = torch.onnx.export(
        model, (picture,), dynamo=True, opset_version=OPSET, input_names=["lr"], output_names=["hr"], verbose=False
    )
    assert program is not None  # it is, without a file to write
    return program.model_proto.SerializeToString()


def _answer_of_onnxruntime(data: bytes, picture: Tensor, threads: int) -> Tensor:
    import onnxruntime  # noqa: PLC0415 - of the extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (answer,) = session.run(["hr"], {"lr": picture.numpy()})
    return torch.from_numpy(answer)
