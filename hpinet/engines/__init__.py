"""Engines run an HPINet over a whole picture in bounded memory. `create_engine` chooses one."""

import re
import sys
from importlib.util import find_spec

from hpinet.engines.arithmetic import Arithmetic, arithmetic
from hpinet.engines.streaming import Engine
from hpinet.errors import OptionError, telling_of_memory
from hpinet.model import HPINet
from hpinet.settings import ENGINES, settings

__all__ = ["ENGINES", "Arithmetic", "Engine", "arithmetic", "create_engine", "use_device", "use_threads"]

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")

# OpenVINO reports its import and each conversion to a statistics server, from a forked process. This project sends
# nothing anywhere unasked, and a fork of a process with threads may hang: without this module OpenVINO uses its stub.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


def create_engine(
    model: HPINet,
    *,
    name: str | None = None,
    device: str | None = None,
    memory_mb: int | None = None,
) -> Engine:
    """An engine for ``model``, which it takes over (moves to the device, sets to eval mode).

    Args:
        name: "torch", "openvino", or "auto": torch where there is a CUDA GPU, else OpenVINO where it is installed.
        device: "cpu", "cuda", "cuda:1", ..., or "auto": a GPU where there is one.
        memory_mb: Working set beyond two feature maps of the picture and its result, in MiB.

    Each is taken from `hpinet.settings` where None. Raises OptionError if the machine cannot do what is asked, and
    MemoryShortageError if it refuses memory.
    """
    name = name or settings().engine
    memory_mb = memory_mb or settings().memory_mb
    if name not in ENGINES:
        raise OptionError(f"The engine must be one of {', '.join(ENGINES)}, not {name!r}.")
    device = _found(device or settings().device, auto="cpu" if name == "openvino" else None)
    if device == "cpu":
        use_threads()
    if name == "openvino" and device != "cpu":
        raise OptionError("The openvino engine runs on CPUs: choose the device cpu, or the engine torch.")
    if name == "openvino" and not find_spec("openvino"):
        raise OptionError("OpenVINO is not installed: `pip install openvino`, or choose the engine torch.")

    compiled = name == "openvino" or (name == "auto" and device == "cpu" and find_spec("openvino") is not None)
    with telling_of_memory():
        return _create_openvino(model, memory_mb) if compiled else _create_torch(model, memory_mb, device)


def _create_openvino(model: HPINet, memory_mb: int) -> Engine:
    from hpinet.engines.openvino import OpenVINOEngine  # noqa: PLC0415

    cache = settings().cache / "openvino"
    return OpenVINOEngine(model, memory_mb=memory_mb, threads=_threads(), cache=cache)


def _create_torch(model: HPINet, memory_mb: int, device: str) -> Engine:
    from hpinet.engines.torch import TorchEngine  # noqa: PLC0415

    return TorchEngine(model, memory_mb=memory_mb, threads=_threads(), torch_device=device)


def use_threads() -> int:
    """Has PyTorch use as many CPU threads as the settings say, and returns their number. Engines do so themselves."""
    import torch  # noqa: PLC0415 - the names above are light for front ends that only validate

    torch.set_num_threads(_threads())
    return _threads()


def use_device(model: HPINet) -> HPINet:
    """Moves a model to the device that the settings say, for work that no engine does, with the threads they say.

    Raises OptionError if the machine has no such device.
    """
    use_threads()
    return model.to(_found(settings().device))


def _found(device: str, *, auto: str | None = None) -> str:
    """The device that is meant, as PyTorch calls it. Raises OptionError if there is none.

    ``auto`` is what "auto" means, by default a GPU where there is one.
    """
    import torch  # noqa: PLC0415

    if not _DEVICE.fullmatch(device):
        raise OptionError(f"The device must be auto, cpu, cuda or cuda:N, not {device!r}.")
    if device == "auto":
        return auto or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cpu":
        return device
    if not torch.cuda.is_available():
        raise OptionError("PyTorch finds no CUDA GPU here: choose the device cpu.")
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if device not in ("cuda", *gpus):
        raise OptionError(f"PyTorch finds no GPU {device!r} here, only {', '.join(gpus)}.")
    return device


def _threads() -> int:
    from hpinet.engines.machine import cpu_allowance  # noqa: PLC0415

    return settings().threads or cpu_allowance()
