"""Lists every message of the page, as its source has it: what a language file translates.

Messages stay in the code as readable English. They are found by reading the source: strings that are sentences or
labels, in the modules of the page, and sentences of our errors anywhere in the package. A value in a sentence becomes
a placeholder, named after what stands there; ``:n`` is one that is always a number.

    python -m scripts.messages                  # all of them, as JSON
    python -m scripts.messages --missing de     # those that a language lacks, with what it has and nothing uses
"""

import argparse
import ast
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from hpinet.ui import languages
from hpinet.ui.jobs.examples import load_examples

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hpinet"

PAGE = (
    *("ui/page.py", "ui/privacy.py", "ui/links.py", "wording.py", "comparison.py", "ui/server/defects.py"),
    *(
        "images/compression.py",
        "images/notes.py",
        "images/reading.py",
        "ui/server/preview.py",
        "ui/server/storage.py",
        "ui/server/guard.py",
    ),
    *("ui/server/values.py", "ui/server/archive.py", "ui/server/ending.py", "attribution/explain.py"),
)
"""Modules that word what the page shows, beside all in the folders below."""
FOLDERS = ("ui/tabs", "ui/parts", "ui/jobs")
DRAWINGS = ("ui/parts/masthead.svg",)
SCRIPTS = ("ui/parts/hooks.js", "ui/parts/page.js", "ui/parts/viewer.js")
"""Scripts of the page: their messages stand in ``say("...")``."""

ERRORS = (
    "ImageError",
    "CheckpointError",
    "OptionError",
    "MemoryShortageError",
    "Cancelled",
    "HPINetError",
    "BusyError",
)
BELOW = (
    "images/",
    "plan.py",
    "treatment.py",
    "upscaler.py",
    "comparison.py",
    "attribution/lam.py",
    "engines/machine.py",
    "errors.py",
)
"""Modules below the page whose errors it shows."""

JOINED = ("{first} then {second}",)
"""What the page puts between the items of a list."""

NOT_SHOWN = frozenset(
    {
        *("a picture of a batch", "writing a result", "work on the GPU", "the scheduler of the GPU", "handler {name}"),
        *("runs limit", "pending credits", "its GPU limit", "illegal duration", "No GPU was available", "proxy token"),
        *("GPU task aborted", "closed by visitor", "worker error", "heat pixels", "heat area", "rgb({r} {g} {b})"),
        *(
            "Segoe UI",
            "Roboto",
            "Helvetica Neue",
            "Arial",
            "SF Mono",
            "Consolas",
            "Liberation Mono",
            "Markdown",
            "Python",
        ),
        *("data: {dumps}", "SameSite=None; Secure; Partitioned", "HPINet {model} ×{scale}", "PSNR-Y (dB)"),
        *(
            "A picture is (height, width, 1 or 3), not {shape}.",
            "The window {tuple} does not fit into an output of {tuple2}.",
        ),
        *(
            "A picture is (height, width) or (height, width, 1 to 4), not {shape}.",
            "{source} cannot be read: {getattr}.",
        ),
        *("A picture has 8- or 16-bit unsigned samples, not {dtype}.", "Choose one of scale, longest side and width."),
        *("A floating-point picture is (height, width, 3), not {shape}.", "{name}: pictures are written as {sorted}."),
        *("The alpha channel must have the picture's size and depth.", "{path} cannot be written: {strerror}."),
        *("A blur path needs at least one step, a positive sigma and an odd kernel of at least 3.",),
        *("There is no degradation {name}: choose one of {known}, N from 1 to 100.",),
        *(
            "accept-language, cookie",
            "window.gradio_config =",
            "CC0",
            "{upload} alone",
            "nothing beside the pixels is damaged",
            "HPINet {model} {value}",
        ),
        *("EXIF, XMP, IPTC", "The setting", "The box", "The tile"),
    }
)
"""What looks like a message, and is none: names, logs, words of others, and what no visitor can see."""

WORDS = frozenset(
    {
        *("waiting", "running", "done", "failed", "stopped", "bicubic", "grey", "transparent", "consistent", "time"),
        *(
            "reduced",
            "treated",
            "file",
            "files",
            "bundled",
            "fastest",
            "fast",
            "better",
            "custom",
            "authors'",
            "quality",
        ),
    }
)
"""Single words that are shown; other single words are code."""

Parts = tuple[str | tuple[str, bool], ...]
"""A sentence: text, and placeholders as (name, whether a number)."""


def messages() -> list[str]:
    """Every message, once, in the order of the source."""
    found: dict[str, None] = {}
    for path in _modules():
        tree = ast.parse(path.read_text("utf-8"))
        is_page = _is_of_page(path)
        for parts in _sentences(tree) if is_page else _raised(tree):
            for message in _pieces(_named(parts)):
                if message not in NOT_SHOWN and (_is_shown(message) or (not is_page and _has_words(message))):
                    found.setdefault(message)
    for script in SCRIPTS:
        for message in languages.said_in((PACKAGE / script).read_text("utf-8")):
            found.setdefault(message)
    for drawing in DRAWINGS:
        found.update(dict.fromkeys(_pieces((PACKAGE / drawing).read_text("utf-8"))))
    found.update(dict.fromkeys(JOINED))
    for example in load_examples():
        found.setdefault(example.caption)
        found.setdefault(example.licence)
    return [message for message in found if message not in NOT_SHOWN]


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if _is_of_page(path) or _is_below(path))


def _is_below(path: Path) -> bool:
    return str(path.relative_to(PACKAGE)).startswith(BELOW)


def _is_of_page(path: Path) -> bool:
    name = str(path.relative_to(PACKAGE))
    return name in PAGE or name.startswith(FOLDERS)


def _raised(tree: ast.AST) -> Iterator[Parts]:
    """What our errors say."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS and node.args:
            yield from _alternatives(node.args[0])


def _sentences(tree: ast.AST) -> Iterator[Parts]:
    """Every string of a module but those that only programmers read, the outermost of nested ones."""
    hidden = {id(node) for node in _hidden(tree)}

    def walk(node: ast.AST) -> Iterator[Parts]:
        if id(node) in hidden:
            return
        if isinstance(node, (ast.JoinedStr, ast.Constant, ast.BinOp)) and _is_text(node):
            yield from _alternatives(node)
        inner = list(_holes(node)) if isinstance(node, (ast.JoinedStr, ast.BinOp)) else ast.iter_child_nodes(node)
        for child in inner:
            yield from walk(child)

    yield from walk(tree)


def _hidden(tree: ast.AST) -> Iterator[ast.AST]:
    """Docstrings, names of attributes, patterns, logs and the like."""
    quiet = {"elem_id", "elem_classes", "js", "storage_key", "secret", "classes", "language", "variant", "api_name"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node
        elif isinstance(node, ast.keyword) and node.arg in quiet:
            yield node.value
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.startswith(("re.", "_log", "LOG", "json", "_opaque", "os.", "gr.State", "gr.Timer")):
                yield from node.args
        elif isinstance(node, ast.Subscript):
            yield node.slice
        elif isinstance(node, ast.AnnAssign):
            yield node.annotation
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from (each for each in (node.returns, *(arg.annotation for arg in node.args.args)) if each)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from [node] if ast.unparse(node.exc.func) in ("TypeError", "RuntimeError", "KeyError") else []


def _is_text(node: ast.AST) -> bool:
    """Whether an expression is certainly a string."""
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    if isinstance(node, ast.IfExp):
        return _is_text(node.body) and _is_text(node.orelse)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _holes(node: ast.AST) -> Iterator[ast.AST]:
    """The expressions within a string whose own strings are not part of it."""
    if isinstance(node, ast.JoinedStr):
        for value in node.values:
            if isinstance(value, ast.FormattedValue) and not (
                isinstance(value.value, ast.IfExp) and _is_text(value.value)
            ):
                yield value.value
    elif isinstance(node, ast.BinOp):
        for side in (node.left, node.right):
            if not _is_text(side):
                yield side
            elif isinstance(side, (ast.JoinedStr, ast.BinOp)):
                yield from _holes(side)


def _alternatives(node: ast.expr) -> Iterator[Parts]:
    """The sentences that an expression may be: one for each way through its conditions."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield (node.value,)
    elif isinstance(node, ast.JoinedStr):
        for choice in product(*(list(_alternatives(value)) for value in node.values)):
            yield tuple(part for parts in choice for part in parts)
    elif isinstance(node, ast.FormattedValue):
        if isinstance(node.value, ast.IfExp) and _is_text(node.value):
            yield from _alternatives(node.value)
        else:
            spec = ast.unparse(node.format_spec)[2:-1] if node.format_spec else ""
            yield ((_name_of(node.value), spec.endswith(("f", "g", "d", "%"))),)
    elif isinstance(node, ast.BinOp) and _is_text(node):
        for left, right in product(list(_alternatives(node.left)), list(_alternatives(node.right))):
            yield (*left, *right)
    elif isinstance(node, ast.IfExp) and _is_text(node):
        yield from _alternatives(node.body)
        yield from _alternatives(node.orelse)
    else:
        yield ((_name_of(node), False),)


_SAYING_NOTHING = ("len", "round", "str", "escape", "min", "max", "join", "abs")


def _name_of(node: ast.AST) -> str:
    """A placeholder's name: the last word of the expression."""
    name = "value"
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        name = _name_of(node.args[-1]) if called in _SAYING_NOTHING and node.args else called
    elif isinstance(node, ast.Attribute):
        name = node.attr
    elif isinstance(node, ast.Name):
        name = node.id.lower()
    elif isinstance(node, ast.BinOp):
        name = _name_of(node.right if isinstance(node.left, ast.Constant) else node.left)
    elif isinstance(node, ast.Subscript):
        name = _name_of(node.value)
    elif isinstance(node, ast.BoolOp):
        name = _name_of(node.values[0])
    return name.strip("_")


def _named(parts: Parts) -> str:
    """The sentence with its placeholders, no two of one name."""
    used: dict[str, int] = {}
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part.replace("{", "\x01").replace("}", "\x02")
        else:
            name, is_number = part
            used[name] = used.get(name, 0) + 1
            text += f"{{{name}{used[name] if used[name] > 1 else ''}{':n' if is_number else ''}}}"
    return text


def _pieces(text: str) -> Iterator[str]:
    """A text as it is shown piece by piece: see `hpinet.ui.languages.pieces`."""
    yield from languages.pieces(text)


_HOLE = re.compile(r"\{[^}]*\}")
_CODE = re.compile(
    r"=>|;\s*$|\(\) |&&|==|^--|</|/>|stroke=|Path=/|^[.#*]\w|\w\(\)|^https?:|: var|;base64|^[a-z-]+: [a-z-]+$"
    "|^[a-z]+=['\"]"
)


def _has_words(message: str) -> bool:
    return bool(re.search(r"[A-Za-z]{2}", _HOLE.sub("", message))) and "\x01" not in message


def _is_shown(message: str) -> bool:
    """Whether this reads like something for people."""
    if re.fullmatch(r"\{[^}]*\} (s|h)", message):
        return True
    if not _has_words(message):
        return False
    bare = _HOLE.sub("", message).strip()
    if _CODE.search(message):
        return False
    if " " not in message.strip():
        return message in WORDS or bool(re.fullmatch(r"[A-Z][a-z]+[….]?", message))
    return bool(re.search(r"[A-Za-z]{2}", bare))


def main() -> None:
    parser = argparse.ArgumentParser(description="Lists the messages of the page.")
    parser.add_argument("--missing", metavar="LANGUAGE", help="what this language lacks")
    chosen = parser.parse_args().missing
    found = messages()
    if chosen:
        has = languages.catalogue(chosen)
        print(json.dumps([each for each in found if each not in has], ensure_ascii=False, indent=1))
        for unused in sorted(set(has) - set(found)):
            print("unused:", unused)
    else:
        print(json.dumps(found, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
