"""Source file in, result file out: which files a command works on, where their results go, and the one path between.

Every front end enlarges by `enlarge_file` and names results by `result_label`.
"""

import os
import re
import stat
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from glob import glob
from pathlib import Path, PurePath
from tempfile import TemporaryFile
from typing import Literal

from PIL import Image

from hpinet.errors import ImageError, OptionError, telling_of_memory
from hpinet.images import Limits, MetadataChoice, Picture, check_size, format_of, open_picture, save_picture
from hpinet.images.formats import BY_NAME, READABLE_SUFFIXES, WRITABLE
from hpinet.images.pillow import PILLOW_AT_EASE
from hpinet.paths import path_of
from hpinet.plan import Plan, Size

# Why files are skipped
NOT_A_PICTURE = "not a picture"
HIDDEN = "hidden"
EARLIER = "result of an earlier run"
OUTPUT = "in the output folder"
FOLDER = "folder"
LINK = "linked folder"
DONE = "done already"

_OTHER_PICTURES = (".jp2", ".psd", ".svg", ".tga", ".exr", ".dng", ".pdf", ".ico")
_RESULT = re.compile(r"(?P<source>.*)_(x\d+|\d+x\d+)_hpinet-\w", re.DOTALL)


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


Existing = Literal["replace", "skip", "fail"]
"""What becomes of a picture whose result is there already; it is skipped if that has the size it would have."""


class AlreadyDone(OptionError):
    """The result is there, and is to be left as it is."""


_Known = frozenset[Path | tuple[int, int]]


def _known_by(*paths: Path) -> _Known:
    """What tells files from others: their places, and of those that are there the numbers that the system gives them.

    One file may have several places: where upper and lower case are the same, or a folder is mounted twice.
    """
    known: set[Path | tuple[int, int]] = set()
    for path in paths:
        known.add(path.resolve())
        with suppress(OSError):
            found = path.stat()
            if found.st_ino:  # some file systems have no numbers
                known.add((found.st_dev, found.st_ino))
    return frozenset(known)


@dataclass(frozen=True)
class Job:
    """One picture and where its result goes."""

    source: Path
    folder: Path
    stem: str
    suffix: str
    is_labelled: bool  # whether the name tells how the result was made
    inputs: _Known  # files of the whole command, which no result may replace

    def target(self, plan: Plan, checkpoint: str, existing: Existing = "replace") -> Path:
        """The file of the result of ``plan`` with the model ``checkpoint``.

        Raises OptionError if that would replace an input, or what is there already and shall not be replaced.
        """
        label = f"_{result_label(plan, checkpoint)}" if self.is_labelled else ""
        path = self.folder / f"{self.stem}{label}{self.suffix}"
        if existing == "skip" and path.exists() and _size_of(path) == plan.target:
            raise AlreadyDone(f"{path} is there already.")  # even if it is an input as well: nothing is replaced
        if not self.inputs.isdisjoint(_known_by(path)):
            raise OptionError(f"its result would replace {path}: choose another output.")
        if existing == "fail" and path.exists():
            raise OptionError(f"{path} is there already: choose another output, or --existing replace.")
        return path


def _size_of(path: Path) -> Size | None:
    """Width and height of one of our results, by its header; None if it is something else."""
    try:
        with PILLOW_AT_EASE, Image.open(path, formats=[format.name for format in WRITABLE]) as image:
            return image.size
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class Failure:
    """Something that was asked for and cannot be done, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Enlarged:
    """A picture that has been enlarged, and what came of it."""

    source: Picture
    result: Picture
    plan: Plan
    target: Path  # the file of the result
    seconds: float  # that the network and the reduction took


def enlarge_file(
    source: Path,
    *,
    plan: Callable[[Size], Plan],
    run: Callable[[Picture, Plan], Picture],
    target: Callable[[Plan], Path],
    format: str = "PNG",
    quality: int = 90,
    metadata: MetadataChoice = "drop",
    decode: Callable[[Path], Picture] = open_picture,
) -> Enlarged:
    """Enlarges the picture in a file: one decode, one plan, one run, one file.

    Args:
        source: Any file that `hpinet.images.open_picture` takes.
        plan: What to do with a picture of that size.
        run: Carries a plan out, as `hpinet.plan.run_plan` does.
        target: Where the result of a plan goes, asked before the work; folders are made.
        format: Of the result, a name that `hpinet.images.format_of` knows.
        quality: 1 to 100, of lossy formats.
        metadata: How much of what the source says of its picture the result keeps.
        decode: Opens the file.

    Raises:
        HPINetError: the picture cannot be opened, enlarged so, or written; no memory is left; or the work was stopped.
    """
    picture = decode(source)
    way = plan((picture.width, picture.height))
    check_size(*way.target, format)  # what cannot be written is said before the work
    path = target(way)
    _check_place(path)
    began = time.perf_counter()
    result = run(picture, way)
    seconds = time.perf_counter() - began
    with telling_of_memory():
        save_picture(result, path, format=format, quality=quality, metadata=metadata)
    return Enlarged(picture, result, way, path, seconds)


def _check_place(path: Path) -> None:
    """Makes the folder of a result. Raises ImageError if the file could not be written there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
        path.lstat()  # says whether the name is too long
        is_folder = path.is_dir()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ImageError(f"{path} cannot be written: {error.strerror or error}.") from error
    if is_folder:
        raise ImageError(f"{path} cannot be written: there is a folder of that name.")


def result_label(plan: Plan, checkpoint: str) -> str:
    """The part of a result's name that tells how it was made: "x4_hpinet-t", or "1920x1280_hpinet-t" for a size.

    ``checkpoint`` is a name such as "hpinet-t-x4", with or without its scale.
    """
    how = f"x{plan.scale}" if plan.scale else f"{plan.target[0]}x{plan.target[1]}"
    return f"{how}_{re.sub(r'-x[0-9]+$', '', checkpoint)}"


def is_picture_name(path: PurePath) -> bool:
    """Whether the suffix is one of the formats that can be opened. Names may lie: opening decides by content."""
    return path.suffix.lower() in READABLE_SUFFIXES


def find_pictures(folder: Path) -> list[Path]:
    """The pictures directly in a folder, by name; some files are `left_alone`. Raises OptionError if there are none."""
    if not folder.is_dir():
        raise OptionError(f"There is no folder {folder}.")
    found = sorted(path for path in folder.iterdir() if not left_alone(PurePath(path.name)) and path.is_file())
    if not found:
        raise OptionError(f"There are no pictures in {folder}.")
    return found


def open_named(path: Path, *, limits: Limits | None = None) -> Picture:
    """`open_picture` for work on several files: what is wrong with one says which it is."""
    try:
        return open_picture(path, limits=limits)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def gather(inputs: Sequence[str], *, output: Path | None = None) -> tuple[list[Found], list[Skipped], list[Failure]]:
    """The pictures that ``inputs`` mean, each once.

    Args:
        inputs: Files, which are taken whatever they are called, but for results of those among them, as a shell names
            for ``*``; folders with all that is below them; and patterns such as ``photos/**/*.jpg``, of which the files
            count. Of folders and patterns results of earlier runs are skipped.
        output: Folder of the results; what lies in it already is no input.
    """
    found: dict[Path, Found] = {}
    skipped: list[Skipped] = []
    failures: list[Failure] = []
    for given in inputs:
        try:
            pictures, others, troubles = _meant_by(given, output)
        except OSError as error:  # one that cannot be looked at leaves the others
            failures.append(Failure(given, f"{error.strerror or error}."))
            continue
        skipped += others
        failures += troubles
        for picture in pictures:
            there = found.setdefault(picture.path.resolve(), picture)
            if there.path.is_symlink() and not picture.path.is_symlink():
                found[picture.path.resolve()] = picture  # under its own name, not that of a link to it
    pictures = list(found.values())
    results = _results_among(pictures)
    skipped += [Skipped(picture.path, EARLIER) for picture in pictures if picture in results]
    return [picture for picture in pictures if picture not in results], skipped, failures


def _results_among(pictures: Sequence[Found]) -> set[Found]:
    """Those that an earlier run has put beside others of them, going by their names."""
    sources = [picture for picture in pictures if not _RESULT.match(picture.path.stem)]
    stems = _free_stems(sources, [source.path.parent for source in sources])
    named = [(source.path.parent, stem) for source, stem in zip(sources, stems, strict=True)]
    named += [(picture.path.parent, picture.path.stem) for picture in pictures]
    known = {_key(folder, stem) for folder, stem in named}
    return {
        picture
        for picture in pictures
        if (parts := _RESULT.match(picture.path.stem)) and _key(picture.path.parent, parts["source"]) in known
    }


def _meant_by(given: str, output: Path | None) -> tuple[list[Found], list[Skipped], list[Failure]]:
    """The pictures that one input of `gather` means."""
    if not given:
        return [], [], [Failure(given, "name a file, a folder or a pattern: this is empty.")]
    path = path_of(given)
    if path.is_dir():
        pictures, skipped, failures = _walk(path, output)
        if not pictures and not failures:
            failures = [Failure(given, "there are no pictures in it.")]
        return pictures, skipped, failures
    if path.exists():
        return [Found(path)], [], []
    matches = [Path(match) for match in sorted(glob(str(path), recursive=True))]  # noqa: PTH207 (any pattern)
    files = [match for match in matches if match.is_file()]
    skipped = [Skipped(match, FOLDER) for match in matches if match.is_dir()]
    found: list[Found] = []
    for match in files:
        is_result = output is not None and _is_below(match, output)
        if is_result or _RESULT.match(match.stem):
            skipped.append(Skipped(match, OUTPUT if is_result else EARLIER))
        else:
            found.append(Found(match))
    failures = [] if files else [Failure(given, "there is no such file.")]
    return found, skipped, failures


def assign(pictures: Sequence[Found], *, output: Path | None, format: str) -> list[Job]:
    """Where each result goes.

    Pictures whose names differ in their suffix or in upper and lower case alone get results that cannot collide, on no
    file system: ``a.jpg`` and ``a.png`` become ``a-jpg.png`` and ``a-png.png``.

    Args:
        pictures: From `gather`.
        output: A file for the only picture, or a folder that gets the folders of the inputs and the names of the
            pictures; None puts each result beside its picture, with a label in its name.
        format: A name that `hpinet.images.format_of` knows.
    """
    suffix = BY_NAME[format_of(format)].suffixes[0]
    inputs = _known_by(*(picture.path for picture in pictures))
    if output is not None and is_file_name(output):
        return [Job(picture.path, output.parent, output.stem, output.suffix, False, inputs) for picture in pictures]
    folders = [picture.path.parent if output is None else output / picture.folder for picture in pictures]
    return [
        Job(picture.path, folder, stem, suffix, output is None, inputs)
        for picture, folder, stem in zip(pictures, folders, _free_stems(pictures, folders), strict=True)
    ]


def _free_stems(pictures: Sequence[Found], folders: Sequence[Path]) -> list[str]:
    """A stem for each result that no other one in its folder has, upper and lower case being the same."""
    stems = [picture.path.stem for picture in pictures]
    shared = Counter(map(_key, folders, stems))
    taken = {name for name, count in shared.items() if count == 1}
    for number, (picture, folder) in enumerate(zip(pictures, folders, strict=True)):
        if shared[_key(folder, stems[number])] == 1:
            continue
        stem = free = f"{picture.path.stem}-{picture.path.suffix[1:].lower()}"
        count = 2
        while _key(folder, free) in taken:
            free, count = f"{stem}-{count}", count + 1
        taken.add(_key(folder, free))
        stems[number] = free
    return stems


def _key(folder: Path, stem: str) -> tuple[Path, str]:
    return folder.resolve(), stem.casefold()


def is_file_name(output: Path) -> bool:
    """Whether an output names a picture file rather than a folder.

    Raises OptionError for a file's name of a format that is not written: it would become a folder.
    """
    try:
        if output.is_dir():
            return False
    except OSError as error:
        raise OptionError(f"{output} cannot be written: {error.strerror or error}.") from error
    if output.suffix.lower() in (*READABLE_SUFFIXES, *_OTHER_PICTURES):
        format_of(output)
        return True
    return False


def _walk(folder: Path, output: Path | None) -> tuple[list[Found], list[Skipped], list[Failure]]:
    """The pictures below a folder, what else is there, and what cannot be looked into."""
    found: list[Found] = []
    failures: list[Failure] = []

    def locked(error: OSError) -> None:
        failures.append(Failure(str(error.filename), f"{error.strerror or error}."))

    files, links = _files_below(folder, locked)
    skipped = [Skipped(link, LINK) for link in links]
    for path in files:
        inside = path.relative_to(folder)
        reason = left_alone(inside)
        if reason != HIDDEN and output is not None and _is_below(path, output) and _is_below(output, folder):
            reason = OUTPUT
        if reason:
            skipped.append(Skipped(path, reason))
        else:
            found.append(Found(path, inside.parent))
    return found, skipped, failures


def _files_below(folder: Path, locked: Callable[[OSError], None]) -> tuple[list[Path], list[Path]]:
    """Every file below a folder, and every link to a folder, which may lead in a circle; both sorted.

    ``locked`` hears of what cannot be looked at.
    """
    files: list[Path] = []
    links: list[Path] = []
    for inside, folders, names in os.walk(folder, onerror=locked):
        links += [path for path in (Path(inside, name) for name in folders) if path.is_symlink()]
        for path in (Path(inside, name) for name in names):
            try:
                if stat.S_ISREG(path.stat().st_mode):
                    files.append(path)
            except FileNotFoundError:  # a link to nothing
                continue
            except OSError as error:
                locked(error)
    return sorted(files), sorted(links)


def left_alone(inside: PurePath) -> str:
    """Why a file with this place in a folder is no input; empty if it is one."""
    if any(part.startswith(".") for part in inside.parts):
        return HIDDEN
    if not is_picture_name(inside):
        return NOT_A_PICTURE
    return EARLIER if _RESULT.match(inside.stem) else ""


def _is_below(path: Path, folder: Path) -> bool:
    return folder.resolve() in path.resolve().parents
