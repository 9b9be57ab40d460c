"""A node for ComfyUI that enlarges whole pictures, without tiles.

Where ``hpinet`` is installed in ComfyUI's environment, a file ``custom_nodes/hpinet_nodes.py`` with this one line
gives the node, and makes ComfyUI's own "Load Upscale Model" read HPINet's weights where spandrel is there::

    from hpinet.integrations.comfyui import NODE_CLASS_MAPPINGS
"""

from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpinet.upscaler import Upscaler

with suppress(ImportError):  # ComfyUI brings spandrel; the node below does not need it
    from hpinet.integrations.spandrel import install

    install()


class HPINetUpscale:
    """A batch (B, H, W, 3) of float32 in [0, 1], as ComfyUI hands pictures on, becomes (B, sH, sW, 3)."""

    CATEGORY = "image/upscaling"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "upscale"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """The sockets and controls of the node."""
        return {"required": {"image": ("IMAGE",), "model": (["T", "S", "M", "L"],), "scale": ([2, 3, 4],)}}

    def upscale(self, image: Tensor, model: str, scale: int) -> tuple[Tensor]:
        """Weights that are missing are fetched; see `Upscaler` for what can go wrong."""
        upscaler = Upscaler.load(model, scale=scale, fetch=True)
        results = [upscaler(np.ascontiguousarray(each.cpu().numpy(), np.float32)) for each in image]
        return (torch.from_numpy(np.stack(results)),)


NODE_CLASS_MAPPINGS = {"HPINetUpscale": HPINetUpscale}
