"""One picture from place to place, without a cluster."""

import hashlib
import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from PIL import Image

from hpinet.checkpoints.files import Provenance, write_checkpoint
from hpinet.checkpoints.levels import TREATMENT
from hpinet.cluster.order import Order, enlarge
from hpinet.cluster.places import Place
from hpinet.errors import HPINetError, OptionError
from hpinet.files import enlarge_file
from hpinet.model import HPINet, HPINetConfig
from hpinet.plan import TargetSize, run_plan

ORDER = Order.of("T", TargetSize(scale=2), engine="torch", treatment="clean")
UPSCALER = cache(ORDER.upscaler)


def test_the_usual_scale_is_that_of_the_local_command() -> None:
    assert Order.of("T", None).size == TargetSize(scale=4)


@pytest.mark.parametrize("name", ["T", "t", "hpinet-t", "HPINet-T"])
def test_each_name_of_a_variant_stands_for_all_its_scales(name: str) -> None:
    order = Order.of(name, TargetSize(scale=2))
    assert order.plan((10, 10)).passes == (2,)
    assert order.weights == ORDER.weights


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_results_are_those_of_the_one_path(scans: Path, tmp_path: Path, kind: str) -> None:
    source, results = Place.of(str(scans)), Place.of(str(tmp_path / "results"))
    if kind == "memory":
        memory = Place.of(f"memory://{tmp_path}/scans")
        memory.write("a.png", source.read("a.png"))
        source, results = memory, Place.of(f"memory://{tmp_path}/results")
    line = enlarge(ORDER, "a.png", "deep/a.png", source=source, results=results, upscaler=UPSCALER)
    assert (line.outcome, line.error) == ("done", "")
    assert (line.source, line.target, line.model) == ("a.png", "deep/a.png", "hpinet-t-x2")
    assert (line.width, line.height) == (24, 20)
    assert line.sha256 == hashlib.sha256((scans / "a.png").read_bytes()).hexdigest()
    assert line.bytes == (scans / "a.png").stat().st_size
    truth = enlarge_file(
        scans / "a.png",
        plan=ORDER.plan,
        run=lambda picture, plan: run_plan(picture, plan, UPSCALER, treatment="clean"),
        target=lambda _plan: tmp_path / "truth.png",
    )
    assert results.read("deep/a.png") == truth.target.read_bytes()
    assert [file.name for file in results.files()] == ["deep/a.png"]


@pytest.mark.parametrize(
    ("name", "outcome", "words"),
    [
        ("deep/torn.png", "failed", "not a picture"),
        ("gone.png", "failed", "FileNotFoundError"),
        ("a.png", "refused", "not larger"),
    ],
)
def test_what_goes_wrong_is_a_line(scans: Path, tmp_path: Path, name: str, outcome: str, words: str) -> None:
    order = replace(ORDER, size=TargetSize(width=10)) if outcome == "refused" else ORDER
    results = Place.of(str(tmp_path / "results"))
    line = enlarge(order, name, "r.png", source=Place.of(str(scans)), results=results, upscaler=UPSCALER)
    assert line.outcome == outcome
    assert words in line.error
    assert not results.exists() or not list(results.files())


def test_a_defect_is_a_line_too(scans: Path, tmp_path: Path) -> None:
    def broken(_scale: int) -> None:
        raise ZeroDivisionError("oh")

    places = {"source": Place.of(str(scans)), "results": Place.of(str(tmp_path / "results"))}
    line = enlarge(ORDER, "a.png", "a.png", upscaler=broken, **places)  # type: ignore[arg-type]
    assert (line.outcome, line.error) == ("failed", "ZeroDivisionError: oh")


def test_headers_tell_what_is_too_large(scans: Path) -> None:
    data = (scans / "a.png").read_bytes()
    assert ORDER.check(data, 2000) == (24, 20)
    with pytest.raises(OptionError, match=r"a worker has 0\.6 GB"):
        ORDER.check(data, 600)
    with pytest.raises(HPINetError, match="not a picture"):
        ORDER.check(b"no picture", 2000)


def test_fingerprints_tell_orders_apart() -> None:
    others = [
        replace(ORDER, size=TargetSize(scale=3)),
        replace(ORDER, treatment="auto"),
        replace(ORDER, format="WEBP"),
        replace(ORDER, quality=80),
        replace(ORDER, metadata="keep"),
        replace(ORDER, self_ensemble=True),
        Order.of("M", TargetSize(scale=2), treatment="clean"),
    ]
    assert len({order.fingerprint() for order in (ORDER, *others)}) == 8
    assert replace(ORDER).fingerprint() == ORDER.fingerprint()


def test_an_archive_goes_on_with_another_engine() -> None:
    assert replace(ORDER, engine="openvino", device="cuda").fingerprint() == ORDER.fingerprint()


def test_fingerprints_tell_treatments_apart(tmp_path: Path) -> None:
    """The same weights with other strengths, or another level, make other results."""
    bundled = Path(__file__).parents[2] / "checkpoints" / "hpinet-t-x4"
    folders = [tmp_path / name for name in ("same", "strengths", "level")]
    for folder in folders:
        shutil.copytree(bundled, folder)
    values = json.loads((bundled / TREATMENT).read_text())
    values["strengths"] = dict.fromkeys(values["strengths"], 1.0)
    (folders[1] / TREATMENT).write_text(json.dumps(values))
    first, second, *_ = (folders[2] / name / "model.safetensors" for name in values["levels"])
    shutil.copy(first, second)
    plain, strengths, level = (Order.of(str(folder), None).fingerprint() for folder in folders)
    assert plain == Order.of(str(bundled), None).fingerprint()
    assert len({plain, strengths, level}) == 3


def test_a_network_of_ones_own_tells_its_memory(scans: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = HPINetConfig(2, dim=8, qk_dim=4, ffn_dim=12, patch_sizes=(5, 8))
    write_checkpoint(HPINet(config), tmp_path / "small", Provenance(source="A test", licence="apache-2.0", note=""))
    order = Order.of(str(tmp_path / "small"), None)
    assert order.check((scans / "a.png").read_bytes(), 2000) == (24, 20)
    with pytest.raises(OptionError, match=r"a worker has 0\.6 GB"):
        order.check((scans / "a.png").read_bytes(), 600)


def test_a_self_ensemble_takes_more_memory() -> None:
    order = Order.of("T", TargetSize(scale=4))
    plan = order.plan((1000, 1000))
    assert replace(order, self_ensemble=True).megabytes(plan) > order.megabytes(plan) + 300


def test_a_width_is_that_of_the_upright_picture(tmp_path: Path) -> None:
    """80×60 as stored, 60×80 as seen: 70 pixels are an enlargement."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 60)).save(tmp_path / "portrait.jpg", exif=exif)
    order = replace(ORDER, size=TargetSize(width=70))
    assert order.check((tmp_path / "portrait.jpg").read_bytes(), 2000) == (60, 80)
    place = Place.of(str(tmp_path))
    line = enlarge(order, "portrait.jpg", "result.png", source=place, results=place, upscaler=UPSCALER)
    assert (line.outcome, line.width, line.height) == ("done", 60, 80)
    with Image.open(tmp_path / "result.png") as result:
        assert result.size == (70, 93)


def test_a_checkpoint_folder_is_a_model_too() -> None:
    folder = Path(__file__).parents[2] / "checkpoints" / "hpinet-t-x3"
    order = Order.of(str(folder), None)
    assert order.size == TargetSize(scale=3)
    assert order.plan((10, 10)).passes == (3,)
