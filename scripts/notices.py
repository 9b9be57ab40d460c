"""Writes THIRD-PARTY.md, the licences of all that the page needs or serves: ``python -m scripts.notices``.

It takes them from the metadata of the packages that are installed; run it after dependencies have changed.
"""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hpinet import markdown

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "THIRD-PARTY.md"
ABOUT = """# Third-party notices

What an installation by `requirements.txt` brings along, and under which licences, by `python -m scripts.notices`. Each
package carries its licence in full. Browsers get Gradio's interface, and what is in `hpinet/ui`, the project's own.

"""
HEADER = ("package", "licence", "from")
_LONGEST = 60  # of a licence's name; some packages put the whole text there


def requirements() -> list[Requirement]:
    """Those of `requirements.txt`."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def closure() -> dict[str, Distribution]:
    """All packages that are needed, by name; those that other systems need are left out."""
    found: dict[str, Distribution] = {}
    waiting = [(one, extra) for one in requirements() for extra in ("", *one.extras)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        one, extra = waiting.pop()
        name = canonicalize_name(one.name)
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # not for this system, or a part of PyTorch's builds for GPUs
            continue
        for line in found[name].requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(needed, more) for more in ("", *needed.extras)]
    return found


def licence_of(package: Distribution) -> str:
    """As short as the package says it."""
    told = package.metadata.json
    if expression := told.get("license_expression"):
        return str(expression)
    classifiers = [line for line in told.get("classifier", ()) if line.startswith("License ::")]
    named = " or ".join(line.rpartition(":: ")[2] for line in classifiers if line != "License :: OSI Approved")
    said = str(told.get("license", "")).strip().partition("\n")[0]
    return named or (said if 0 < len(said) <= _LONGEST else "see the package")


def address_of(package: Distribution) -> str:
    """The project's page, or that of its index."""
    told = package.metadata.json
    pages = dict(line.split(", ", 1) for line in told.get("project_url", ()) if ", " in line)
    by_name = {re.sub(r"[^a-z]", "", name.lower()): page for name, page in pages.items()}
    known = (by_name.get(name) for name in ("homepage", "home", "repository", "source", "sourcecode", "github"))
    pypi = f"https://pypi.org/project/{told['name']}/"
    return next((str(page) for page in (told.get("home_page"), *known) if page), pypi)


def rows() -> Iterator[tuple[str, str, str]]:
    """Of the table."""
    for _, package in sorted(closure().items()):
        yield package.metadata["Name"], licence_of(package), address_of(package)


if __name__ == "__main__":
    TARGET.write_text(f"{ABOUT}{markdown.table(HEADER, rows())}\n", "utf-8")
