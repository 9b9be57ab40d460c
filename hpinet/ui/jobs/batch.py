"""Many pictures, one after the other: a bad one is reported and the rest goes on. Everything passes through files."""

import io
import re
import shutil
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from hpinet import wording
from hpinet.errors import Cancelled, HPINetError, ImageError, OptionError
from hpinet.images.formats import FORMATS, READABLE_SUFFIXES
from hpinet.progress import Progress
from hpinet.settings import settings
from hpinet.ui.jobs import previews, workable
from hpinet.ui.jobs.countdown import Countdown
from hpinet.ui.jobs.enlarge import Wanted, enlarge, nothing_said_of_this_machine
from hpinet.ui.jobs.models import Choice, choice_of, expected_seconds
from hpinet.ui.jobs.running import Reporter, StopFlag, turns
from hpinet.ui.jobs.turns import BusyError
from hpinet.ui.jobs.zerogpu import NoGpuError
from hpinet.ui.server.archive import Room, unpack
from hpinet.ui.server.defects import reported
from hpinet.ui.server.ending import Ending
from hpinet.ui.server.storage import in_use, new_folder

ACCEPTED_SUFFIXES = sorted(READABLE_SUFFIXES | {".zip"})
BUSY_SECONDS = 2.0
"""How long a batch waits until it asks again for room."""

_KIND_OF_SUFFIX = {suffix: format.name for format in FORMATS for suffix in format.suffixes}


@dataclass
class Item:
    """One file of a batch and what has become of it."""

    name: str  # with its folders, as it was given
    path: Path | None  # None if there is nothing to open
    status: str = "waiting"  # waiting, running, done, failed or stopped
    detail: str = ""  # sizes and seconds, or what is wrong


@dataclass
class Batch:
    """A batch under way."""

    items: list[Item]
    archive: Path  # the ZIP being written
    finished: bool = False

    @property
    def done(self) -> int:
        """Pictures enlarged so far."""
        return sum(item.status == "done" for item in self.items)


def check_count(files: int) -> None:
    """Raises OptionError if so many are more than a batch has."""
    if files > (most := settings().batch_files):
        raise OptionError(f"A batch has at most {most} pictures.")


def gather(files: Sequence[Path], stop: StopFlag, names: Sequence[str] | None = None) -> list[Item]:
    """The pictures in uploads: each file, and each file of each ZIP among them. A bad ZIP becomes a failed item.

    ``names`` are those of the files, with their folders where these are known. Raises OptionError if there are more
    pictures than a batch has, or none, and `Cancelled`; then nothing that was unpacked stays.
    """
    check_count(len(files))
    items: list[Item] = []
    room = Room(settings().max_upload_mb * 1_000_000)

    def check(_done: int, of_file: int) -> None:
        check_count(len(items) + of_file)
        if stop.ends():
            raise stop.reason()

    with ExitStack() as unless_whole:
        for file, name in zip(files, names or [file.name for file in files], strict=True):
            check(0, 1)
            if file.suffix.lower() == ".zip":
                folder = new_folder()
                unless_whole.callback(shutil.rmtree, folder, ignore_errors=True)
                items += _inside(file, name, folder, room, check)
            else:
                items.append(Item(name, file))
        if not items:
            raise OptionError("There are no pictures in this.")
        unless_whole.pop_all()
    return items


def _inside(archive: Path, name: str, folder: Path, room: Room, progress: Progress) -> list[Item]:
    """The pictures in a ZIP, or the ZIP as one failed item."""
    try:
        inside = unpack(archive, folder, room, progress=progress)
    except ImageError as error:
        return [Item(name, None, "failed", str(error))]
    items = [Item(each.name, each.path, "failed" if each.trouble else "waiting", each.trouble) for each in inside]
    return items or [Item(name, None, "failed", "There are no pictures in this.")]


def format_for_all(paths: Sequence[Path], wanted: Wanted) -> str:
    """The kind of file to make of pictures that are called so: the one that follows all of them, PNG for a mixture."""
    choice = choice_of(wanted.model)
    kinds = {_format_for(path, wanted, choice) for path in paths}
    return kinds.pop() if len(kinds) == 1 else "PNG"


def _format_for(path: Path, wanted: Wanted, choice: Choice) -> str:
    kind = _KIND_OF_SUFFIX.get(path.suffix.lower())
    if kind is None:
        return "PNG"
    try:
        plan = workable.in_pixels(wanted, wanted.size).plan(previews.size_of_sent(path), choice)
        if kind == "WEBP" and not previews.is_lossy_webp(path):
            return "PNG"
    except HPINetError:  # and so in any kind of file
        return workable.kind_that_follows(kind, 0)
    return workable.kind_that_follows(kind, max(plan.target))


def prospect(paths: Sequence[Path], wanted: Wanted) -> list[str]:
    """What a batch would make and how long that takes, by the headers of its pictures."""
    choice = choice_of(wanted.model)
    seconds, megapixels, impossible, archives = 0.0, 0.0, 0, 0
    for path in paths:
        if path.suffix.lower() == ".zip":
            archives += 1
            continue
        try:
            size = previews.size_of_sent(path)
        except HPINetError:
            impossible += 1
            continue
        if workable.obstacle(choice, wanted, size, rounds=1, found=None):
            impossible += 1
            continue
        plan = wanted.plan(size, choice)
        seconds += expected_seconds(choice, plan)
        megapixels += plan.target[0] * plan.target[1] / 1e6
    told = [f"<b>{wording.duration(seconds)}</b>", f"{megapixels:.1f} megapixels to be made"] if megapixels else []
    told += [f"{impossible} that cannot be enlarged so"] if impossible else []
    return [*told, *(["and what is in ZIP files"] if archives else [])]


def run_batch(items: list[Item], wanted: Wanted, stop: StopFlag) -> Iterator[Batch]:
    """Enlarges every item, yielding the state before and after each; the ZIP is complete when ``finished``.

    Raises BusyError if there are too many batches: once one has begun, its pictures wait for room.
    """
    choice_of(wanted.model)  # a wrong one is the batch's fault, not each picture's
    with turns().batch(stop.visitor):
        yield from _run(items, wanted, stop)


def _run(items: list[Item], wanted: Wanted, stop: StopFlag) -> Iterator[Batch]:
    folder = new_folder()
    batch = Batch(items, folder / "hpinet.zip")
    waiting = [(item, item.path) for item in items if item.path is not None]
    countdown = Countdown()
    with in_use(folder, *(path for _, path in waiting)), _Archive(batch.archive) as archive:
        for number, (item, path) in enumerate(waiting):
            item.status = "running"
            yield batch
            label = f"Picture {number + 1} of {len(waiting)}"
            reporter = Reporter(label, stop, start=number / len(waiting), share=1 / len(waiting), countdown=countdown)
            try:
                file, item.detail = _enlarged_in_time(path, wanted, reporter, folder)
                inner = free_name(item.name, file.suffix, set(archive.namelist()))
                with nothing_said_of_this_machine():
                    archive.add(file, inner)
                item.status = "done"
                if PurePosixPath(inner).stem != PurePosixPath(item.name).stem:
                    item.detail += f", as {inner}"
            except Ending:  # nothing of this can be fetched any more
                raise
            except Cancelled:
                for rest, _ in waiting[number:]:
                    rest.status = "stopped"
                break
            except HPINetError as error:
                item.status, item.detail = "failed", str(error)
                if isinstance(error, NoGpuError):  # the others would fare no better
                    for rest, _ in waiting[number + 1 :]:
                        rest.status = "stopped"
                    break
            except Exception as error:  # whatever it is, what is done is handed over and the others get their turn
                item.status, item.detail = "failed", reported(error, "a picture of a batch")
            finally:
                for leftover in folder.glob("result.*"):
                    leftover.unlink()
    batch.finished = True
    yield batch


class _Archive(zipfile.ZipFile):
    """A new ZIP, from which what did not get in whole is taken out again."""

    def __init__(self, path: Path) -> None:
        self._file = _Unbuffered(path, "w")
        super().__init__(self._file, "w", zipfile.ZIP_STORED)  # pictures are compressed already

    def add(self, path: Path, name: str) -> None:
        """Puts the file in under that name. Raises OSError where the disk is full, and is then as before."""
        whole, entries = self.start_dir, len(self.filelist)
        try:
            self.write(path, name)
        except BaseException:
            for entry in self.filelist[entries:]:
                del self.NameToInfo[entry.filename]
            del self.filelist[entries:]
            self.start_dir = whole
            self._file.truncate(whole)
            raise

    def close(self) -> None:
        """See `zipfile.ZipFile.close`."""
        try:
            super().close()
        finally:
            self._file.close()


class _Unbuffered(io.FileIO):
    """A file that takes all that is written to it at once, or says at once that the disk is full."""

    def write(self, data: Any) -> int:
        """See `io.BufferedIOBase.write`."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            left = left[super().write(left) :]
        return size


def _enlarged_in_time(path: Path, wanted: Wanted, reporter: Reporter, folder: Path) -> tuple[Path, str]:
    """`_enlarged`, as soon as there is room for one more job; before that, nothing is decoded again and again."""
    held_mb = _held_mb(path)
    while True:
        if turns().lets_in(reporter.stop.visitor, held_mb=held_mb):
            with suppress(BusyError):  # another was quicker, or this takes more than its header says
                return _enlarged(path, wanted, reporter, folder)
        reporter.say("Waiting until there is room")
        again = time.monotonic() + BUSY_SECONDS
        while time.monotonic() < again:
            if reporter.stop.ends():
                raise reporter.stop.reason()
            time.sleep(0.1)


def _held_mb(path: Path) -> float:
    """What the opened picture should take while it waits, by its header."""
    try:
        width, height = previews.size_of_sent(path)
    except HPINetError:  # which is told by whoever opens it
        return 0.0
    return 3 * width * height / 1e6


def _enlarged(path: Path, wanted: Wanted, reporter: Reporter, folder: Path) -> tuple[Path, str]:
    """The file of one result, and what to tell of it."""
    file = folder / f"result{previews.FORMATS[wanted.format]}"
    outcome = enlarge(path, wanted, target=lambda _plan: file, stop=reporter.stop, reporter=reporter)
    sizes = f"{wording.size(outcome.plan.source)} → {wording.size(outcome.plan.target)}"
    treated = f", {outcome.found or 'no JPEG'}: treated" if outcome.strength else ""
    return file, " ".join((f"{sizes}, {outcome.seconds:.1f} s{treated}", *outcome.notes))


def free_name(name: str, suffix: str, used: set[str]) -> str:
    """The original name and folders with the new suffix, numbered where two inputs would share it."""
    path = PurePosixPath(re.sub(r'[<>:"|?*]', "_", name.replace("\\", "/")))  # signs that Windows refuses in names
    candidate, number = path.with_suffix(suffix), 2
    taken = {name.casefold() for name in used}  # names that differ in case alone are one on many systems
    while str(candidate).casefold() in taken:
        candidate = path.with_name(f"{path.stem}-{number}{suffix}")
        number += 1
    return str(candidate)
