"""Parts of a picture, and how a network gets to see them."""

import numpy as np
import torch
from torch import Tensor, nn

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels, right and bottom exclusive."""


def square_around(x: int, y: int, side: int, width: int, height: int) -> Box:
    """The square of ``side`` pixels around a pixel, moved inside the picture, or what the picture holds of it."""
    left, top = (max(0, min(at - side // 2, room - side)) for at, room in ((x, width), (y, height)))
    return left, top, min(left + side, width), min(top + side, height)


def to_tensor(pixels: np.ndarray, box: Box, *, like: nn.Module) -> Tensor:
    """A part of (H, W, 3) uint8 pixels as (1, 3, h, w) float32 in [0, 1] on the device of a model's parameters."""
    left, top, right, bottom = box
    part = np.ascontiguousarray(pixels[top:bottom, left:right])
    device = next((parameter.device for parameter in like.parameters()), torch.device("cpu"))
    return torch.from_numpy(part).to(device).permute(2, 0, 1)[None].float() / 255
