"""Engines, each made once."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from networks import MakeEngine, network, small_config

from hpinet.engines import Engine, create_engine
from hpinet.settings import settings


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests here, so that OpenVINO meets a network once."""
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(autouse=True, scope="module")
def _engine_settings(shared_cache: Path) -> Iterator[None]:
    """One thread, which is quickest for small tensors."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPINET_CACHE", str(shared_cache))
        patch.setenv("HPINET_THREADS", "1")
        settings.cache_clear()
        yield
    settings.cache_clear()
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def engine_of() -> MakeEngine:
    """``engine_of(name, scale, memory_mb)``: an engine that runs `networks.network(small_config(scale))`."""

    @cache
    def make(name: str, scale: int = 4, memory_mb: int = 64) -> Engine:
        return create_engine(network(small_config(scale)), name=name, device="cpu", memory_mb=memory_mb)

    return make


@pytest.fixture(params=["torch", "openvino"])
def engine(request: pytest.FixtureRequest, engine_of: MakeEngine) -> Engine:
    """Each engine that runs on a CPU, in turn; for any test that does not leave it changed."""
    return engine_of(request.param)
