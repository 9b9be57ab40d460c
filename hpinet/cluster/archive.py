"""An archive of pictures enlarged by many machines with Ray Data: each once, whatever of them ends meanwhile.

The driver lists the source, looks at the headers, and keeps the manifest; actors, each with an engine of its own, read
pictures and write results. An actor that ends is started again by Ray and its picture is made again, to the same bytes
under the same name. A driver that is started again leaves out what the manifest says is done.
"""

# pyright: reportMissingImports=false
# ruff: noqa: PLC0415 (Ray is an extra, and slow to import)

import logging
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, cast

from hpinet.cluster.connection import ClusterError, Workers
from hpinet.cluster.manifest import Line, Manifest, Outcome, written
from hpinet.cluster.order import Order, enlarge, said
from hpinet.cluster.places import READ_ONLY, File, Place, pass_over, why
from hpinet.errors import OptionError
from hpinet.files import DONE, OUTPUT, Failure, Found, assign, left_alone
from hpinet.progress import Progress, ignore
from hpinet.settings import settings
from hpinet.version import __version__

ROUNDS = 2
"""How often a picture is begun whose worker ends again and again."""

TRIES = 2
"""How often again within a round."""

PORTION = 20_000
"""Pictures of which Ray Data keeps account at a time. Each is a piece of work of its own, so little is done twice."""

LOOKED_AT_ONCE = 64  # headers in one task

LOOKS = ROUNDS * (1 + TRIES)
"""How often a header is looked at whose worker ends each time."""

ENDED = "Its worker ended each time, perhaps for want of memory."


@dataclass(frozen=True)
class Picture:
    """One to enlarge: its name in the source, the result's in the target, how much work it is, its file's stamp."""

    name: str
    target: str
    bytes: int
    pixels: int = 0
    stamp: str = ""


@dataclass
class Summary:
    """What a run came to."""

    done: int = 0
    failed: list[Line] = field(default_factory=list)
    locked: list[Failure] = field(default_factory=list)  # folders of the source that cannot be listed
    skipped: dict[str, list[str]] = field(default_factory=dict)  # names by reason


@dataclass(frozen=True)
class Told:
    """How far a run is."""

    pictures: int
    of: int
    rate: float  # pictures a second
    left: float  # seconds


def run(
    order: Order,
    source: Place,
    results: Place,
    workers: Workers,
    *,
    looking: Progress = ignore,
    tell: Callable[[Told], None] = lambda _told: None,
    ended: Callable[[Line], None] = lambda _line: None,
) -> Summary:
    """Enlarges all pictures of a folder on the cluster that this process has joined.

    Args:
        order: What to do with each.
        source: Where they lie; every machine must reach it.
        results: Where results and the manifest go; every machine must reach that too.
        workers: How many, and with what.
        looking: Is told how many headers have been looked at.
        tell: Is told how far it is, after each picture.
        ended: Is told each line as it comes.

    Raises:
        OptionError: there is nothing in the source, or results cannot be written there.
        ClusterError: the workers cannot be started.
        KeyboardInterrupt: as it came; the lines so far are kept.
    """
    manifest, summary = Manifest(results), Summary()

    def note(line: Line) -> None:
        manifest.add(line)
        ended(line)
        if line.outcome == "done":
            summary.done += 1
        else:
            summary.failed.append(line)

    try:
        wanted = list(_wanted(order, source, results, manifest, summary))
        pictures: list[Picture] = []
        for number, (picture, refused) in enumerate(_looked_at(order, source, wanted, workers), 1):
            looking(number, len(wanted))
            if refused is None:
                pictures.append(picture)
            else:
                note(refused)
        progress = _Progress(pictures, tell)
        rest = {picture.name: picture for picture in pictures}
        for _ in range(ROUNDS):
            for portion in _portions(list(rest.values())):
                for line in _stream(order, source, results, workers, portion):
                    # What a machine that ended had done already may come twice.
                    if picture := rest.pop(line.source, None):
                        note(replace(line, stamp=picture.stamp))
                        progress.hear(line)
        for picture in rest.values():
            note(_line(order, picture, "failed", ENDED))
        results.tidy()
    finally:
        _close(manifest)
    return summary


def _portions(pictures: list[Picture]) -> Iterator[list[Picture]]:
    return (pictures[at : at + PORTION] for at in range(0, len(pictures), PORTION))


def _close(manifest: Manifest) -> None:
    """Raises ClusterError if the lines cannot be kept."""
    try:
        manifest.compact()
    except ClusterError:  # which says it
        raise
    except Exception as error:  # networks fail in any way
        raise ClusterError(
            f"The manifest cannot be written: {why(error)} Start again when it can be: "
            "what it does not say is made again."
        ) from error


def check_target(source: Place, results: Place) -> None:
    """Raises OptionError if results cannot be written there, or might replace the pictures."""
    if source.prefix.startswith(results.prefix):
        raise OptionError("Results would replace the pictures: choose another output.")
    if results.protocol in READ_ONLY:
        raise OptionError(f"Results cannot be written to {results.protocol}:// addresses: name a folder or a bucket.")


def _line(order: Order, picture: Picture, outcome: Outcome, error: str) -> Line:
    """A picture that no worker had to do with."""
    return Line(
        source=picture.name,
        sha256="",
        bytes=picture.bytes,
        width=0,
        height=0,
        target=picture.target,
        model=order.model,
        treatment=order.treatment,
        order=order.fingerprint(),
        seconds=0.0,
        outcome=outcome,
        error=error,
        stamp=picture.stamp,
    )


# ------------------------------------------------------------------------------------------------- what is to be done


def _wanted(order: Order, source: Place, results: Place, manifest: Manifest, summary: Summary) -> Iterator[Picture]:
    """Pictures of the source without those that are done, folder by folder as they are listed.

    Folders that cannot be listed go into the summary and not into the manifest: it is one of pictures, and would say so
    when the pictures in them have long been done. Raises OptionError if there are none at all, nor such folders.
    """
    done = manifest.done(order.fingerprint())
    there = {file.name for file in results.files(pass_over)}  # what cannot be seen is made again
    inside = results.prefix.removeprefix(source.prefix)
    any_found = False
    for _, files in groupby(source.files(summary.locked.append), key=lambda file: PurePosixPath(file.name).parent):
        found: dict[str, File] = {}
        for file in files:
            reason = left_alone(PurePosixPath(file.name))
            if file.name.startswith(inside):
                reason = OUTPUT
            if reason:
                summary.skipped.setdefault(reason, []).append(file.name)
            else:
                found[file.name] = file
        any_found |= bool(found)
        for name, target in named(found, order.format):
            size, stamp = found[name].bytes, found[name].stamp
            known = [(size, each, written(target)) for each in (stamp, "")]  # "": by a version that kept no stamps
            if done.get(written(name)) in known and target in there:
                summary.skipped.setdefault(DONE, []).append(name)
            else:
                yield Picture(name, target, size, stamp=stamp)
    if not any_found and not summary.locked:
        raise OptionError(f"There are no pictures in {source.address}.")


def named(names: Iterable[str], format: str) -> list[tuple[str, str]]:
    """(source, result) of the pictures of one folder, called as the local command calls them."""
    found = [Found(Path(name), Path(name).parent) for name in names]
    jobs = assign(found, output=Path(), format=format)
    return [(job.source.as_posix(), (job.folder / f"{job.stem}{job.suffix}").as_posix()) for job in jobs]


def _looked_at(
    order: Order, source: Place, pictures: list[Picture], workers: Workers
) -> Iterator[tuple[Picture, Line | None]]:
    """The pictures with their pixels, and for what cannot be done the line that says so: by their headers, on all
    machines at once, before any work begins. Those whose worker ends are looked at again, each alone.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    # Ray shall begin none again by itself: where memory is short it would without end, with any number but 0.
    environment = {"env_vars": workers.environment()}
    task = ray.remote(num_cpus=1, max_retries=0, runtime_env=environment)(_look)
    waiting = [pictures[at : at + LOOKED_AT_ONCE] for at in range(0, len(pictures), LOOKED_AT_ONCE)][::-1]
    cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
    under_way: dict[Any, list[Picture]] = {}
    ends: Counter[Picture] = Counter()
    while waiting or under_way:
        while waiting and len(under_way) < 2 * cpus:
            some = waiting.pop()
            most = settings().max_upload_mb * 1_000_000
            under_way[task.remote(order, source, some, workers.megabytes, most)] = some
        (ready,), _ = ray.wait(list(under_way))
        some = under_way.pop(ready)
        try:
            yield from ray.get(ready)
        except RayTaskError:  # a machine that cannot begin at all, for want of this package
            raise
        except RayError:
            ends.update(some)
            waiting += [[picture] for picture in some if ends[picture] < LOOKS]
            yield from ((picture, _line(order, picture, "failed", ENDED)) for picture in some if ends[picture] >= LOOKS)


def _look(
    order: Order, source: Place, pictures: list[Picture], megabytes: float, most: int
) -> list[tuple[Picture, Line | None]]:
    """On one of the machines. Of a file larger than ``most`` bytes no more is read than shows that."""
    seen: list[tuple[Picture, Line | None]] = []
    for picture in pictures:
        try:
            width, height = order.check(source.read(picture.name, most=most + 1), megabytes)
        except Exception as error:  # networks fail in any way, and one file is no reason to stop
            outcome: Outcome = "refused" if isinstance(error, OptionError) else "failed"
            seen.append((picture, _line(order, picture, outcome, said(error))))
        else:
            seen.append((replace(picture, pixels=width * height), None))
    return seen


# --------------------------------------------------------------------------------------------------------- the workers


class Enlarger:
    """What an actor does: one engine, set up once, and one picture after the other."""

    def __init__(self, order: Order, source: Place, results: Place, version: str) -> None:
        if version != __version__:
            raise ClusterError(f"This machine has HPINet {__version__} and the driver {version}: install the same.")
        self._order, self._source, self._results = order, source, results
        self._upscaler = cache(order.upscaler)
        if order.size.scale:
            for scale in order.plan((1, 1)).passes:
                self._upscaler(scale)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Rows with ``name`` and ``target`` to rows of their lines."""
        lines = [
            enlarge(
                self._order,
                str(name),
                str(target),
                source=self._source,
                results=self._results,
                upscaler=self._upscaler,
            )
            for name, target in zip(batch["name"], batch["target"], strict=True)
        ]
        return {key: [getattr(line, key) for line in lines] for key in asdict(lines[0])}


def _stream(order: Order, source: Place, results: Place, workers: Workers, pictures: list[Picture]) -> Iterator[Line]:
    """The lines of pictures as they are done. A picture whose worker ends once more than `TRIES` times has none."""
    from ray.data import ActorPoolStrategy, DataContext, from_items
    from ray.exceptions import RayError
    from ray.util.annotations import RayDeprecationWarning

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    rows = [{"name": picture.name, "target": picture.target} for picture in pictures]
    least = min(workers.least, len(rows))
    most = max(least, min(workers.most, len(rows)))
    # How often a task is begun again has no parameter of its own yet, and the collective one is to be replaced.
    warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated", RayDeprecationWarning)
    enlarged = from_items(rows, override_num_blocks=len(rows)).map_batches(
        Enlarger,
        fn_constructor_args=(order, source, results, __version__),
        batch_size=1,
        compute=ActorPoolStrategy(min_size=least, max_size=most, initial_size=max(least, min(workers.room, most))),
        num_cpus=workers.cpus,
        num_gpus=workers.gpus or None,
        memory=workers.megabytes * 1_000_000,
        runtime_env={"env_vars": workers.environment()},
        max_task_retries=TRIES,
    )
    try:
        for batch in enlarged.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for row in cast(Any, batch).to_pylist():  # a PyArrow table, by the format asked for
                yield Line(**row)
    except RayError as error:
        raise ClusterError(f"The workers cannot go on: {said(error)}") from error


class _Progress:
    """Pictures a second and the time left, by the pixels of what is done and what is not."""

    def __init__(self, pictures: list[Picture], tell: Callable[[Told], None]) -> None:
        self._pixels = {picture.name: picture.pixels for picture in pictures}
        self._all, self._done, self._count = max(1, sum(self._pixels.values())), 0, 0
        self._began, self._tell = time.monotonic(), tell

    def hear(self, line: Line) -> None:
        self._count += 1
        self._done += self._pixels[line.source]
        elapsed = max(1e-6, time.monotonic() - self._began)
        left = elapsed * (self._all - self._done) / max(1, self._done)
        self._tell(Told(self._count, len(self._pixels), self._count / elapsed, left))
