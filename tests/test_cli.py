"""The command line: what it prints where, what it writes, and how it ends."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from file_server import file_server, good, stalling
from PIL import Image

from hpinet import cli, evaluation
from hpinet.checkpoints.files import Provenance, read_model, read_scores, write_checkpoint
from hpinet.checkpoints.registry import PUBLISHED, find
from hpinet.errors import CheckpointError
from hpinet.images import open_picture
from hpinet.model import HPINet, HPINetConfig, variant_config
from hpinet.settings import settings
from hpinet.upscaler import Upscaler

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty cache, authors who can be reached nowhere, one thread of the engine that has nothing to compile."""
    monkeypatch.setenv("HPINET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HPINET_AUTHORS_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HPINET_ENGINE", "torch")
    monkeypatch.setenv("HPINET_THREADS", "1")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["hpinet", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        assert isinstance(end.value.code, int | None)
        return Ended(end.value.code or 0, printed.out, printed.err)

    return run


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A small ×2 checkpoint."""
    torch.manual_seed(0)
    model = HPINet(HPINetConfig(2, dim=8, qk_dim=4, ffn_dim=12, patch_sizes=(5, 8)))
    write_checkpoint(model, tmp_path / "small", Provenance(source="A test", licence="apache-2.0", note=""))
    return tmp_path / "small"


def picture(path: Path, height: int = 14, width: int = 17, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


# ------------------------------------------------------------------------------------------------------- upscale


def test_one_picture_beside_itself(run: Run, tmp_path: Path) -> None:
    source = picture(tmp_path / "cat.png")
    ended = run("upscale", source)
    target = tmp_path / "cat_x4_hpinet-t.png"
    assert ended.code == 0
    assert ended.out.startswith(f"{target}  68×56, ")
    assert ended.err == "1 enlarged.\n"
    expected = Upscaler.load("T")(open_picture(source))
    np.testing.assert_array_equal(open_picture(target).colour, expected.colour)


def test_a_folder_is_mirrored_and_one_bad_file_stops_nobody(run: Run, weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    picture(folder / "a.png")
    picture(folder / "sea/b.jpg")
    (folder / "sea/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    (folder / "notes.txt").write_text("hello")
    ended = run("upscale", folder, "--weights", weights, "-o", tmp_path / "out", "--format", "webp", "--quality", 100)
    assert ended.code == 2
    assert sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file()) == [
        tmp_path / "out/a.webp",
        tmp_path / "out/sea/b.webp",
    ]
    assert Image.open(tmp_path / "out/sea/b.webp").size == (34, 28)
    assert len(ended.out.splitlines()) == 2
    complaint, summary = ended.err.splitlines()
    assert complaint.startswith(f"Error: {folder / 'sea/broken.png'}: ")
    assert summary == "2 enlarged, 1 failed, 1 skipped (not a picture: notes.txt)."


def test_into_a_file(run: Run, weights: Path, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    assert run("upscale", source, "--weights", weights, "--output", tmp_path / "new/large.jpg").code == 0
    assert Image.open(tmp_path / "new/large.jpg").format == "JPEG"
    ended = run("upscale", source, picture(tmp_path / "b.png"), "--weights", weights, "-o", tmp_path / "one.png")
    assert (ended.code, ended.err) == (
        2,
        f"Error: {tmp_path / 'one.png'} is one file, and there are 2 pictures: name a folder.\n",
    )


def test_metadata(run: Run, weights: Path, tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[315], tags[42033] = "Artist", "serial"
    Image.open(picture(tmp_path / "a.png")).save(tmp_path / "a.jpg", exif=tags, dpi=(100, 100))
    for choice, artist in (("drop", None), ("keep", "Artist"), ("keep-all", "Artist")):
        ended = run("upscale", tmp_path / "a.jpg", "--weights", weights, "-o", tmp_path / "b.jpg", "--metadata", choice)
        assert ended.code == 0
        with Image.open(tmp_path / "b.jpg") as image:
            assert image.getexif().get(315) == artist
            assert image.info["jfif_density"] == ((200, 200) if artist else (1, 1))


def test_inputs_are_never_overwritten(run: Run, weights: Path, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    before = source.read_bytes()
    for output in (source, tmp_path):
        ended = run("upscale", source, "--weights", weights, "--output", output)
        assert ended.code == 2
        assert "would replace" in ended.err
        assert ended.err.endswith("0 enlarged, 1 failed.\n")
    assert source.read_bytes() == before


def test_a_second_run_ignores_the_results_of_the_first(run: Run, weights: Path, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.png")
    for count in (1, 2):
        ended = run("upscale", tmp_path / "in", "--weights", weights)
        assert ended.code == 0
        assert len(ended.out.splitlines()) == 1
        assert len(list((tmp_path / "in").iterdir())) == 2, count


def test_a_run_over_files_that_a_shell_names_is_resumed(run: Run, weights: Path, tmp_path: Path) -> None:
    """The shell names the results of the first run too, and so does a pattern."""
    options = ("--weights", weights, "--existing", "skip")
    picture(tmp_path / "in/a.png")
    assert run("upscale", *sorted((tmp_path / "in").iterdir()), *options).code == 0
    picture(tmp_path / "in/b.png")
    ended = run("upscale", *sorted((tmp_path / "in").iterdir()), *options)
    assert ended.code == 0
    earlier = "1 skipped (result of an earlier run: a_x2_hpinet-small.png)"
    assert ended.err == f"1 enlarged, {earlier}, 1 skipped (done already: a.png).\n"
    ended = run("upscale", tmp_path / "in/*.png", *options)
    assert (ended.code, ended.out) == (0, "")
    assert len(list((tmp_path / "in").iterdir())) == 4


def test_paths_may_begin_with_a_home_folder(
    run: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no shell has put it in, as in ``--output=~/large``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "set/a.png", 40, 41)
    assert run("upscale", "~/set/a.png", "--weights=~/small", "--output=~/large").code == 0
    assert Image.open(tmp_path / "large/a.png").size == (82, 80)
    assert run("evaluate", "~/set", "--lr=~/nowhere", "--weights=~/small").err == (
        f"Error: There is no folder {tmp_path / 'nowhere'}.\n"
    )
    assert run("convert", "~/small/model.safetensors", "--output=~/converted").code == 0
    assert (tmp_path / "converted/config.json").is_file()
    ended = run("explain-reach", "~/set/a.png", "--model=~/small", "--tile=16", "-o~/a.png", "--output=~/b.svg")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-2:] == [str(tmp_path / "a.png"), str(tmp_path / "b.svg")]
    assert run("train", "plot", "~/runs", "--output=~/curve.png").err.startswith(f"Error: {tmp_path / 'runs'} has no")
    assert not (tmp_path / "~").exists()


def test_results_of_ones_own_weights_replace_no_others(run: Run, tmp_path: Path) -> None:
    """Of the same variant and scale as a bundled model, in folders that are called anything."""
    source = picture(tmp_path / "a.png")
    assert run("upscale", source, "--scale", 2, "--existing", "skip").code == 0
    kept = (tmp_path / "a_x2_hpinet-t.png").read_bytes()
    torch.manual_seed(0)
    for number, folder in enumerate(("My portraits", "hpinet-mine-x2", "runs/hpinet-t-x2", "2027")):
        model = HPINet(variant_config("T", 2))
        write_checkpoint(model, tmp_path / folder, Provenance(source="A test", licence="apache-2.0", note=""))
        ended = run("upscale", source, "--weights", tmp_path / folder, "--existing", "skip")
        assert ended.err == "1 enlarged.\n", number
    ended = run("upscale", source, "--weights", tmp_path / "2027/model.safetensors", "--existing", "skip")
    assert ended.err == "0 enlarged, 1 skipped (done already: a.png).\n"
    unnamed = find(tmp_path / "runs/hpinet-t-x2").sha256 or ""
    assert {path.name for path in tmp_path.glob("a_*")} == {
        "a_x2_hpinet-t.png",
        "a_x2_hpinet-my-portraits.png",
        "a_x2_hpinet-mine.png",
        f"a_x2_hpinet-t-{unnamed[:8]}.png",
        "a_x2_hpinet-2027.png",
    }
    assert (tmp_path / "a_x2_hpinet-t.png").read_bytes() == kept
    ended = run("upscale", tmp_path / "*.png", "--existing", "skip")
    assert "5 skipped (result of an earlier run" in ended.err


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ("somebody/portraits-x4", "hpinet-somebody-portraits-x4"),
        ("somebody/hpinet-t-x4@v1.0", "hpinet-somebody-hpinet-t-x4-v1.0"),
    ],
)
def test_results_of_weights_of_the_hub_are_called_after_the_repository(source: str, label: str) -> None:
    info = replace(find("T"), origin="hub", path=Path("models--somebody/snapshots/0123456789abcdef"))
    assert cli._label(source, info) == label


@pytest.mark.parametrize(("scale", "size"), [(2, (34, 28)), (3, (51, 42)), (4, (68, 56))])
def test_other_scales_by_native_passes(
    run: Run, weights: Path, tmp_path: Path, scale: int, size: tuple[int, int]
) -> None:
    source = picture(tmp_path / "a.png")
    assert run("upscale", source, "--weights", weights, "--scale", scale).code == 0
    assert Image.open(tmp_path / f"a_x{scale}_hpinet-small.png").size == size


@pytest.mark.parametrize(("option", "pixels", "size"), [("--longest-side", 60, (60, 49)), ("--width", 40, (40, 33))])
def test_sizes_in_pixels(run: Run, tmp_path: Path, option: str, pixels: int, size: tuple[int, int]) -> None:
    """Each picture takes what passes it needs; the second is larger than was asked for."""
    picture(tmp_path / "in/a.png")
    picture(tmp_path / "in/b.png", 70, 70)
    ended = run("upscale", tmp_path / "in", option, pixels)
    assert ended.code == 2
    assert "not larger than the picture" in ended.err
    assert Image.open(tmp_path / f"in/a_{size[0]}x{size[1]}_hpinet-t.png").size == size
    again = run("upscale", tmp_path / "in", option, pixels)
    assert "1 skipped (result of an earlier run" in again.err


def test_self_ensemble(run: Run, weights: Path, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    assert run("upscale", source, "--weights", weights, "--self-ensemble").code == 0
    expected = Upscaler.load(weights, self_ensemble=True)(open_picture(source))
    np.testing.assert_array_equal(open_picture(tmp_path / "a_x2_hpinet-small.png").colour, expected.colour)


@pytest.fixture
def levelled(weights: Path) -> Path:
    """With a level that gives black pictures."""
    model = read_model(weights)
    with torch.no_grad():
        model.last_conv.bias.fill_(-2.0)  # pyright: ignore[reportOptionalMemberAccess]
    write_checkpoint(model, weights / "black", Provenance(source="A test", licence="apache-2.0", note=""))
    (weights / "treatment.json").write_text('{"levels": ["black"], "strengths": {"80": 1, "90": 0}}')
    return weights


def test_each_picture_is_treated_by_what_it_went_through(run: Run, levelled: Path, tmp_path: Path) -> None:
    lossless = picture(tmp_path / "in/a.png", 32, 32)
    Image.open(lossless).save(tmp_path / "in/b.jpg", quality=60)
    ended = run("upscale", tmp_path / "in", "--weights", levelled, "-o", tmp_path / "out")
    assert ended.code == 0, ended.err
    first, second = ended.out.splitlines()
    assert "treated as" not in first
    assert second.endswith("treated as JPEG, about quality 60, 4:2:0")
    assert open_picture(tmp_path / "out/b.png").colour.max() == 0
    assert open_picture(tmp_path / "out/a.png").colour.max() > 100
    for treatment, black in {"clean": [False, False], "photo": [True, True]}.items():
        run("upscale", tmp_path / "in", "--weights", levelled, "-o", tmp_path / treatment, "--treatment", treatment)
        results = [open_picture(tmp_path / treatment / name).colour.max() == 0 for name in ("a.png", "b.png")]
        assert results == black


def test_a_picture_that_gets_no_memory_stops_nobody(
    run: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch says so by a RuntimeError, also outside of the engine."""

    def refuse(*_: object) -> np.ndarray:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr("hpinet.upscaler.fill_transparent", refuse)
    pixels = np.random.default_rng(0).integers(0, 256, (14, 17, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    ended = run("upscale", tmp_path / "a.png", picture(tmp_path / "b.png"), "--weights", weights)
    assert ended.code == 2
    assert f"{tmp_path / 'a.png'}: This machine has not enough memory left" in ended.err
    assert ended.err.endswith("1 enlarged, 1 failed.\n")


def test_photo_needs_weights_for_it(run: Run, weights: Path, tmp_path: Path) -> None:
    ended = run("upscale", picture(tmp_path / "a.png"), "--weights", weights, "--treatment", "photo")
    assert ended.code == 2
    assert "no weights for photographs" in ended.err


def test_evaluating_on_jpegs(run: Run, levelled: Path, tmp_path: Path) -> None:
    picture(tmp_path / "set/one.png", 60, 60)

    def psnr(*options: object) -> float:
        ended = run("evaluate", tmp_path / "set", "--weights", levelled, "--json", *options)
        assert ended.code == 0, ended.err
        return json.loads(ended.out)["mean"]["psnr_y"]

    assert psnr("--jpeg", 30) == psnr("--degradation", "jpeg-30") != psnr()
    assert psnr("--jpeg", 30, "--treatment", "auto") < psnr("--jpeg", 30)
    for options in (
        ("--jpeg", 30, "--degradation", "webp-50"),
        ("--jpeg", 30, "--record"),
        ("--degradation", "webp-50", "--record"),
        ("--self-ensemble", "--record"),
        ("--treatment", "photo", "--record"),
        ("--treatment", "auto", "--record"),
        ("--degradation", "rain-1"),
    ):
        assert run("evaluate", tmp_path / "set", "--weights", levelled, *options).code == 2
    assert not read_scores(levelled)


def test_nothing_to_do(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = run("upscale", tmp_path / "nowhere.png", tmp_path / "empty")
    assert ended.code == 2
    assert ended.err.splitlines() == [
        f"Error: {tmp_path / 'nowhere.png'}: there is no such file.",
        f"Error: {tmp_path / 'empty'}: there are no pictures in it.",
        "0 enlarged, 2 failed.",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["upscale"], "Missing argument"),
        (["upscale", "a.png", "--model", "Q"], "no model 'Q'"),
        (["upscale", "a.png", "--scale", "1"], "scale must be from 2"),
        (["upscale", "a.png", "--scale", "four"], "--scale"),
        (["upscale", "a.png", "--scale", "2", "--width", "900"], "one of scale, longest side and width"),
        (["upscale", "a.png", "--width", "0"], "must be positive"),
        (["upscale", "a.png", "--format", "gif"], "gif"),
        (["upscale", "a.png", "--output", "b.png", "--format", "jpeg"], "b.png is no name of a jpeg file"),
        (["upscale", "a.png", "--quality", "0"], "quality"),
        (["upscale", "a.png", "--metadata", "some"], "metadata"),
        (["upscale", "a.png", "--engine", "magic"], "magic"),
        (["upscale", "a.png", "--device", "abacus"], "abacus"),
        (["upscale", "a.png", "--model", "M"], "Cannot reach 127.0.0.1"),
        (["upscale", "a.png", "--weights", "nowhere"], "no checkpoint nowhere"),
        (["enlarge"], "enlarge"),
        (["fetch"], "--all"),
        (["fetch", "S", "--all"], "--all"),
        (["fetch", "S", "--scale", "2"], "no weights for S ×2"),
        (["fetch", "--all", "--scale", "5"], "no weights for ×5"),
        (["convert", "nowhere.pth", "-o", "out"], "no file nowhere.pth"),
        (["evaluate", "nowhere"], "no folder nowhere"),
        (["train", "export", "run", "out", "--credits", "missing.md"], "missing.md: No such file or directory."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    picture(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    ended = run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Error: ")
    assert ended.err.count("\n") == 1
    assert words in ended.err


def test_each_name_of_a_variant_is_enlarged_by_its_own_scale(run: Run, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    results = [tmp_path / f"{number}.png" for number in range(3)]
    for result, name in zip(results, ("T", "hpinet-t", "hpinet-t-x2"), strict=True):
        assert run("upscale", source, "--scale", 2, "--model", name, "-o", result).code == 0
    assert len({result.read_bytes() for result in results}) == 1
    assert run("upscale", source, "--model", "hpinet-T").out.startswith(f"{tmp_path / 'a_x4_hpinet-t.png'}  68×56, ")


def test_model_and_weights_must_agree(run: Run, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    path = find("T").path
    assert run("upscale", source, "--model", "t", "--weights", path).code == 0
    ended = run("upscale", source, "--model", "M", "--weights", path)
    assert (ended.code, ended.err) == (2, f"Error: {path} holds weights of hpinet-t-x4, not of M.\n")


# ------------------------------------------------------------------------------------------------------- weights


def test_models(run: Run) -> None:
    known = json.loads(run("models", "--json").out)
    bundled = sorted(path.name for path in (REPOSITORY / "checkpoints").iterdir() if path.is_dir())
    assert [each["name"] for each in known if each["installed"]] == bundled
    assert {(each["variant"], each["scale"]) for each in known if each["origin"] == "authors"} == set(PUBLISHED)
    assert known[0].keys() >= {"variant", "scale", "origin", "path", "size", "sha256", "parameters", "psnr_set5"}
    lines = run("models").out.splitlines()
    assert len(lines) == len(known) + 1
    assert ["hpinet-t-x4", "bundled", "176,931"] in [line.split()[:3] for line in lines]
    assert "hpinet fetch M --scale 2" in "\n".join(lines)


def test_convert_then_upscale(run: Run, tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = HPINet(variant_config("T", 2)).state_dict()
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "t.pth")
    ended = run("convert", tmp_path / "t.pth", "--output", tmp_path / "t")
    assert ended.code == 0
    assert ended.out.splitlines()[0] == f"hpinet-t-x2  {tmp_path / 't'}"
    assert run("upscale", picture(tmp_path / "a.png"), "--weights", tmp_path / "t").code == 0
    assert run("upscale", tmp_path / "a.png", "--weights", tmp_path / "t.pth", "-o", tmp_path / "b.png").code == 0
    label = f"hpinet-t-{find(tmp_path / 't').sha256[:8]}"  # pyright: ignore[reportOptionalSubscript]
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / f"a_x2_{label}.png").read_bytes()


def test_fetch(run: Run, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"/{path.name}": path.read_bytes() for path in (shared / "authors").glob("*.pth")}
    with file_server(files, good) as server:
        monkeypatch.setenv("HPINET_AUTHORS_URL", server.url)
        settings.cache_clear()
        ended = run("fetch", "m", "--scale", 2)
        assert (ended.code, ended.out, ended.err) == (0, f"hpinet-m-x2  {find('M', scale=2).path}\n", "")
        ended = run("fetch", "--all", "--scale", 2)
        assert (ended.code, ended.out, ended.err) == (0, f"hpinet-m-x2  {find('M', scale=2).path}\n", "")
        ended = run("fetch", "--all")
    assert ended.code == 2  # the fifth file is not there
    assert len(ended.out.splitlines()) == 4
    assert "HPINet-L-x4.pth cannot be fetched: 404" in ended.err


# ---------------------------------------------------------------------------------------------------- evaluation


def test_evaluate(run: Run, weights: Path, tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        picture(tmp_path / "noise" / f"{name}.png", 40, 41, seed)
    ended = run("evaluate", tmp_path / "noise", "--weights", weights, "--json")
    assert (ended.code, ended.err) == (0, "")
    values = json.loads(ended.out)
    assert values["mean"].keys() == {"psnr_y", "ssim_y", "bicubic_psnr_y", "bicubic_ssim_y"}
    assert [image["name"] for image in values["images"]] == ["a", "b"]
    assert (values["scale"], values["benchmark"]) == (2, "Noise")

    ended = run("evaluate", tmp_path / "noise", "--weights", weights, "--record")
    lines = ended.out.splitlines()
    assert lines[0].split() == ["Noise", "×2", "bicubic", "dB", "SSIM", "hpinet-custom-x2", "dB", "SSIM"]
    assert lines[-1].split()[0] == "mean"
    assert float(lines[-1].split()[3]) == pytest.approx(values["mean"]["psnr_y"], abs=0.006)
    assert read_scores(weights)["Noise"].psnr_y == pytest.approx(values["mean"]["psnr_y"], abs=0.001)


def test_what_cannot_be_recorded_is_said_before_the_work(
    run: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "evaluate", lambda *_, **__: pytest.fail("worked first"))
    picture(tmp_path / "noise/a.png", 40, 41)
    (weights / "README.md").unlink()
    for source in (weights, weights / "model.safetensors"):
        ended = run("evaluate", tmp_path / "noise", "--weights", source, "--record")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == f"Error: {source} has no README.md to record a score in.\n"


def test_scores_that_cannot_be_recorded_are_shown(
    run: Run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise CheckpointError("The disk is full.")

    monkeypatch.setattr(evaluation, "record", full)
    ended = run("evaluate", picture(tmp_path / "noise/a.png", 40, 41).parent, "--weights", weights, "--record")
    assert (ended.code, ended.err) == (2, "Error: The disk is full.\n")
    assert ended.out.splitlines()[-1].startswith("mean")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "psnr", "ssim"),
    [
        ("HPINet-S-x4", 32.47, 0.8976),
        ("HPINet-M-x2", 38.12, 0.9605),
        ("HPINet-M-x3", 34.70, 0.9289),
        ("HPINet-M-x4", 32.60, 0.8987),
    ],
)
def test_published_scores(run: Run, shared: Path, name: str, psnr: float, ssim: float) -> None:
    folder = shared / "data" / "set5"
    _, model, scale = name.split("-")
    pictures = [folder / "HR", "--lr", folder / f"LR_bicubic/{scale.upper()}", "--scale", scale[1]]
    weights = shared / "authors" / f"{name}.pth"
    mean = json.loads(run("evaluate", *pictures, "--model", model, "--weights", weights, "--json").out)["mean"]
    assert mean["psnr_y"] == pytest.approx(psnr, abs=0.005)
    assert mean["ssim_y"] == pytest.approx(ssim, abs=0.0002)


@pytest.mark.slow
def test_the_bundled_scores(run: Run, shared: Path) -> None:
    folder = shared / "data" / "set5"
    mean = json.loads(run("evaluate", folder / "HR", "--lr", folder / "LR_bicubic/X4", "--json").out)["mean"]
    path = find("T").path
    assert path is not None
    recorded = read_scores(path)["Set5"]
    assert mean["psnr_y"] == pytest.approx(recorded.psnr_y, abs=0.005)
    assert mean["ssim_y"] == pytest.approx(recorded.ssim_y, abs=0.0002)
    assert mean["psnr_y"] > mean["bicubic_psnr_y"] + 2.5


# ----------------------------------------------------------------------------------------------------- processes


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['hpinet', '--help']; from hpinet.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'numpy', 'PIL', 'gradio', 'matplotlib', 'openvino'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("upscale", "models", "fetch", "convert", "evaluate"):
        assert command in done.stdout


def test_version_and_bare_command(run: Run) -> None:
    assert run("--version").out.startswith("hpinet 0.")
    bare = run()
    assert (bare.code, bare.err) == (0, "")
    assert "upscale" in bare.out


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX terminal")
def test_bars_on_a_terminal_keep_out_of_a_piped_output(tmp_path: Path) -> None:
    import pty

    source = picture(tmp_path / "cat.png", 60, 60)
    terminal, child_side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hpinet", "upscale", source, tmp_path / "nowhere.png"],
        cwd=REPOSITORY,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=child_side,
        text=True,
    )
    os.close(child_side)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side has closed
        while chunk := os.read(terminal, 4096):
            shown += chunk
    os.close(terminal)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out.startswith(f"{tmp_path / 'cat_x4_hpinet-t.png'}  240×240, ")
    assert out.count("\n") == 1
    assert b"cat.png" in shown
    assert b"\x1b[" in shown
    assert shown.rstrip().endswith(b"1 enlarged, 1 failed.")


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_ctrl_c(tmp_path: Path) -> None:
    with file_server({"/HPINet-S-x4.pth": bytes(2**20)}, stalling) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "hpinet", "fetch", "S"],
            cwd=REPOSITORY,
            env={**os.environ, "HPINET_CACHE": str(tmp_path), "HPINET_AUTHORS_URL": server.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that runs the tests in the background has them ignore the signal, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (no thread holds a lock here)
        )
        part = tmp_path / "authors" / "HPINet-S-x4.pth.part"
        assert process.stdout is not None
        for _ in range(600):
            if part.exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err


@pytest.mark.slow
def test_names_that_the_terminal_cannot_write_end_nothing(tmp_path: Path) -> None:
    for name in (b"a.png", b"caf\xe9.png", b"z.png"):
        Image.new("RGB", (16, 16)).save(os.fsencode(tmp_path) + b"/" + name, "PNG")
    done = subprocess.run(
        [sys.executable, "-m", "hpinet", "upscale", str(tmp_path), "--scale", "2"],
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"_x2_hpinet-t.png") == 3
