"""Which engine `create_engine` makes, and what it says when it cannot."""

import re
import sys
from typing import Any

import pytest
import torch
from networks import network, small_config

from hpinet.engines import create_engine, use_device, use_threads
from hpinet.engines.machine import cpu_allowance
from hpinet.engines.openvino import OpenVINOEngine
from hpinet.errors import MemoryShortageError, OptionError
from hpinet.model import HPINet
from hpinet.settings import settings

SETTINGS = ("HPINET_ENGINE", "HPINET_DEVICE", "HPINET_MEMORY_MB", "HPINET_THREADS")


@pytest.fixture
def model() -> HPINet:
    return network(small_config(2))


@pytest.fixture(autouse=True)
def _nothing_set(settings_of_this_test: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch, model: HPINet) -> Any:
    """`create_engine` that tells what it would have made, and makes nothing."""
    made: dict[str, Any] = {}

    def stand_in(name: str) -> Any:
        return lambda _model, **options: made.update(engine=name, **options)

    monkeypatch.setattr("hpinet.engines.torch.TorchEngine", stand_in("torch"))
    monkeypatch.setattr("hpinet.engines.openvino.OpenVINOEngine", stand_in("openvino"))

    def choose(**options: Any) -> dict[str, Any]:
        made.clear()
        create_engine(model, **options)
        return made

    return choose


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def no_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)


@pytest.mark.usefixtures("no_gpu")
class TestWithoutGPU:
    def test_openvino_is_chosen(self, choose: Any) -> None:
        assert choose()["engine"] == "openvino"
        assert choose(name="auto", device="cpu")["engine"] == "openvino"

    @pytest.mark.usefixtures("no_openvino")
    def test_torch_is_chosen_where_openvino_is_not_installed(self, choose: Any) -> None:
        assert choose()["engine"] == "torch"
        assert choose()["torch_device"] == "cpu"

    @pytest.mark.parametrize("name", ["torch", "openvino"])
    def test_a_name_is_obeyed(self, choose: Any, name: str) -> None:
        assert choose(name=name)["engine"] == name

    def test_cuda_is_refused(self, choose: Any) -> None:
        with pytest.raises(OptionError, match=r"CUDA.*choose the device cpu"):
            choose(device="cuda")

    @pytest.mark.usefixtures("no_openvino")
    def test_openvino_is_refused_where_it_is_not_installed(self, choose: Any) -> None:
        with pytest.raises(OptionError, match="pip install openvino"):
            choose(name="openvino")


@pytest.mark.usefixtures("one_gpu")
class TestWithGPU:
    def test_the_gpu_is_chosen(self, choose: Any) -> None:
        made = choose()
        assert (made["engine"], made["torch_device"]) == ("torch", "cuda")

    def test_a_numbered_gpu_is_obeyed(self, choose: Any) -> None:
        assert choose(device="cuda:0")["torch_device"] == "cuda:0"

    def test_the_cpu_may_be_asked_for(self, choose: Any) -> None:
        assert choose(device="cpu")["engine"] == "openvino"
        assert choose(device="cpu", name="torch")["torch_device"] == "cpu"

    def test_openvino_stays_on_the_cpu(self, choose: Any) -> None:
        assert choose(name="openvino")["engine"] == "openvino"
        with pytest.raises(OptionError, match="CPU"):
            choose(name="openvino", device="cuda")

    @pytest.mark.parametrize("device", ["cuda:1", "cuda:first", "cuda:-1"])
    def test_a_gpu_that_is_not_there_is_refused(self, choose: Any, device: str) -> None:
        with pytest.raises(OptionError, match=device):
            choose(device=device)


@pytest.mark.parametrize("name", ["onnx", "Torch", "openvino "])
def test_unknown_engines_are_refused(choose: Any, name: str) -> None:
    with pytest.raises(OptionError, match=r"auto, torch, openvino.*" + repr(name)):
        choose(name=name)


@pytest.mark.parametrize(
    "device", ["tpu", "CPU", "gpu", "cpu:", "cpu:x", "cpu:0", "auto:3", "cuda:", "cuda:x", "cuda:0\n"]
)
def test_unknown_devices_are_refused(choose: Any, device: str) -> None:
    with pytest.raises(OptionError, match=re.escape(f"must be auto, cpu, cuda or cuda:N, not {device!r}")):
        choose(device=device)


@pytest.mark.usefixtures("one_gpu")
def test_settings_decide_what_is_not_given(choose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(SETTINGS, ("torch", "cpu", "123", "1"), strict=True):
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    made = choose()
    assert (made["engine"], made["torch_device"], made["memory_mb"]) == ("torch", "cpu", 123)
    assert torch.get_num_threads() == 1
    made = choose(name="openvino", memory_mb=45)
    assert (made["engine"], made["memory_mb"], made["threads"]) == ("openvino", 45, 1)
    assert choose(device="cuda")["torch_device"] == "cuda"


@pytest.mark.usefixtures("no_gpu")
def test_threads_are_those_the_process_may_use(choose: Any) -> None:
    assert choose(name="openvino")["threads"] == cpu_allowance()
    choose(name="torch")
    assert torch.get_num_threads() == cpu_allowance()


def test_work_without_an_engine_keeps_to_the_settings(model: HPINet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPINET_THREADS", "3")
    monkeypatch.setenv("HPINET_DEVICE", "cpu")
    settings.cache_clear()
    assert use_device(model) is model
    assert use_threads() == torch.get_num_threads() == 3
    monkeypatch.setenv("HPINET_DEVICE", "tpu")
    settings.cache_clear()
    with pytest.raises(OptionError, match="'tpu'"):
        use_device(model)


@pytest.mark.usefixtures("one_gpu")
def test_work_without_an_engine_is_done_on_the_gpu(model: HPINet, monkeypatch: pytest.MonkeyPatch) -> None:
    devices: list[str] = []
    monkeypatch.setattr(model, "to", devices.append)
    use_device(model)
    assert devices == ["cuda"]


def test_engines_introduce_themselves(model: HPINet) -> None:
    engine = create_engine(model, name="torch", device="cpu")
    assert (engine.name, engine.device, engine.scale, engine.model) == ("torch", "CPU", 2, model)
    assert not model.training


def test_openvino_introduces_itself(model: HPINet) -> None:
    engine = create_engine(model, name="openvino")
    assert (engine.name, engine.device) == ("openvino", "CPU")


def test_where_there_is_no_memory_to_load_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(OpenVINOEngine, "_requests", refuse)
    with pytest.raises(MemoryShortageError, match="has not enough memory left"):
        create_engine(network(small_config(2)), name="openvino")
