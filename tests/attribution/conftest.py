"""Networks and pictures to explain."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from hpinet.checkpoints import registry
from hpinet.model import HPINet, HPINetConfig

EXAMPLES = Path(__file__).parents[2] / "examples"
SCALE = 4


class Bicubic(nn.Module):
    """Enlarges without a parameter; an output pixel depends on 4x4 input pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=float(SCALE), mode="bicubic", align_corners=False)


class Convolutions(nn.Module):
    """A small network that is neither linear nor ours, with one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.GELU(), nn.Conv2d(8, SCALE**2, 3, padding=1), nn.PixelShuffle(SCALE)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@pytest.fixture
def bicubic() -> Bicubic:
    return Bicubic().eval()


@pytest.fixture
def convolutions() -> Convolutions:
    torch.manual_seed(1)
    return Convolutions().eval()


@pytest.fixture(scope="session")
def untrained() -> HPINet:
    """Our network with random weights, small enough to run many times. Patches of 12 and 16 pixels."""
    torch.manual_seed(2)
    config = HPINetConfig(SCALE, dim=8, qk_dim=4, ffn_dim=8, patch_sizes=(12, 16, 12))
    return HPINet(config).eval()


@pytest.fixture(scope="session")
def bundled() -> HPINet:
    """The trained T×4 that comes with the project."""
    return registry.load("T", scale=SCALE)[0]


@pytest.fixture(scope="session")
def facade() -> np.ndarray:
    """(160, 192, 3) uint8: a house with rows of equal windows."""
    with Image.open(EXAMPLES / "facade.png") as image:
        return np.array(image.convert("RGB"))


@pytest.fixture
def noise() -> Tensor:
    """A picture (1, 3, 40, 44) that no two runs of a test see differently."""
    return torch.rand(1, 3, 40, 44, generator=torch.Generator().manual_seed(3))
