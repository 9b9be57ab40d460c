"""spandrel recognises and loads our files and the authors', in a process of its own: it registers for good."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_spec("spandrel"), reason="spandrel is not installed."),
]

# spandrel imports torchvision, whose compiled half wants the very build of torch it was made with. None of its
# operators is used here: where they are missing, their names are declared.
PREPARE = """
import torch
try:
    import torchvision
except RuntimeError:
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""

CHECK = """
import sys
from pathlib import Path
import numpy as np
from hpinet import Upscaler
from hpinet.checkpoints.registry import find, load
from hpinet.integrations.comfyui import NODE_CLASS_MAPPINGS
import spandrel

picture = torch.rand(1, 3, 37, 45)
for scale in (2, 3, 4):
    model, info = load("T", scale=scale)
    weights = model.state_dict()
    torch.save({f"module.{name}": tensor for name, tensor in weights.items()}, Path(sys.argv[1]) / "published.pth")
    for file in (info.path / "model.safetensors", Path(sys.argv[1]) / "published.pth"):
        loaded = spandrel.ModelLoader().load_from_file(file)
        assert loaded.architecture.id == "HPINet" and loaded.tags == ["T"], file
        assert loaded.scale == scale and loaded.tiling is spandrel.ModelTiling.DISCOURAGED
        with torch.inference_mode():
            assert torch.equal(loaded.eval()(picture), model(picture).clamp(0, 1)), file

pictures = torch.rand(2, 20, 30, 3)
(larger,) = NODE_CLASS_MAPPINGS["HPINetUpscale"]().upscale(pictures, "T", 2)
assert larger.shape == (2, 40, 60, 3)
assert np.array_equal(larger[1].numpy(), Upscaler.load("T", scale=2)(pictures[1].numpy()))
print("equal")
"""


def test_weights_are_recognised_and_give_the_same(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREPARE + CHECK, tmp_path], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "equal"
