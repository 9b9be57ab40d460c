"""What gets installed: every import is declared, every release is known, and a wheel works by itself."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from huggingface_hub import SpaceHardware, metadata_load
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
EXAMPLES_FOR_OTHERS = ROOT / "hpinet" / "ui" / "clients"  # programs that the page shows; nothing of ours imports them
TRAINING_ONLY = ("accelerate", "pytorch_optimizer")  # modules
BROUGHT = {"spandrel"}  # by the tools that `hpinet.integrations` is for
README_CARD = metadata_load(ROOT / "README.md") or {}


def requirements(name: str) -> dict[str, Requirement]:
    """By canonical name, included files too."""
    found = {}
    for line in (ROOT / name).read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            found |= requirements(text[3:])
        elif text:
            requirement = Requirement(text)
            found[canonicalize_name(requirement.name)] = requirement
    return found


def extra(name: str) -> dict[str, Requirement]:
    """An extra of pyproject.toml, by canonical name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = [Requirement(text) for text in project["optional-dependencies"][name]]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def third_party_imports() -> Iterator[tuple[str, Path]]:
    """(top-level module, importing file) for all that neither Python nor this project brings."""
    for path in [ROOT / "app.py", *(ROOT / "hpinet").rglob("*.py")]:
        if path.is_relative_to(EXAMPLES_FOR_OTHERS):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"hpinet"}:
                yield name, path


def test_every_import_is_declared() -> None:
    providers = packages_distributions()
    extras = extra("train").keys() | extra("export").keys() | extra("cluster").keys()
    declared = requirements("requirements.txt").keys() | extras | BROUGHT
    missing = {
        f"{module} in {path.relative_to(ROOT)}"
        for module, path in third_party_imports()
        if not declared & {canonicalize_name(name) for name in providers.get(module, [module])}
    }
    assert not missing


def test_nothing_is_declared_in_vain() -> None:
    providers = packages_distributions()
    # The extra for clusters need not be installed here; its packages and modules share their names.
    modules = {module for module, _ in third_party_imports()}
    used = {canonicalize_name(name) for module in modules for name in providers.get(module, [module])}
    used |= {"onnx", "onnxscript"}  # by torch.onnx
    extras = extra("train").keys() | extra("export").keys() | extra("cluster").keys()
    assert requirements("requirements.txt").keys() | extras <= used


def test_what_only_training_needs_is_an_extra() -> None:
    """So that a Space does not install it; and what runs the tests has it in the same releases."""
    assert not extra("train").keys() & requirements("requirements.txt").keys()
    assert extra("train").items() | extra("export").items() <= requirements("requirements-dev.txt").items()
    users = {path.relative_to(ROOT).parts[1] for name, path in third_party_imports() if name in TRAINING_ONLY}
    assert users == {"training"}


def test_every_promised_python_is_one_that_spaces_or_people_have() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    promised = [text.rpartition(" ")[2] for text in project["classifiers"]]
    assert project["requires-python"] == f">={promised[0]}"
    card = README_CARD["python_version"]
    assert card in promised
    assert card in ("3.10", "3.12")  # what the Hub builds with (its documentation, 2026-08)


def test_the_fields_of_the_card() -> None:
    """As the Hub's reference of Spaces' configuration has them (2026-08)."""
    assert README_CARD["sdk"] == "gradio"
    assert README_CARD["sdk_version"] in requirements("requirements.txt")["gradio"].specifier
    assert (ROOT / README_CARD["app_file"]).is_file()
    assert len(README_CARD["short_description"]) <= 60
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {README_CARD["colorFrom"], README_CARD["colorTo"]} <= colours
    assert README_CARD["suggested_hardware"] in set(SpaceHardware)
    assert README_CARD["license"] == "apache-2.0"
    assert isinstance(README_CARD["python_version"], str)  # in quotes: YAML would read 3.10 as 3.1


def test_the_container_is_made_of_what_there_is() -> None:
    """`scripts/check_container` lints it, and builds it where that is possible."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert f"FROM python:{README_CARD['python_version']}-slim" in lines
    copied = {name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    assert "USER 1000" in lines


def test_the_lock_is_within_the_ranges() -> None:
    """Run `scripts/lock` if it is not."""
    lock = requirements("requirements.lock")
    for name, requirement in requirements("requirements-dev.txt").items():
        [locked] = lock[name].specifier
        assert requirement.specifier.contains(locked.version), f"{requirement} is locked at {locked.version}"


# ------------------------------------------------------------------------------------------------------- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `pip install .` builds it, from a copy: building leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("hpinet", "checkpoints"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)], folder)
    return next(folder.glob("hpinet-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's files in it, as in site-packages."""
    folder = tmp_path_factory.mktemp("installed")
    run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(wheel)], folder)
    return folder


def run(command: list[str], folder: Path, *, path: Path | None = None) -> str:
    """What ``command`` prints; ``path`` is where it shall find the package."""
    environment = {**os.environ, "PYTHONPATH": str(path)} if path else None
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_carries_all_of_the_package(wheel: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())
    tracked = [path for path in (ROOT / "hpinet").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    expected = {path.relative_to(ROOT).as_posix() for path in tracked}
    for path in (ROOT / "checkpoints").rglob("*"):
        if path.is_file():
            expected.add(f"hpinet/_checkpoints/{path.relative_to(ROOT / 'checkpoints').as_posix()}")
    assert {name for name in carried if ".dist-info/" not in name} == expected
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in carried)


@pytest.mark.slow
def test_the_installed_package_enlarges_with_the_bundled_weights(installed: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "badge.png", tmp_path / "small.png")
    script = f"""
import hpinet
upscaler = hpinet.Upscaler.load("T", engine="torch")
assert upscaler.info.path.is_relative_to({str(installed)!r}), upscaler.info.path
picture = hpinet.open_picture("small.png")
large = upscaler(hpinet.Picture(picture.colour[:20, :24]))
hpinet.save_picture(large, "large.png")
print(large.width, large.height)
"""
    assert run([sys.executable, "-c", script], tmp_path, path=installed).split() == ["96", "80"]
    assert (tmp_path / "large.png").is_file()


@pytest.mark.slow
def test_the_installed_command_works(installed: Path, tmp_path: Path) -> None:
    told = run([str(installed / "bin" / "hpinet"), "--version"], tmp_path, path=installed)
    assert told.strip() == run([sys.executable, "-m", "hpinet", "--version"], ROOT).strip()


def test_every_requirement_is_among_the_notices() -> None:
    rows = [line.split("|") for line in (ROOT / "THIRD-PARTY.md").read_text("utf-8").splitlines() if "http" in line]
    named = {canonicalize_name(row[1].strip()) for row in rows}
    assert set(requirements("requirements.txt")) <= named
    assert all(row[2].strip() for row in rows)
