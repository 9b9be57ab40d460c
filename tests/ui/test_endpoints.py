"""The endpoints as programs see them: results equal the library's, byte for byte, and nothing wrong gets through."""

import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from hpinet import Upscaler, open_picture
from hpinet.checkpoints.registry import native_scales
from hpinet.comparison import compare
from hpinet.images import encode_picture
from hpinet.plan import TargetSize, make_plan, run_plan
from hpinet.settings import settings
from hpinet.treatment import Treatment
from hpinet.ui.server import storage
from hpinet.ui.tabs.api import CLIENTS

from .conftest import EXAMPLES, missing


def upscaler_of(scale: int) -> Upscaler:
    return Upscaler.load("T", scale=scale)


def made_by_the_library(
    path: Path, request: TargetSize, format: str = "PNG", quality: int = 90, treatment: Treatment = "clean"
) -> bytes:
    picture = open_picture(path)
    plan = make_plan((picture.width, picture.height), request, natives=native_scales("T"))
    return encode_picture(run_plan(picture, plan, upscaler_of, treatment=treatment), format, quality=quality)


def refused(client: Client, *args: Any, api_name: str = "/upscale", **kwargs: Any) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 (gradio_client raises what it likes)
        client.predict(*args, api_name=api_name, **kwargs)
    return str(caught.value)


def test_only_the_documented_endpoints_are_public(client: Client) -> None:
    api: Any = client.view_api(return_format="dict", print_info=False)
    assert api["unnamed_endpoints"] == {}
    signatures = {
        name: [parameter["parameter_name"] for parameter in endpoint["parameters"]]
        for name, endpoint in api["named_endpoints"].items()
    }
    sizing = ["model", "scale", "longest_side", "width", "format", "quality", "treatment", "metadata"]
    assert signatures == {
        "/upscale": ["image", *sizing],
        "/upscale_batch": ["files", *sizing],
        "/measure": ["image", "models", "scale"],
        "/explain": ["image", "x", "y", "model", "scale", "window", "full"],
        "/models": [],
    }
    required = [
        p["parameter_name"] for p in api["named_endpoints"]["/upscale"]["parameters"] if not p["parameter_has_default"]
    ]
    assert required == ["image"]


def test_upscale_gives_the_file_the_library_makes(client: Client, picture: Path) -> None:
    result = Path(client.predict(handle_file(picture), api_name="/upscale"))
    assert result.name == "my-cat_x4_hpinet-t.png"
    assert result.read_bytes() == made_by_the_library(picture, TargetSize(scale=4))


def test_treatments_follow_the_file_when_asked_to(client: Client, picture: Path, tmp_path: Path) -> None:
    """By default nothing is treated; and no lossless file is, whose results are the same bytes as ever."""
    saved = tmp_path / "saved.jpg"
    Image.open(picture).convert("RGB").save(saved, quality=50)
    size = TargetSize(scale=2)
    treated, untreated = (made_by_the_library(saved, size, treatment=how) for how in ("auto", "clean"))
    assert treated != untreated
    cases: list[tuple[dict[str, Any], bytes]] = [
        ({}, untreated),
        ({"treatment": "clean"}, untreated),
        ({"treatment": "auto"}, treated),
    ]
    for options, expected in cases:
        result = client.predict(handle_file(saved), scale=2, **options, api_name="/upscale")
        assert Path(result).read_bytes() == expected
    lossless = client.predict(handle_file(picture), scale=2, treatment="auto", api_name="/upscale")
    assert Path(lossless).read_bytes() == made_by_the_library(picture, size)


def test_sizes_in_pixels_and_other_formats(client: Client, picture: Path) -> None:
    result = client.predict(handle_file(picture), longest_side=90, format="jpeg", quality=80, api_name="/upscale")
    assert Path(result).name == "my-cat_90x64_hpinet-t.jpg"
    assert Path(result).read_bytes() == made_by_the_library(picture, TargetSize(longest_side=90), "JPEG", 80)
    result = client.predict(handle_file(picture), scale=6, format="webp", quality=100, api_name="/upscale")
    assert Path(result).read_bytes() == made_by_the_library(picture, TargetSize(scale=6), "WEBP", 100)


def test_metadata_is_kept_when_asked_for(client: Client, picture: Path, tmp_path: Path) -> None:
    saved, tags = tmp_path / "saved.png", Image.Exif()
    tags[315] = "Artist"
    Image.open(picture).save(saved, exif=tags, dpi=(100, 100))
    dropped = client.predict(handle_file(saved), scale=2, api_name="/upscale")
    assert Path(dropped).read_bytes() == made_by_the_library(picture, TargetSize(scale=2))
    result = client.predict(handle_file(saved), scale=2, metadata="keep", api_name="/upscale")
    with Image.open(result) as image:
        assert image.getexif()[315] == "Artist"
        assert round(image.info["dpi"][0]) == 200
    archive, _ = client.predict([handle_file(saved)], scale=2, metadata="keep", api_name="/upscale_batch")
    with zipfile.ZipFile(archive) as batch, Image.open(batch.open("saved.png")) as image:
        assert image.getexif()[315] == "Artist"


def test_depth_grey_and_alpha_survive(client: Client, deep_picture: Path) -> None:
    result = client.predict(handle_file(deep_picture), api_name="/upscale")
    enlarged = open_picture(result)
    assert (enlarged.depth, enlarged.is_grey, enlarged.width) == (16, True, 104)
    assert Path(result).read_bytes() == made_by_the_library(deep_picture, TargetSize(scale=4))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "Z"}, "no model 'Z'"),
        ({"model": 3}, "no model"),
        ({"scale": 1}, "from 2 to 16"),
        ({"scale": 2.5}, "from 2 to 16"),
        ({"scale": True}, "from 2 to 16"),
        ({"scale": "4"}, "from 2 to 16"),
        ({"longest_side": 20}, "not larger"),
        ({"longest_side": 60, "width": 60}, "Choose one"),
        ({"width": 10**9}, "from 1 to 65535"),
        ({"format": "gif"}, "format must be one of"),
        ({"quality": 0}, "from 1 to 100"),
        ({"quality": None}, "from 1 to 100"),
        ({"treatment": "strong"}, "one of auto, photo, clean"),
        ({"metadata": "some"}, "one of drop, keep, keep-all"),
        ({"metadata": 7}, "one of drop, keep, keep-all"),
    ],
)
def test_every_value_is_checked(client: Client, picture: Path, arguments: dict[str, Any], words: str) -> None:
    assert words in refused(client, handle_file(picture), **arguments)


def test_what_is_not_a_picture(client: Client, tmp_path: Path) -> None:
    text = tmp_path / "notes.png"
    text.write_text("not a picture")
    assert "not a picture" in refused(client, handle_file(text))


def test_only_uploads_are_opened(server: str, client: Client) -> None:
    """Neither addresses nor files of the server: whatever the caller claims."""
    assert "fetches nothing" in refused(client, handle_file("https://example.org/cat.png"))
    for path in (
        str(EXAMPLES.parent / "pyproject.toml"),
        str(EXAMPLES / "README.md"),
        "/etc/passwd",
        "../../etc/passwd",
    ):
        for image in ({"path": path, "meta": {"_type": "gradio.FileData"}}, {"path": path}, path):
            event = httpx.post(f"{server}/gradio_api/call/v2/upscale", json={"image": image}).json()["event_id"]
            answer = httpx.get(f"{server}/gradio_api/call/v2/upscale/{event}").text
            assert "event: error" in answer
            assert "event: complete" not in answer


def test_what_a_program_has_sent_is_nobodys_afterwards(server: str, picture: Path) -> None:
    """A visitor who has sent the same picture may delete it."""
    [path] = httpx.post(f"{server}/gradio_api/upload", files={"files": picture.open("rb")}).json()
    call = {"image": {"path": path, "meta": {"_type": "gradio.FileData"}}, "scale": 2}
    event = httpx.post(f"{server}/gradio_api/call/v2/upscale", json=call).json()["event_id"]
    assert "event: complete" in httpx.get(f"{server}/gradio_api/call/v2/upscale/{event}", timeout=60).text
    assert not storage._visits["", event].pages  # the server of these tests runs in this process


def test_large_uploads_are_refused(server: str) -> None:
    content = b"\0" * (settings().max_upload_mb * 1_000_000 + 1)
    assert httpx.post(f"{server}/gradio_api/upload", files={"files": ("x.png", content)}, timeout=60).status_code == 413


def test_batch_keeps_names_and_tree_and_reports_what_fails(client: Client, picture: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"nothing")
    archive = tmp_path / "tree.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(picture, "a/one.png")
        file.write(picture, "a/b/one.png")
        file.write(picture, "a/one.jpg")  # would become a/one.png as well
        file.write(bad, "bad.jpg")
    slip = tmp_path / "slip.zip"
    with zipfile.ZipFile(slip, "w") as file:
        file.write(picture, "../../out.png")
    result, report = client.predict(
        [handle_file(path) for path in (picture, bad, archive, slip)], api_name="/upscale_batch"
    )
    assert [(row["name"], row["status"]) for row in report] == [
        ("my cat.png", "done"),
        ("bad.png", "failed"),
        ("a/one.png", "done"),
        ("a/b/one.png", "done"),
        ("a/one.jpg", "done"),
        ("bad.jpg", "failed"),
        ("../../out.png", "failed"),
    ]
    assert "not a picture" in report[1]["detail"]
    assert "leads outside of the ZIP" in report[6]["detail"]
    expected = made_by_the_library(picture, TargetSize(scale=4))
    with zipfile.ZipFile(result) as file:
        assert file.namelist() == ["my cat.png", "a/one.png", "a/b/one.png", "a/one-2.png"]
        assert all(file.read(name) == expected for name in file.namelist())


def test_measure_scores_as_the_library_does(client: Client) -> None:
    truth = EXAMPLES / "astronaut.png"
    scores = client.predict(handle_file(truth), models=["T"], scale=4, api_name="/measure")
    expected = compare(open_picture(truth), 4, {"hpinet-t-x4": upscaler_of(4)})
    assert scores["scale"] == 4
    for score, restored in zip(scores["results"], expected.restored, strict=True):
        assert score["model"] == restored.name
        assert score["psnr_y"] == pytest.approx(restored.psnr_y)
        assert score["ssim_y"] == pytest.approx(restored.ssim_y)
    assert scores["results"][1]["psnr_y"] > scores["results"][0]["psnr_y"]


@pytest.mark.parametrize("scale", [2, 3])
def test_measure_enlarges_as_upscale_does(client: Client, scale: int) -> None:
    """By the next larger scale that there are weights for, then reduced."""
    truth = EXAMPLES / "cat.png"
    scores = client.predict(handle_file(truth), models=["T"], scale=scale, api_name="/measure")
    small = open_picture(truth).width // scale, open_picture(truth).height // scale
    plan = make_plan(small, TargetSize(scale=scale), natives=native_scales("T"))
    restore = partial(run_plan, plan=plan, upscaler=upscaler_of)
    expected = compare(open_picture(truth), scale, {"T": restore}).restored[1]
    assert scores["results"][1]["psnr_y"] == pytest.approx(expected.psnr_y)
    assert scores["results"][1]["model"].endswith(", reduced") == plan.is_reduced


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"models": ["T"], "scale": 7}, "from 2 to 4"),
        ({"models": "T"}, "must be a list"),
        ({"models": ["Z"]}, "no model"),
    ],
)
def test_measure_checks_its_values(client: Client, picture: Path, arguments: dict[str, Any], words: str) -> None:
    assert words in refused(client, handle_file(picture), api_name="/measure", **arguments)


def test_explain_draws_a_figure(client: Client, tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    with Image.open(EXAMPLES / "facade.png") as image:
        image.crop((30, 30, 62, 60)).save(small)
    figure, told = client.predict(handle_file(small), 14, 12, window=8, api_name="/explain")
    assert open_picture(figure).width > 400
    assert Path(figure).name == "small_14-12_hpinet-t-x4.png"
    assert told["model"] == "hpinet-t-x4"
    assert 0 < told["diffusion_index"] < 100
    assert told["findings"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x": 99, "y": 1}, "outside the picture"),
        ({"x": 1, "y": -1}, "from 0"),
        ({"x": 1, "y": 1, "window": 9}, "window"),
    ],
)
def test_explain_checks_its_values(client: Client, picture: Path, arguments: dict[str, Any], words: str) -> None:
    assert words in refused(client, handle_file(picture), api_name="/explain", **arguments)


def test_models_tells_what_there_is(client: Client) -> None:
    models = {model["key"]: model for model in client.predict(api_name="/models")}
    assert models["T"]["scales"]["4"]["origin"] == "bundled"
    assert models["T"]["scales"]["4"]["installed"]
    assert models["T"]["scales"]["4"]["parameters"] == 176_931
    assert models["M"]["scales"].keys() >= {"2", "3", "4"}
    assert next(iter(models)) == "T"


def test_offline_the_authors_models_say_so_and_the_bundled_one_works(client: Client, picture: Path) -> None:
    message = refused(client, handle_file(picture), model="L", scale=4)
    assert "could not be fetched just now" in message
    assert Path(client.predict(handle_file(picture), api_name="/upscale")).is_file()


# ----------------------------------------------------------------------------------------- the examples of the API tab


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_python_example(server: str, picture: Path, tmp_path: Path) -> None:
    result = run([sys.executable, str(CLIENTS / "upscale.py"), server, str(picture)], tmp_path)
    assert Path(result).read_bytes() == made_by_the_library(picture, TargetSize(scale=4))


def test_javascript_example(server: str, picture: Path, tmp_path: Path, node_modules: Path) -> None:
    node = shutil.which("node")
    if node is None:
        missing("node")
    (tmp_path / "node_modules").symlink_to(node_modules)
    script = shutil.copy(CLIENTS / "upscale.mjs", tmp_path)  # modules are looked for beside the script
    result = run([str(node), str(script), server, str(picture)], tmp_path)
    assert (tmp_path / result).read_bytes() == made_by_the_library(picture, TargetSize(scale=4))


def test_curl_example(server: str, picture: Path, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        missing("curl")
    result = run(["sh", str(CLIENTS / "upscale.sh"), server, str(picture)], tmp_path)
    assert (tmp_path / result).read_bytes() == made_by_the_library(picture, TargetSize(scale=4))
