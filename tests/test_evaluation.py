"""Evaluation: right pictures, right numbers, tables and cards."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from hpinet import evaluation
from hpinet.checkpoints.files import Provenance, Score, read_model, read_scores, write_checkpoint
from hpinet.checkpoints.registry import find
from hpinet.errors import Cancelled, ImageError, OptionError
from hpinet.evaluation import (
    Evaluation,
    ImageScores,
    benchmark_name,
    compressed_table,
    evaluate,
    evaluate_bundled,
    evaluate_compressed,
    find_pairs,
    record,
    score_table,
    write_compressed_table,
    write_score_table,
)
from hpinet.images import Picture, resize_bicubic, save_picture
from hpinet.metrics import psnr_y, ssim_y
from hpinet.model import HPINet, HPINetConfig
from hpinet.settings import settings
from hpinet.upscaler import Upscaler


@pytest.fixture(autouse=True)
def _small_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread of the engine that has nothing to compile."""
    monkeypatch.setenv("HPINET_ENGINE", "torch")
    monkeypatch.setenv("HPINET_THREADS", "1")
    settings.cache_clear()
    yield
    settings.cache_clear()


def picture(seed: int, height: int = 46, width: int = 53) -> np.ndarray:
    """Smooth colours: something that enlarging can restore."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A network that adds nothing to the bilinear enlargement it starts from."""
    torch.manual_seed(0)
    model = HPINet(HPINetConfig(3, dim=8, qk_dim=4, ffn_dim=12, patch_sizes=(5, 8)))
    for parameter in model.last_conv.parameters():
        torch.nn.init.zeros_(parameter)
    write_checkpoint(model, tmp_path / "bilinear", Provenance(source="A test", licence="apache-2.0", note=""))
    return tmp_path / "bilinear"


@pytest.fixture
def upscaler(checkpoint: Path) -> Upscaler:
    return Upscaler.load(checkpoint)


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    for seed, name in enumerate(("ant", "bee")):
        save(tmp_path / "tinyset" / f"{name}.png", picture(seed))
    return tmp_path / "tinyset"


def bilinear(small: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(small / np.float32(255)).permute(2, 0, 1)[None]
    large = F.interpolate(x, scale_factor=3.0, mode="bilinear", align_corners=False)[0]
    return large.mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def test_scores_are_those_of_the_pictures(upscaler: Upscaler, benchmark: Path) -> None:
    result = evaluate(upscaler, benchmark)
    assert (result.benchmark, result.model, result.scale) == ("Tinyset", "hpinet-custom-x3", 3)
    assert (result.engine, result.device) == ("torch", upscaler.engine.device)
    assert [image.name for image in result.images] == ["ant", "bee"]
    for seed, image in enumerate(result.images):
        truth = picture(seed)[:45, :51]
        small = resize_bicubic(Picture(truth), 17, 15)
        restored, bicubic = bilinear(small.colour), resize_bicubic(small, 51, 45).colour
        assert image.psnr_y == pytest.approx(psnr_y(restored, truth, scale=3), abs=0.02)  # rounding of halves
        assert image.ssim_y == pytest.approx(ssim_y(restored, truth, scale=3), abs=1e-4)
        assert image.bicubic_psnr_y == psnr_y(bicubic, truth, scale=3)
        assert image.bicubic_ssim_y == ssim_y(bicubic, truth, scale=3)
    for name in ("psnr_y", "ssim_y", "bicubic_psnr_y", "bicubic_ssim_y"):
        assert getattr(result.mean, name) == pytest.approx(np.mean([getattr(image, name) for image in result.images]))


@pytest.mark.parametrize("pattern", ["{}x3.png", "{}.png", "{}x3.bmp"])
def test_small_pictures_from_a_folder(upscaler: Upscaler, benchmark: Path, tmp_path: Path, pattern: str) -> None:
    for seed, name in enumerate(("ant", "bee")):
        small = resize_bicubic(Picture(picture(seed)[:45, :51]), 17, 15).colour
        save(tmp_path / "small" / pattern.format(name), small)
    save(tmp_path / "small" / "antx2.png", picture(9))  # of another scale
    assert evaluate(upscaler, benchmark, lr=tmp_path / "small") == evaluate(upscaler, benchmark)


def test_the_name_with_the_scale_comes_first(tmp_path: Path, benchmark: Path) -> None:
    for name in ("ant.png", "antx3.png", "antx2.png", "bee.png"):
        save(tmp_path / "small" / name, picture(0))
    pairs = find_pairs(benchmark, tmp_path / "small", scale=3)
    assert [pair.lr and pair.lr.name for pair in pairs] == ["antx3.png", "bee.png"]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("ant", "antx3"), ["ant", "antx3"]),  # named like the true ones
        (("antx3", "antx3x3"), ["antx3", "antx3x3"]),  # with the scale
    ],
)
def test_a_truth_that_is_called_like_the_small_one_of_another(
    tmp_path: Path, names: tuple[str, ...], chosen: list[str]
) -> None:
    for place in [*(f"set/{name}" for name in ("ant", "antx3")), *(f"small/{name}" for name in names)]:
        save(tmp_path / f"{place}.png", picture(0))
    pairs = find_pairs(tmp_path / "set", tmp_path / "small", scale=3)
    assert [pair.lr and pair.lr.stem for pair in pairs] == chosen
    for name in names:
        (tmp_path / "small" / f"{name}.png").unlink()
    save(tmp_path / "small/antx3.png", picture(0))
    with pytest.raises(OptionError, match=r"antx3\.png may be the small one of ant or of antx3: rename"):
        find_pairs(tmp_path / "set", tmp_path / "small", scale=3)


def test_a_missing_small_picture(upscaler: Upscaler, benchmark: Path, tmp_path: Path) -> None:
    save(tmp_path / "small" / "ant.png", picture(0))
    with pytest.raises(OptionError, match=r"no picture beex3 or bee, the small one of bee\.png"):
        evaluate(upscaler, benchmark, lr=tmp_path / "small")


def test_a_missing_true_picture(benchmark: Path, tmp_path: Path) -> None:
    for name in ("antx3", "beex3", "cowx3"):
        save(tmp_path / "small" / f"{name}.png", picture(0))
    with pytest.raises(OptionError, match=r"tinyset has no picture cow, the true one of cowx3\.png"):
        find_pairs(benchmark, tmp_path / "small", scale=3)


def test_a_small_picture_of_the_wrong_size(upscaler: Upscaler, benchmark: Path, tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        save(tmp_path / "small" / f"{name}.png", picture(0, 15, 18))
    with pytest.raises(ImageError, match=r"ant\.png has 18×15 pixels; ×3 of ant\.png has 17×15"):
        evaluate(upscaler, benchmark, lr=tmp_path / "small")


def test_pictures_that_cannot_be_scored(upscaler: Upscaler, tmp_path: Path) -> None:
    save(tmp_path / "set" / "dot.png", picture(0, 17, 40))
    with pytest.raises(ImageError, match=r"dot\.png: To be measured at ×3 a picture needs at least 20 pixels a side"):
        evaluate(upscaler, tmp_path / "set")
    (tmp_path / "set" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"broken\.png: "):
        evaluate(upscaler, tmp_path / "set")


def test_small_pictures_that_cannot_be_read(upscaler: Upscaler, benchmark: Path, tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        save(tmp_path / "small" / f"{name}.png", picture(0, 15, 17))
    (tmp_path / "small" / "bee.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"small/bee\.png: "):
        evaluate(upscaler, benchmark, lr=tmp_path / "small")


def test_what_is_no_picture_of_a_benchmark_is_left_alone(upscaler: Upscaler, benchmark: Path) -> None:
    before = evaluate(upscaler, benchmark)
    (benchmark / "._ant.png").write_bytes(b"what macOS leaves beside a file")
    save(benchmark / "ant_x3_hpinet-t.png", picture(0))
    assert evaluate(upscaler, benchmark) == before


def test_grey_alpha_and_depth_do_not_matter(upscaler: Upscaler, tmp_path: Path) -> None:
    grey = picture(3)[..., 0]
    save(tmp_path / "colour" / "x.png", np.dstack([grey] * 3))
    save(tmp_path / "grey" / "x.png", grey)
    save(tmp_path / "clear" / "x.png", np.dstack([grey, grey, grey, 255 - grey]))
    save(tmp_path / "deep" / "x.png", grey.astype(np.uint16) * 257)
    scores = {name: evaluate(upscaler, tmp_path / name).images for name in ("colour", "grey", "clear", "deep")}
    assert len(set(scores.values())) == 1


def test_progress_and_cancelling(upscaler: Upscaler, benchmark: Path) -> None:
    calls: list[tuple[int, int]] = []
    evaluate(upscaler, benchmark, progress=lambda *call: calls.append(call))
    assert (calls[0], calls[-1]) == ((0, 2000), (2000, 2000))
    assert calls == sorted(calls)

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        evaluate(upscaler, benchmark, progress=stop)


def result(*psnr: float, model: str = "hpinet-t-x4") -> Evaluation:
    images = tuple(
        ImageScores(name=f"picture {number}", psnr_y=value, ssim_y=0.9, bicubic_psnr_y=28.4163, bicubic_ssim_y=0.81)
        for number, value in enumerate(psnr)
    )
    return Evaluation("Set5", model, 4, "torch", "CPU", images)


def test_json() -> None:
    values = json.loads(json.dumps(result(30.0, 32.0).to_dict(), allow_nan=False))
    assert values["mean"] == {"psnr_y": 31.0, "ssim_y": 0.9, "bicubic_psnr_y": 28.4163, "bicubic_ssim_y": 0.81}
    assert values["images"][1] == {
        "name": "picture 1",
        "psnr_y": 32.0,
        "ssim_y": 0.9,
        "bicubic_psnr_y": 28.4163,
        "bicubic_ssim_y": 0.81,
    }
    assert (values["benchmark"], values["model"], values["scale"]) == ("Set5", "hpinet-t-x4", 4)
    assert json.loads(json.dumps(result(math.inf).to_dict(), allow_nan=False))["mean"]["psnr_y"] is None


@pytest.mark.parametrize(
    ("folder", "name"), [("set5", "Set5"), ("Set14/HR", "Set14"), ("urban100/hr", "Urban100"), ("BSD100", "BSD100")]
)
def test_names_of_benchmarks(folder: str, name: str) -> None:
    assert benchmark_name(Path("/data") / folder) == name


def test_recording_scores(checkpoint: Path) -> None:
    record(result(31.00044, 32.0), checkpoint)
    assert read_scores(checkpoint) == {"Set5": Score(31.5, 0.9)}
    assert find(checkpoint).psnr_set5 == 31.5


def test_the_score_table(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Title\n<!-- scores -->\nold\n<!-- end of scores -->\nThe end ×4.\n")
    write_score_table(readme, [result(31.253), result(32.6014, model="hpinet-m-x4")])
    assert readme.read_text().splitlines() == [
        "# Title",
        "<!-- scores -->",
        "| benchmark | scale | model | PSNR-Y (dB) | SSIM-Y | bicubic |",
        "|---|---|---|---:|---:|---:|",
        "| Set5 | ×4 | hpinet-t-x4 | 31.25 | 0.9000 | 28.42 / 0.8100 |",
        "| Set5 | ×4 | hpinet-m-x4 | 32.60 | 0.9000 | 28.42 / 0.8100 |",
        "<!-- end of scores -->",
        "The end ×4.",
    ]
    before = readme.read_text()
    write_score_table(readme, [result(31.253), result(32.6014, model="hpinet-m-x4")])
    assert readme.read_text() == before
    readme.write_text("no place")
    with pytest.raises(OptionError, match="no place for scores"):
        write_score_table(readme, [result(31.253)])
    assert score_table([]).count("\n") == 1


@pytest.fixture
def levelled(checkpoint: Path) -> Path:
    """With a level that gives black pictures: nobody would mistake it."""
    model = read_model(checkpoint)
    with torch.no_grad():
        model.last_conv.bias.fill_(-1.0)  # pyright: ignore[reportOptionalMemberAccess]
    write_checkpoint(model, checkpoint / "black", Provenance(source="A test", licence="apache-2.0", note=""))
    (checkpoint / "treatment.json").write_text('{"levels": ["black"], "strengths": {"50": 1, "90": 0}}')
    return checkpoint


def test_pictures_are_degraded_and_treated_like_files(levelled: Path, benchmark: Path) -> None:
    upscaler = Upscaler.load(levelled)
    clean, treated_clean = evaluate(upscaler, benchmark), evaluate(upscaler, benchmark, treatment="auto")
    assert clean.images == treated_clean.images
    poor = evaluate(upscaler, benchmark, degradation="jpeg-30")
    assert poor.degradation == "jpeg-30"
    assert poor.mean.psnr_y < clean.mean.psnr_y
    assert poor.mean.bicubic_psnr_y < clean.mean.bicubic_psnr_y
    treated = evaluate(upscaler, benchmark, degradation="jpeg-30", treatment="auto")
    assert treated.mean.psnr_y < 15
    assert treated.mean.bicubic_psnr_y == poor.mean.bicubic_psnr_y
    assert treated.to_dict()["treatment"] == "auto"
    with pytest.raises(OptionError, match="choose one of"):
        evaluate(upscaler, benchmark, degradation="rain-3")


def test_what_files_of_small_pictures_say_of_their_losses_counts(
    levelled: Path, benchmark: Path, tmp_path: Path
) -> None:
    for seed, name in enumerate(("ant", "bee")):
        small = resize_bicubic(Picture(picture(seed)[:45, :51]), 17, 15)
        save_picture(small, tmp_path / f"{name}.jpg", quality=30)
    treated = evaluate(Upscaler.load(levelled), benchmark, lr=tmp_path, treatment="auto")
    assert treated.mean.psnr_y < 15


def test_the_table_of_compressed_pictures(
    levelled: Path, benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = replace(find(levelled), origin="bundled")
    monkeypatch.setattr(evaluation, "catalogue", lambda: [bundled, replace(bundled, levels=None)])
    place = "<!-- jpeg scores -->\n<!-- end of jpeg scores -->\n"
    card = levelled / "README.md"
    card.write_text(card.read_text() + place)
    calls: list[tuple[int, int]] = []
    scores = evaluate_compressed(benchmark, qualities=(None, 30), progress=lambda *call: calls.append(call))
    assert (calls[0], calls[-1]) == ((0, 2000), (2000, 2000))
    assert calls == sorted(calls)
    (tmp_path / "README.md").write_text(f"<!-- scores -->\n{place}The end.\n")
    write_compressed_table(tmp_path / "README.md", scores)
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert lines[2] == "| JPEG quality | ×3 bicubic | ×3 clean | ×3 auto |"
    none, poor = ([float(cell) for cell in line.split("|")[2:5]] for line in lines[4:6])
    assert none[1] == none[2] > poor[1] > poor[2]
    assert lines[6:] == ["<!-- end of jpeg scores -->", "The end."]
    assert compressed_table(scores) in card.read_text()
    card.write_text("nothing")
    with pytest.raises(OptionError, match="no place for scores"):
        write_compressed_table(card, scores)


def test_evaluating_what_is_bundled(
    checkpoint: Path, benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = replace(find(checkpoint), origin="bundled")
    monkeypatch.setattr(evaluation, "catalogue", lambda: [bundled, replace(bundled, origin="authors", path=None)])
    for seed, name in enumerate(("ant", "bee")):
        small = resize_bicubic(Picture(picture(seed)[:45, :51]), 17, 15).colour
        save(tmp_path / "small{er}{}/X3" / f"{name}x3.png", small)  # braces that mean nothing
    (each,) = evaluate_bundled(benchmark, lr=str(tmp_path / "small{er}{}/X{scale}"))
    assert each.images == evaluate_bundled(benchmark)[0].images
    assert read_scores(checkpoint)["Tinyset"].psnr_y == round(each.mean.psnr_y, 3)


def test_the_bundled_model_beats_bicubic(shared: Path) -> None:
    """One picture of Set5 stands for five here; `test_cli` has the whole set."""
    pairs = find_pairs(shared / "data/set5/HR", shared / "data/set5/LR_bicubic/X4", scale=4)
    (pair,) = (pair for pair in pairs if pair.name == "woman")
    assert pair.lr is not None
    small, truth = (np.asarray(Image.open(path)) for path in (pair.lr, pair.hr))
    restored = Upscaler.load("T", scale=4)(small)
    bicubic = resize_bicubic(Picture(small), 228, 344).colour
    assert psnr_y(restored, truth, scale=4) > psnr_y(bicubic, truth, scale=4) + 2.5
