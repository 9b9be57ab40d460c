"""The layers of the package, enforced: whatever a module imports lies below it.

Imports are read from the source, those inside functions and under TYPE_CHECKING too: knowing of a module is depending
on it. Only `hpinet/__init__.py` stands outside, which names what users want and imports nothing by itself.
"""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from scripts import make_layers

ROOT = Path(__file__).parents[1]

LAYERS = (
    "version",
    "errors",
    "wording",
    "markdown",
    "atomic",
    "paths",
    "progress",
    "settings",
    "terminal",
    "patches",
    "model",
    "images",
    "treatment",
    "metrics",
    "plan",
    "checkpoints",
    "engines",
    "upscaler",
    "apart",
    "comparison",
    "files",
    "evaluation",
    "attribution",
    "benchmark",
    "training",
    "integrations",
    "ui.languages",
    "ui.server",
    "ui.jobs",
    "ui.parts",
    "ui.endpoints",
    "ui.tabs",
    "ui",
    "cluster",
    "space",
    "cli",
    "__main__",
    "app",
)
"""From the bottom up. A name is a module or a folder of them; modules of one folder may import each other."""

AT_HOME = {
    "gradio": {"ui"},
    "spaces": {"ui"},
    "starlette": {"ui"},
    "babel": {"ui"},
    "openvino": {"engines"},
    "ray": {"cluster"},
    "pyarrow": {"cluster"},
    "fsspec": {"cluster"},
}
"""Libraries that only these layers may know."""

WITHOUT_TENSORS = {
    "version",
    "errors",
    "wording",
    "markdown",
    "atomic",
    "paths",
    "progress",
    "settings",
    "terminal",
    "images",
    "treatment",
    "metrics",
    "plan",
    "files",
    "ui",
    "cluster",
    "cli",
}
"""Layers that know nothing of PyTorch: it is slow to import, and pixels are not its business."""

LIGHT = {
    "version",
    "errors",
    "wording",
    "markdown",
    "atomic",
    "paths",
    "progress",
    "settings",
    "terminal",
    "images",
    "treatment",
    "metrics",
    "plan",
}
"""Layers that reach nothing of PyTorch either, through whatever they import: sizes are foretold without it."""


def sources() -> dict[str, Path]:
    """Every module of the package by its dotted name, and `app`."""
    found = {"app": ROOT / "app.py"}
    for path in sorted((ROOT / "hpinet").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = sources()


def imports(module: str) -> Iterator[str]:
    """Dotted names of all modules that ``module`` imports, whosever they are."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield inside if inside in MODULES else str(node.module)


def own_imports(module: str) -> set[str]:
    return {name for name in imports(module) if name in MODULES} - {"hpinet"}


def layer(module: str) -> str:
    room, _, inner = module.removeprefix("hpinet.").partition(".")
    return nested if (nested := f"{room}.{inner.partition('.')[0]}") in LAYERS else room


def reached(module: str) -> set[str]:
    """Whatever of ours gets imported by importing ``module`` (lazily or not), itself included."""
    seen, rest = set[str](), [module]
    while rest:
        name = rest.pop()
        if name not in seen:
            seen.add(name)
            rest.extend(own_imports(name))
    return seen


LAYERED = sorted(MODULES.keys() - {"hpinet"})


def test_every_module_has_a_layer() -> None:
    assert {layer(module) for module in LAYERED} <= set(LAYERS)


def test_the_picture_of_the_layers_is_up_to_date() -> None:
    assert make_layers.PICTURE.read_text(encoding="utf-8") == make_layers.drawing()
    shown = [name for line in make_layers.rows() for name in line]
    assert sorted(shown) == sorted(LAYERS)


@pytest.mark.parametrize("module", LAYERED)
def test_imports_point_down(module: str) -> None:
    own = LAYERS.index(layer(module))
    upward = {name for name in own_imports(module) if LAYERS.index(layer(name)) > own}
    assert not upward, f"{module} must not know of {', '.join(sorted(upward))}"


def test_there_are_no_cycles() -> None:
    """Not even among the modules of one folder. Raises CycleError, which names the circle."""
    order = list(TopologicalSorter({module: own_imports(module) for module in LAYERED}).static_order())
    assert set(order) == set(LAYERED)


@pytest.mark.parametrize("library", AT_HOME)
def test_libraries_stay_at_home(library: str) -> None:
    users = {module for module in LAYERED if library in {name.partition(".")[0] for name in imports(module)}}
    assert {layer(module).partition(".")[0] for module in users} - {"app"} <= AT_HOME[library], users
    assert users, "nobody imports it any more: remove it here"


def test_command_lines_have_modules_of_their_own() -> None:
    users = {module for module in LAYERED if "typer" in imports(module)}
    assert {module.rpartition(".")[2] for module in users} == {"cli", "terminal"}, users


def test_tensors_stay_below() -> None:
    users = {module for module in LAYERED if "torch" in {name.partition(".")[0] for name in imports(module)}}
    assert not {module for module in users if layer(module).partition(".")[0] in WITHOUT_TENSORS}
    assert "hpinet.model" in users


@pytest.mark.parametrize("module", [module for module in LAYERED if layer(module) in LIGHT])
def test_light_modules_reach_no_tensors(module: str) -> None:
    heavy = {name for name in reached(module) if "torch" in {used.partition(".")[0] for used in imports(name)}}
    assert not heavy, f"{module} drags in PyTorch through {', '.join(sorted(heavy))}"


DOORS = {"hpinet.ui.server.storage", "hpinet.ui.server.guard"}
"""What may look into a description of a file from outside: one makes it a path, one refuses addresses before."""


def reads_of_paths(module: str) -> list[int]:
    """Lines that take the path, or the address, out of a mapping that is not a request."""
    lines = []
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and ast.unparse(node.value) != "scope":
            key = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            key = node.args[0] if node.func.attr in {"get", "pop", "setdefault"} else None
        if isinstance(key, ast.Constant) and key.value in {"path", "url", "orig_name"}:
            lines.append(key.lineno)
    return lines


@pytest.mark.parametrize("module", [module for module in LAYERED if layer(module).startswith("ui")])
def test_files_from_outside_come_through_one_door(module: str) -> None:
    assert bool(reads_of_paths(module)) == (module in DOORS)


@pytest.mark.parametrize("module", [module for module in LAYERED if layer(module).startswith("ui.")])
def test_nothing_from_outside_is_an_attribute(module: str) -> None:
    """`FileData.path` would be a way round the door, and Gradio's event data is read by `ui.server.values` alone."""
    source = MODULES[module].read_text(encoding="utf-8")
    assert "SelectData" not in source
    taken = [line for line in source.splitlines() if "._data" in line and "values." not in line]
    assert not taken
