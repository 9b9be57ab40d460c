"""The engine that runs everything in PyTorch, on a CPU or a CUDA GPU."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from hpinet.engines.streaming import Engine
from hpinet.model import HPINet


class TorchEngine(Engine):
    """PyTorch's own kernels: the reference engine on CPUs, and the one for GPUs (float16 but for matching)."""

    name = "torch"

    def __init__(self, model: HPINet, *, memory_mb: int, threads: int = 1, torch_device: str = "cpu") -> None:
        super().__init__(model, memory_mb=memory_mb, threads=threads, torch_device=torch_device)
        on_gpu = self.torch_device.type == "cuda"
        self.device = torch.cuda.get_device_name(self.torch_device) if on_gpu else "CPU"

    def transformer_weight(self, patch: int) -> float:
        """See `Engine`; measured on CPUs: narrow networks and small patches are slower by operation."""
        return 1.15 + 600 / (self.config.dim * patch)

    def precision(self) -> AbstractContextManager[object]:
        """On GPUs half precision, where tensor cores are several times faster."""
        return torch.autocast("cuda", torch.float16, enabled=self.torch_device.type == "cuda")

    def transform(self, stage: int, patches: Tensor, references: Tensor) -> Tensor:
        """(N, p², C) patches and references -> (N, p², C)."""
        return self.model.blocks[stage](patches, references)
