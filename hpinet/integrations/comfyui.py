"""A node for ComfyUI that enlarges whole pictures, without tiles.

Where ``hpinet`` is installed in ComfyUI's environment, a file ``custom_nodes/hpinet_nodes.py`` with this one line
gives the node, and makes ComfyUI's own "Load Upscale Model" read HPINet's weights where spandrel is there::

    from hpinet.integrations.comfyui import NODE_CLASS_MAPPINGS
"""

import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpinet.upscaler import Upscaler

_log = logging.getLogger(__name__)

try:  # ComfyUI brings spandrel; the node below does not need it
    from hpinet.integrations.spandrel import install

    install()
except ImportError:
    pass
except (RuntimeError, AttributeError) as error:  # torchvision and torch may be of builds that do not fit
    _log.warning('spandrel does not work here, so "Load Upscale Model" does not read HPINet\'s weights: %r', error)


class HPINetUpscale:
    """A batch (B, H, W, 3) of numbers in [0, 1], as ComfyUI hands pictures on, becomes (B, sH, sW, 3) of float32."""

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
        count, height, width = image.shape[:3]
        larger = torch.empty(count, scale * height, scale * width, 3)
        for result, picture in zip(larger, image.float().cpu(), strict=True):  # NumPy has no bfloat16
            result.copy_(torch.from_numpy(upscaler(np.ascontiguousarray(picture.numpy()))))
        return (larger,)


NODE_CLASS_MAPPINGS = {"HPINetUpscale": HPINetUpscale}
