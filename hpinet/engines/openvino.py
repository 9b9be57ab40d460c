"""The engine for CPUs: the transformers of all stages compiled by OpenVINO, the rest in PyTorch.

OpenVINO fuses each attention, score matrix and all, into one kernel that stays in the cache; that is where PyTorch's
kernels lose most. PyTorch's convolutions are at the machine's limit already.
"""

import hashlib
import warnings
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

import numpy as np
import openvino
import torch
from torch import Tensor, nn

from hpinet import model as network
from hpinet.atomic import write_atomically
from hpinet.engines.streaming import Engine
from hpinet.model import HPINet

# OpenVINO makes its tables of NumPy types when they are first used, and deadlocks where two threads do so at once: it
# waits for NumPy's lock and for Python's in either order. Here they are made by the one thread that imports this.
openvino.Tensor(np.zeros(1, np.float32)).data  # noqa: B018
openvino.Type.f32.to_dtype()


class OpenVINOEngine(Engine):
    """``cache`` keeps the compiled transformers: the first run on a machine takes seconds longer than later ones."""

    name = "openvino"
    device = "CPU"

    def __init__(self, model: HPINet, *, memory_mb: int, threads: int, cache: Path) -> None:
        super().__init__(model, memory_mb=memory_mb, threads=threads)
        self._compiler = _Compiler(threads, cache)
        self._renewing = Lock()
        self._idle = [self._requests(stage) for stage in range(len(self.config.patch_sizes))]

    def _requests(self, stage: int) -> "_Requests":
        patch = self.config.patch_sizes[stage]
        compiled = self._compiler.compile(self.model.blocks[stage], patch**2, self.config.dim)
        requests: _Requests = SimpleQueue()
        for _ in range(self.workers.count):
            requests.put(compiled.create_infer_request())
        return requests

    def transformer_weight(self, patch: int) -> float:
        """See `Engine`; measured: narrow networks and small patches are slower by operation."""
        return 0.97 + 283 / (self.config.dim * patch)

    def transform(self, stage: int, patches: Tensor, references: Tensor) -> Tensor:
        """(N, p², C) patches and references -> (N, p², C). Raises MemoryError where memory is refused."""
        while (request := (idle := self._idle[stage]).get()) is None:
            idle.put(None)  # for others that wait here
            self._renew(stage, idle)
        result = np.empty(patches.shape, np.float32)
        last = result.view(np.uint32)[-1, -1]
        last[-1] = _UNWRITTEN
        try:
            request.set_output_tensor(openvino.Tensor(result, shared_memory=True))
            request.infer([patches.numpy(), references.numpy()], share_inputs=True)
            if last[-1] == _UNWRITTEN:
                _BROKEN.append(request)
                request = None
                raise MemoryError("OpenVINO got no memory for its intermediate results.")
        finally:
            idle.put(request)
        return torch.from_numpy(result)

    def _renew(self, stage: int, broken: "_Requests") -> None:
        """OpenVINO ends the whole process if this is refused memory: it is asked for first, with much to spare."""
        with self._renewing:
            if self._idle[stage] is broken:  # not renewed by another worker meanwhile
                np.empty(_MEMORY_TO_RENEW, np.uint8)
                self._idle[stage] = self._requests(stage)


_Requests = SimpleQueue[openvino.InferRequest | None]
"""Of one stage, one for each worker. None: the compiled transformer is no longer to be trusted, and is made anew."""

_UNWRITTEN = np.uint32(0x7FAB_CDEF)
"""A NaN that no arithmetic gives. An inference that is refused memory says nothing and leaves its output as it was:
the result of another picture. So does each later one of the same compiled model, even if there is memory by then."""

_BROKEN: list[openvino.InferRequest] = []
"""Whose inference was refused memory. To free one ends the process, sometimes."""

_MEMORY_TO_RENEW = 256 * 2**20

_DIGEST_BYTES = 32  # SHA-256 of a compiled model, in front of it in its file


class _Compiler:
    """Turns a `PatchTransformer` into a compiled OpenVINO model, or finds it in the cache."""

    def __init__(self, threads: int, cache: Path) -> None:
        self._core = openvino.Core()
        self._cache = cache
        self._options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,  # one for each worker
            "INFERENCE_PRECISION_HINT": "f32",  # newer CPUs would silently take bf16
            "ENABLE_CPU_PINNING": False,  # pinned, the threads of several processes all sit on the same cores
        }

    def compile(self, transformer: nn.Module, patch_pixels: int, dim: int) -> openvino.CompiledModel:
        file = self._cache / f"{self._key(transformer, patch_pixels)}.blob"
        compiled = self._read(file)
        if compiled is None:
            compiled = self._core.compile_model(_convert(transformer, patch_pixels, dim), "CPU", self._options)
            blob = compiled.export_model().getvalue()
            _write(file, hashlib.sha256(blob).digest() + blob)
        return compiled

    def _key(self, transformer: nn.Module, patch_pixels: int) -> str:
        """Of all that the compiled model depends on: code, weights, their shapes, OpenVINO, the CPU and the threads."""
        key = hashlib.sha256(Path(network.__file__).read_bytes())
        for name, tensor in transformer.state_dict().items():
            key.update(f"{name}{tuple(tensor.shape)}".encode())
            key.update(tensor.numpy().tobytes())
        cpu = (
            self._core.get_property("CPU", "FULL_DEVICE_NAME"),
            self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
        )
        key.update(repr((patch_pixels, openvino.__version__, cpu, sorted(self._options.items()))).encode())
        return key.hexdigest()[:32]

    def _read(self, file: Path) -> openvino.CompiledModel | None:
        """None where there is no file, or not as it was written: OpenVINO would run weights with flipped bits."""
        try:
            content = file.read_bytes()
            digest, blob = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
            if hashlib.sha256(blob).digest() != digest:
                return None
            return self._core.import_model(blob, "CPU", self._options)
        except (OSError, RuntimeError):
            return None


def _convert(transformer: nn.Module, patch_pixels: int, dim: int) -> openvino.Model:
    """The module itself, traced: the architecture has one home, `hpinet.model`."""
    example = torch.zeros(1, patch_pixels, dim)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns that widths of tensors become constants: that is meant
        traced = torch.jit.trace(transformer, (example, example), check_trace=False)
    model = openvino.convert_model(traced)
    model.reshape({number: [-1, patch_pixels, dim] for number in range(2)})
    return model


def _write(file: Path, content: bytes) -> None:
    """No cache is no error."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
