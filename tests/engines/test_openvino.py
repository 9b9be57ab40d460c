"""The cache of compiled networks: used, never trusted, never needed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import torch
from networks import forward, network, picture, small_config

from hpinet.engines import Engine, create_engine
from hpinet.engines.openvino import OpenVINOEngine
from hpinet.model import HPINet
from hpinet.settings import settings

PIXELS = picture(13, 16)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of this test's own, empty at first."""
    monkeypatch.setenv("HPINET_CACHE", str(tmp_path / "cache"))
    settings.cache_clear()
    yield tmp_path / "cache"
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Grows with each model that OpenVINO compiles."""
    models: list[Any] = []
    compile_model = openvino.Core.compile_model

    def noting(self: openvino.Core, model: Any, *args: Any, **options: Any) -> Any:
        models.append(model)
        return compile_model(self, model, *args, **options)

    monkeypatch.setattr(openvino.Core, "compile_model", noting)
    return models


@pytest.fixture
def model() -> HPINet:
    return network(small_config(2, patch_sizes=(5,)))


def engine_for(model: HPINet) -> Engine:
    return create_engine(model, name="openvino", memory_mb=16)


def files(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def assert_right(engine: Engine) -> None:
    np.testing.assert_allclose(engine.upscale(PIXELS), forward(engine.model, PIXELS), rtol=0, atol=1e-5)


def test_the_second_time_nothing_is_compiled(cache: Path, compiled: list[Any], model: HPINet) -> None:
    engine_for(model)
    assert compiled
    kept = {path: path.read_bytes() for path in files(cache)}
    assert kept

    compiled.clear()
    assert_right(engine_for(network(model.config)))
    assert compiled == []
    assert {path: path.read_bytes() for path in files(cache)} == kept


def test_changed_weights_are_not_taken_for_the_old_ones(cache: Path, compiled: list[Any], model: HPINet) -> None:
    """However small the change: here one number of one bias."""
    engine_for(model)
    kept = files(cache)
    compiled.clear()

    bias = next(tensor for name, tensor in model.blocks.named_parameters() if tensor.ndim == 1 and "norm" not in name)
    with torch.no_grad():
        bias[0] += 0.5
    assert_right(engine_for(model))
    assert compiled
    assert len(files(cache)) > len(kept)


def test_another_number_of_threads_is_another_model(
    cache: Path, compiled: list[Any], model: HPINet, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_for(model)
    compiled.clear()
    monkeypatch.setenv("HPINET_THREADS", "2")
    settings.cache_clear()
    engine_for(model)
    assert compiled


def damaged(content: bytes) -> Iterator[bytes]:
    yield b""
    yield content[:100]
    yield content[: len(content) // 2]
    yield content[:-1]
    yield b"not a model at all"
    yield content + b"more"
    for position in range(50, len(content), len(content) // 20):
        yield content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]


@pytest.mark.slow
def test_damaged_files_are_compiled_again(cache: Path, compiled: list[Any], model: HPINet) -> None:
    """Also where a few bits of a weight are all that changed, which no parser would notice."""
    right = engine_for(model).upscale(PIXELS)
    intact = {path: path.read_bytes() for path in files(cache)}
    for versions in zip(*(damaged(content) for content in intact.values()), strict=False):
        for path, content in zip(intact, versions, strict=True):
            path.write_bytes(content)
        compiled.clear()
        np.testing.assert_array_equal(engine_for(model).upscale(PIXELS), right)
        assert compiled
    compiled.clear()
    engine_for(model)
    assert compiled == [], "what was compiled again is kept again"


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path, compiled: list[Any], model: HPINet) -> None:
    cache.write_text("A file where a folder should be.")
    for _ in range(2):
        compiled.clear()
        assert_right(engine_for(model))
        assert compiled
    assert cache.is_file()


def test_nothing_half_written_stays(cache: Path, model: HPINet, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full."""

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert_right(engine_for(model))
    assert files(cache) == []


def test_nothing_is_said_while_compiling(
    cache: Path, model: HPINet, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    """Tracing and converting warn of things that are as they should be; nobody who enlarges pictures wants to know."""
    engine_for(model)
    assert [str(warning.message) for warning in recwarn] == []
    assert capfd.readouterr() == ("", "")


FIRST_USE = """
import sys, threading
sys.setswitchinterval(1e-6)
busy = threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True)
busy.start()
from networks import network, picture, small_config
from hpinet.engines import create_engine
create_engine(network(small_config(2)), name="openvino").upscale(picture(40, 50))
"""


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(3))
def test_the_first_use_by_several_threads_at_once_ends(cache: Path, attempt: int) -> None:
    """It hung in three of eight processes when OpenVINO's tables of types were made by two threads."""
    environment = {
        **os.environ,
        "HPINET_THREADS": "2",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])]),
    }
    command = [sys.executable, "-W", "ignore", "-c", FIRST_USE]
    subprocess.run(command, env=environment, check=True, timeout=60)


QUIET = """
import sys
def watch(event, arguments):
    if event in ("os.fork", "os.forkpty", "socket.connect", "socket.getaddrinfo"):
        print(event, arguments)
sys.addaudithook(watch)
from networks import network, picture, small_config
from hpinet.engines import create_engine
create_engine(network(small_config(2)), name="openvino").upscale(picture(40, 50))
"""


@pytest.mark.slow
def test_nothing_is_reported_anywhere(tmp_path: Path) -> None:
    """OpenVINO would, from a forked process, unless the machine says that it is a CI."""
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    environment |= {
        "HOME": str(tmp_path),
        "HPINET_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])]),
    }
    command = [sys.executable, "-W", "error:This process:DeprecationWarning", "-c", QUIET]
    done = subprocess.run(command, env=environment, check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]  # no identity for a statistics server either


class Silent:
    """A request as one that OpenVINO has refused memory: it says nothing, and leaves its output as it was."""

    def set_output_tensor(self, tensor: openvino.Tensor) -> None:
        pass

    def infer(self, inputs: list[np.ndarray], *, share_inputs: bool) -> None:
        pass


def test_a_result_that_was_not_written_is_nobodys(model: HPINet, cache: Path) -> None:
    """Neither the picture before nor chance: the compiled network is made anew, and the picture begun again."""
    engine = engine_for(model)
    assert isinstance(engine, OpenVINOEngine)
    for _ in range(engine.workers.count):
        engine._idle[0].get()
        engine._idle[0].put(Silent())  # pyright: ignore[reportArgumentType]
    broken = engine._idle[0]
    assert_right(engine)
    assert engine._idle[0] is not broken


REFUSED = """
import resource
import sys
import numpy as np
from hpinet import Upscaler
from hpinet.errors import MemoryShortageError

def allow(megabytes):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limit = resource.RLIM_INFINITY if megabytes is None else used + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))

engine = Upscaler.load("T", scale=2).engine
small, other, large = (np.random.default_rng(n).integers(0, 256, (n, n, 3), np.uint8) for n in (24, 25, 100))
expected = engine.upscale(small)
engine.upscale(other)
for megabytes in (3, 6, 10):
    allow(megabytes)
    for picture in (large, small):
        try:
            result = engine.upscale(picture)
        except MemoryShortageError:
            print("refused")
        else:
            assert picture is large or np.array_equal(result, expected), "another picture's"
    allow(None)
    engine.upscale(other)
    assert np.array_equal(engine.upscale(small), expected), "still another picture's"
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the limits of Linux")
def test_where_memory_is_refused_no_picture_gets_anothers_pixels(cache: Path) -> None:
    environment = {**os.environ, "HPINET_ENGINE": "openvino", "HPINET_THREADS": "1", "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-c", REFUSED]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "refused" in done.stdout
