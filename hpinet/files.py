"""Which files a command works on, and where their results go. Opens no picture."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from glob import glob
from pathlib import Path

from PIL import Image

from hpinet.errors import OptionError
from hpinet.images import ACCEPTED_FORMATS, format_of

# Why files are skipped
NOT_A_PICTURE = "not a picture"
HIDDEN = "hidden"
EARLIER = "result of an earlier run"
OUTPUT = "in the output folder"
FOLDER = "folder"

_RESULT = re.compile(r"_(x\d+|\d+px|\d+x\d+)_hpinet-[a-z]+")


@dataclass(frozen=True)
class Found:
    """A picture to work on."""

    path: Path
    folder: Path = Path()  # where it lies within the folder that was named; results keep this place


@dataclass(frozen=True)
class Skipped:
    """A file or folder that is left alone although a folder or pattern includes it, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Job:
    """One picture and where its result goes."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Failure:
    """Something that was asked for and cannot be done, and why."""

    path: str
    reason: str


def is_picture_name(path: Path) -> bool:
    """Whether the suffix is one of the formats that can be opened. Names may lie: opening decides by content."""
    return path.suffix.lower() in _picture_suffixes()


def find_pictures(folder: Path) -> list[Path]:
    """The pictures directly in a folder, by name. Raises OptionError if there are none."""
    if not folder.is_dir():
        raise OptionError(f"There is no folder {folder}.")
    found = sorted(path for path in folder.iterdir() if path.is_file() and is_picture_name(path))
    if not found:
        raise OptionError(f"There are no pictures in {folder}.")
    return found


def gather(inputs: Sequence[str], *, output: Path | None = None) -> tuple[list[Found], list[Skipped], list[Failure]]:
    """The pictures that ``inputs`` mean, each once.

    Args:
        inputs: Files, which are taken whatever they are called; folders with all that is below them; and patterns
            such as ``photos/**/*.jpg``, of which the files count.
        output: Folder of the results; what lies in it already is no input.
    """
    found: dict[Path, Found] = {}
    skipped: list[Skipped] = []
    failures: list[Failure] = []
    for given in inputs:
        path = Path(given).expanduser()
        pictures = [Found(path)]
        if path.is_dir():
            pictures, others = _walk(path, output)
            skipped += others
            if not pictures:
                failures.append(Failure(given, "there are no pictures in it."))
        elif not path.exists():
            matches = [Path(match) for match in sorted(glob(str(path), recursive=True))]  # noqa: PTH207 (any pattern)
            pictures = [Found(match) for match in matches if match.is_file()]
            skipped += [Skipped(match, FOLDER) for match in matches if match.is_dir()]
            if not pictures:
                failures.append(Failure(given, "there is no such file."))
        for picture in pictures:
            found.setdefault(picture.path.resolve(), picture)
    return list(found.values()), skipped, failures


def assign(
    pictures: Sequence[Found], *, output: Path | None, label: str, format: str
) -> tuple[list[Job], list[Failure]]:
    """Where each result goes; a result that would replace an input, or another result, is a failure.

    Args:
        pictures: From `gather`.
        output: A file for the only picture, or a folder that gets the folders of the inputs and the names of the
            pictures; None puts each result beside its picture, with ``label`` in its name.
        label: Such as "x4_hpinet-t".
        format: A name that `hpinet.images.format_of` knows.
    """
    suffix = _SUFFIXES[format_of(format)]
    inputs = {picture.path.resolve() for picture in pictures}
    taken: dict[Path, Path] = {}
    jobs: list[Job] = []
    failures: list[Failure] = []
    for picture in pictures:
        source = picture.path
        if output is None:
            target = source.with_name(f"{source.stem}_{label}{suffix}")
        elif is_file_name(output):
            target = output
        else:
            target = output / picture.folder / f"{source.stem}{suffix}"
        if target.resolve() in inputs:
            failures.append(Failure(str(source), f"its result would replace {target}: choose another output."))
        elif target.resolve() in taken:
            other = taken[target.resolve()]
            failures.append(Failure(str(source), f"its result would replace that of {other}, both being {target}."))
        else:
            taken[target.resolve()] = source
            jobs.append(Job(source, target))
    return jobs, failures


def is_file_name(output: Path) -> bool:
    """Whether an output names a picture file rather than a folder."""
    return is_picture_name(output) and not output.is_dir()


def _walk(folder: Path, output: Path | None) -> tuple[list[Found], list[Skipped]]:
    """The pictures below a folder, and every other file there."""
    found: list[Found] = []
    skipped: list[Skipped] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):
            skipped.append(Skipped(path, HIDDEN))
        elif output is not None and _is_below(path, output) and _is_below(output, folder):
            skipped.append(Skipped(path, OUTPUT))
        elif not is_picture_name(path):
            skipped.append(Skipped(path, NOT_A_PICTURE))
        elif _RESULT.search(path.stem):
            skipped.append(Skipped(path, EARLIER))
        else:
            found.append(Found(path, inside.parent))
    return found, skipped


def _is_below(path: Path, folder: Path) -> bool:
    return folder.resolve() in path.resolve().parents


_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif"}


@lru_cache(maxsize=1)
def _picture_suffixes() -> frozenset[str]:
    """Every suffix that Pillow knows for the accepted formats."""
    return frozenset(suffix for suffix, format in Image.registered_extensions().items() if format in ACCEPTED_FORMATS)
