"""Peak memory, in a process of its own: two feature maps, the result, and the working set."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEIGHT, WIDTH = 640, 900
DIM, SCALE, WORKING_SET = 16, 2, 32  # the last in MiB
ALLOCATOR = 40  # MiB that the allocator and libraries may keep

MEASURE = f"""
import json, resource
from networks import network, picture, small_config
from hpinet.engines import create_engine

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

config = small_config({SCALE}, dim={DIM}, qk_dim=4, ffn_dim=16, patch_sizes=(16,))
engine = create_engine(network(config), name=ENGINE, device="cpu", memory_mb={WORKING_SET})
pixels = picture({HEIGHT}, {WIDTH}, "uint8")
engine.upscale(pixels[:40, :40])  # whatever is loaded once
before = peak()
result = engine.upscale(pixels)
print(json.dumps([before, peak(), result.shape]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_memory_is_bounded(name: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HPINET_CACHE": str(tmp_path),
        "HPINET_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])]),
    }
    command = [sys.executable, "-W", "ignore", "-c", MEASURE.replace("ENGINE", repr(name))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after, shape = json.loads(done.stdout)
    assert shape == [SCALE * HEIGHT, SCALE * WIDTH, 3]

    pixels = HEIGHT * WIDTH
    maps = 2 * 4 * DIM * pixels
    picture, result = 2 * 4 * 3 * pixels, SCALE**2 * 3 * pixels  # float32 and once while it is padded; uint8
    allowed = maps + picture + result + (WORKING_SET + ALLOCATOR) * 2**20
    assert after - before < allowed
