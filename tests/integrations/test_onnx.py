"""ONNX files: equal to the network in onnxruntime, for the size they were made for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hpinet.checkpoints.registry import load
from hpinet.cli import app
from hpinet.errors import OptionError
from hpinet.images import open_picture
from hpinet.integrations import onnx
from hpinet.integrations.onnx import TOLERANCE, export_onnx
from hpinet.model import HPINet, HPINetConfig, variant_config
from hpinet.settings import settings

onnxruntime = pytest.importorskip("onnxruntime", reason="The extra `export` is not installed.")
EXAMPLES = Path(__file__).parents[2] / "examples"
TINY = HPINetConfig(2, dim=8, qk_dim=4, ffn_dim=12, patch_sizes=(5, 8))


@pytest.mark.parametrize("size", [(0, 8), (8, 4096)])
def test_sizes_that_no_file_is_made_for(size: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="from 1x1 to 2048x2048"):
        export_onnx(HPINet(TINY), tmp_path / "tiny.onnx", height=size[0], width=size[1])
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HPINet, "forward", lambda *_: pytest.fail("the work has begun"))
    with pytest.raises(OptionError, match="no such folder"):
        export_onnx(HPINet(TINY), tmp_path / "nowhere" / "tiny.onnx", height=8, width=8)


@pytest.mark.parametrize(
    ("size", "megabytes", "advice"),
    [
        ((2048, 2048), 16_000, "choose 1024x1024 or less"),
        ((1000, 2000), 1_500, "choose 500x250 or less"),
        ((1, 1), 1, "another model"),
    ],
)
def test_sizes_that_take_more_memory_than_there_is(
    size: tuple[int, int], megabytes: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "memory_allowance", lambda: megabytes)
    monkeypatch.setattr(HPINet, "forward", lambda *_: pytest.fail("the work has begun"))
    with pytest.raises(OptionError, match=advice):
        export_onnx(HPINet(variant_config("T", 2)), tmp_path / "t.onnx", height=size[0], width=size[1])


def test_threads_are_those_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def answer(_data: bytes, picture: torch.Tensor, count: int) -> torch.Tensor:
        threads.extend((count, torch.get_num_threads()))
        return model(picture)

    before, model = torch.get_num_threads(), HPINet(TINY)
    torch.set_num_threads(2)
    monkeypatch.setenv("HPINET_THREADS", "1")
    settings.cache_clear()
    monkeypatch.setattr(onnx, "_traced", lambda *_: b"")
    monkeypatch.setattr(onnx, "_answer_of_onnxruntime", answer)
    export_onnx(model, tmp_path / "tiny.onnx", height=8, width=8)
    settings.cache_clear()
    torch.set_num_threads(before)
    assert threads == [1, 1]


@pytest.mark.slow
def test_grids_of_patches_stay_usable(tmp_path: Path) -> None:
    """They are kept by size, and tracing leaves marks on whatever it computes."""
    torch.manual_seed(0)
    model = HPINet(replace(TINY, scale=3)).eval()
    assert export_onnx(model, tmp_path / "tiny.onnx", height=13, width=11) <= TOLERANCE
    with torch.inference_mode():
        assert np.isfinite(model(torch.rand(1, 3, 13, 11)).numpy()).all()


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    target = tmp_path / "t.onnx"
    result = CliRunner().invoke(app, ["export", str(target), "--size", "50x34"])
    assert result.exit_code == 0, result.output
    assert "within" in result.stdout
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    network, _ = load("T", scale=4)
    pixels = open_picture(EXAMPLES / "cat.png").samples[40:74, 120:170]
    picture = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
    (ours,) = session.run(None, {"lr": picture.numpy()})
    with torch.inference_mode():
        assert np.abs(ours - network(picture).numpy()).max() <= TOLERANCE
