"""Deploying and publishing to a Hub that is a server on loopback, with the real client in processes of their own."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from file_server import serving
from hub_server import Hub
from PIL import Image

from hpinet import space
from hpinet.checkpoints.files import CONFIG, WEIGHTS
from hpinet.checkpoints.levels import TREATMENT, Levels
from hpinet.space import DeployError, complaints_about, prepare

ROOT = Path(__file__).parents[1]
BUNDLED = ROOT / "checkpoints" / "hpinet-t-x4"


def ended(url: str, folder: Path, *words: str, token: str = "hf_of_a_test") -> tuple[int, str, str]:
    """Exit code, output and complaints of `python -m hpinet`."""
    environment = {**os.environ, "HF_ENDPOINT": url, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_TOKEN": token, "GRADIO_ANALYTICS_ENABLED": "False"}
    command = [sys.executable, "-m", "hpinet", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


@pytest.fixture
def hub() -> Iterator[str]:
    """Its address."""
    Hub.repositories, Hub.announced, Hub.uploads, Hub.told = {}, {}, {}, []
    old = {"stage": "RUNNING", "sha": "0" * 40}  # what ran before
    Hub.stages = [{"stage": "NO_APP_FILE"}, old, {"stage": "BUILDING"}, {"stage": "RUNNING"}]
    with serving(Hub) as url:
        yield url


def page(factor: int) -> gr.Blocks:
    """A page with the one endpoint that is tried; enlarges by ``factor``, whatever the scale."""

    def upscale(image: dict, model: str, scale: int) -> str:
        with Image.open(image["path"]) as picture:
            picture.resize((picture.width * factor, picture.height * factor)).save(image["path"] + ".png")
        return image["path"] + ".png"

    with gr.Blocks() as blocks:
        given, made = gr.File(), gr.File()
        button = gr.Button()
        button.click(
            lambda file, model, scale: upscale({"path": file}, model, scale),
            [given, gr.Textbox(), gr.Number()],
            made,
            api_name="upscale",
        )
    return blocks


def test_what_a_space_gets() -> None:
    upload = prepare()
    assert {
        "app.py",
        "README.md",
        "requirements.txt",
        "hpinet/ui/page.py",
        "docs/page-upscale.png",
        "docs/cluster.md",
    } <= {*upload.paths}
    assert not [path for path in upload.paths if path.startswith("tests") or "__pycache__" in path]
    readme = (ROOT / "README.md").read_text()
    assert not [
        path
        for path in upload.paths
        if path.startswith("docs/") and path.endswith(("png", "webp")) and path not in readme
    ]
    assert upload.total_bytes < 10_000_000


def test_only_what_git_knows_is_uploaded(tmp_path: Path) -> None:
    """Levels of weights among it; runs, caches and notes that lie about are not."""
    known = ["hpinet/a.py", "checkpoints/t/treatment.json", "checkpoints/t/light/model.safetensors", "examples/b.png"]
    card = (ROOT / "README.md").read_text("utf-8").replace("](docs/", "](examples/")  # shows pictures
    texts = ["README.md", "CONTRIBUTING.md", "LICENSE", "THIRD-PARTY.md", "requirements.txt", "app.py"]
    for path in [*known, *texts, "tests/test_a.py"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(card if path == "README.md" else "", "utf-8")
    for command in ("init --quiet", "add ."):
        subprocess.run(["git", "-C", str(tmp_path), *command.split()], check=True)
    for path in ("hpinet/__pycache__/a.pyc", "checkpoints/mine/model.safetensors", "examples/note.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    assert {*prepare(tmp_path).paths} == {*known, *texts}
    (tmp_path / "hpinet/a.py").unlink()
    with pytest.raises(DeployError, match=r"needs hpinet/a\.py"):
        prepare(tmp_path)
    (tmp_path / "hpinet/a.py").write_bytes(bytes(10_000_001))
    with pytest.raises(DeployError, match=r"10\.0 MB; a Space gets at most 10"):
        prepare(tmp_path)


def test_the_card_is_in_order() -> None:
    assert complaints_about() == []


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('python_version: "3.12"', "python_version: 3.12", "python_version"),
        ('python_version: "3.12"', 'python_version: "3.11"', "python_version"),
        ("short_description: ", "short_description: " + "long " * 12, "60 characters"),
        ("colorTo: blue", "colorTo: mauve", "colours"),
        ("zero-a10g", "zero-b10g", "suggested_hardware"),
        ("app_file: app.py", "app_file: main.py", "app_file"),
    ],
)
def test_what_is_wrong_with_a_card(right: str, wrong: str, told: str, tmp_path: Path) -> None:
    card = (ROOT / "README.md").read_text("utf-8")
    assert right in card
    (tmp_path / "app.py").touch()
    (tmp_path / "README.md").write_text(card.replace(right, wrong, 1), "utf-8")
    [complaint] = complaints_about(tmp_path)
    assert told in complaint


def test_an_installed_package_cannot_be_deployed(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="from a clone"):
        prepare(tmp_path)


def test_the_dry_run_asks_nobody(tmp_path: Path) -> None:
    code, out, _ = ended("http://127.0.0.1:9", tmp_path, "deploy", "team/demo", "--dry-run")
    assert code == 0
    assert out.splitlines()[:-1] == list(prepare().paths)
    assert "the card is in order" in out


@pytest.mark.slow
@pytest.mark.parametrize("factor", [2, 3])
def test_deploying(hub: str, tmp_path: Path, factor: int) -> None:
    """To a Space that works, and to one that enlarges wrongly."""
    blocks = page(factor)
    _, Hub.host, _ = blocks.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    try:
        more = ["--hardware", "cpu-basic", "--private", "--variable", "HPINET_MAX_MEGAPIXELS=12"]
        code, out, complaint = ended(hub, tmp_path, "deploy", "team/demo", *more)
    finally:
        blocks.close()
    files = Hub.repositories["team/demo"]
    assert {*files} == {*prepare().paths, ".gitattributes"}
    assert all(files[path] == (ROOT / path).read_bytes() for path in prepare().paths)
    assert [stage["stage"] for stage in Hub.stages] == ["RUNNING"]  # it waited for the new one
    told = dict(Hub.told)
    assert told["/api/spaces/team/demo/variables"] == {"key": "HPINET_MAX_MEGAPIXELS", "value": "12"}
    assert told["/api/repos/create"]["visibility"] == "private"
    assert told["/api/spaces/team/demo/hardware"]["flavor"] == "cpu-basic"
    if factor == 2:
        assert (code, out) == (0, f"{hub}/spaces/team/demo"), complaint
    else:
        assert code == 2
        assert "runs, but made" in complaint


@pytest.mark.slow
def test_a_space_that_does_not_start(hub: str, tmp_path: Path) -> None:
    Hub.stages = [{"stage": "BUILD_ERROR", "errorMessage": "no such package"}]
    Hub.stages.insert(0, {"stage": "BUILD_ERROR", "errorMessage": "what failed before", "sha": "0" * 40})
    code, _, complaint = ended(hub, tmp_path, "deploy", "team/demo")
    assert (code, complaint) == (2, "Error: team/demo does not start (BUILD_ERROR): no such package.")


@pytest.mark.slow
def test_who_is_not_logged_in(hub: str, tmp_path: Path) -> None:
    for words in (["deploy", "team/demo"], ["publish", str(BUNDLED), "team/weights"]):
        code, _, complaint = ended(hub, tmp_path, *words, token="hf_of_nobody")
        assert (code, complaint) == (2, "Error: The Hub does not know you: `hf auth login` first, or set HF_TOKEN.")


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["HPINET_MAX_MEGAPIXELS", "HPINET_MAX_MEGAPIXELS="])
def test_a_variable_without_a_value(pair: str, tmp_path: Path) -> None:
    code, _, complaint = ended("http://127.0.0.1:9", tmp_path, "deploy", "team/demo", "--variable", pair)
    assert (code, complaint) == (2, "Error: A variable is given as NAME=VALUE.")


@pytest.mark.slow
def test_the_commands_of_the_readme(hub: str, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    section = readme[readme.index("## On the Hugging Face Hub") : readme.index("## In other tools")]
    lines = [shlex.split(line, comments=True)[3:] for line in section.splitlines() if line.startswith("python -m")]
    assert [words[0] for words in lines] == ["deploy", "deploy", "deploy", "publish"]
    blocks = page(2)
    _, Hub.host, _ = blocks.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    try:
        for words in lines:
            code, _, complaint = ended(hub, tmp_path, *words)
            assert (code, complaint) == (0, "")
    finally:
        blocks.close()
    assert {*Hub.repositories} == {"OWNER/NAME", "OWNER/WEIGHTS"}
    sent = prepare().total_bytes / 1e6
    assert f"one commit ({sent:.0f} MB)" in section


def test_hardware_that_there_is_none_of() -> None:
    with pytest.raises(space.OptionError, match=r"zero-a10g, .*not 'abacus'"):
        space.deploy("team/demo", prepare(), hardware="abacus")


@pytest.mark.slow
def test_publishing_and_reading_back(hub: str, tmp_path: Path) -> None:
    """Levels go along."""
    own = shutil.ignore_patterns("light", "medium", "strong")
    checkpoint = Path(shutil.copytree(BUNDLED, tmp_path / "checkpoint", ignore=own))
    (checkpoint / TREATMENT).write_text(Levels(("light",), ((10, 1.0), (95, 0.0))).to_json())
    (checkpoint / "light").mkdir()
    for name in (CONFIG, WEIGHTS):
        shutil.copy(BUNDLED / name, checkpoint / "light")
    assert ended(hub, tmp_path, "publish", str(checkpoint), "team/weights")[:2] == (0, f"{hub}/team/weights")
    there = Hub.repositories["team/weights"]
    assert there[WEIGHTS] == there[f"light/{WEIGHTS}"] == (BUNDLED / WEIGHTS).read_bytes()
    picture, result = tmp_path / "small.png", tmp_path / "large.png"
    Image.new("RGB", (20, 16)).save(picture)
    words = ["upscale", str(picture), "--model", "team/weights", "--output", str(result), "--engine", "torch"]
    words += ["--treatment", "photo"]
    assert ended(hub, tmp_path, *words)[0] == 0
    with Image.open(result) as large:
        assert large.size == (80, 64)


@pytest.mark.slow
def test_only_whole_checkpoints_are_published(hub: str, tmp_path: Path) -> None:
    code, _, complaint = ended(hub, tmp_path, "publish", str(tmp_path), "team/weights")
    assert code == 2
    assert "has no README.md" in complaint
    assert Hub.told == []
