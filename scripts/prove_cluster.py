"""What archives and a page must hold on a cluster, on one of raylets on this machine: prints the README's table.

    python -m scripts.prove_cluster [--short] [--only NAME] [--runs N] [--write]

Every result is compared with the local command's, byte for byte. There are proofs of kill -9 of an actor and of a whole
raylet at random moments; of a driver that is killed and started again; of a full disk; of two workers against one and
against the local engine; of a page with many callers, one of whose replicas is killed. It needs the extra `cluster`.
"""

# pyright: reportMissingImports=false

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import httpx
import psutil
import typer
from gradio_client import Client, handle_file
from PIL import Image

from hpinet.cluster.manifest import NAME, PARTS, Line, Manifest
from hpinet.cluster.order import Order, enlarge
from hpinet.cluster.places import Place
from hpinet.cluster.replicas import MODELS
from hpinet.plan import TargetSize
from hpinet.settings import settings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SCALE = 2
SIDE = 48  # pixels of the many small pictures
HALF_A_MEGAPIXEL = (816, 612)
LIMIT_SECONDS = 900.0
HEADER = "| what | pictures | delivered once | lost | twice | |\n|---|---:|---:|---:|---:|---|"
_PLACE = re.compile(r"(?<=<!-- cluster -->\n).*(?=<!-- end of cluster -->)", re.DOTALL)


@dataclass
class Row:
    """One line of the table. Whatever was attempted is delivered once, lost (or wrong), or there twice."""

    what: str
    once: int = 0
    lost: int = 0
    twice: int = 0
    notes: list[str] = field(default_factory=list)
    holds: bool = True

    def must(self, holds: bool, note: str) -> None:
        """Notes what was found, and whether it is as it must be."""
        self.holds &= holds
        self.notes.append(note if holds else f"**{note}**")

    @property
    def is_right(self) -> bool:
        """Whether everything holds."""
        return self.holds and not self.lost and not self.twice

    def __str__(self) -> str:
        attempts = self.once + self.lost + self.twice
        return f"| {self.what} | {attempts} | {self.once} | {self.lost} | {self.twice} | {'; '.join(self.notes)} |"


@dataclass(frozen=True)
class Bench:
    """A cluster under test, and a folder to work in."""

    cluster: Any  # ray.cluster_utils.Cluster
    folder: Path
    short: bool
    runs: int = 1

    def driver(self, source: Path, results: Path, *options: str) -> "subprocess.Popen[str]":
        """The command on the cluster, in a process of its own."""
        command = [*_command(source, results), "--cluster", self.cluster.address, *options]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _command(source: Path, results: Path) -> list[str]:
    names = ["upscale", str(source), "--output", str(results), "--scale", str(SCALE)]
    return [sys.executable, "-m", "hpinet", *names]


@contextmanager
def raylets(count: int) -> Iterator[Any]:
    """A cluster of that many raylets with one CPU each, the first of which is the head."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415 (it comes with the extra)

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(count - 1):
            cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()


def _raylet(node: Any) -> psutil.Process:
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


def _actors(node: Any) -> list[psutil.Process]:
    """Processes of a raylet that enlarge."""
    return [child for child in _raylet(node).children(recursive=True) if "MapWorker" in _command_line(child)]


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""


def until(true: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> bool:
    """Waits for something; whether it happened."""
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            return False
        time.sleep(0.02)
    return True


def drawn(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """A folder of pictures, in two folders of its own, each another."""
    with Image.open(ROOT / "examples" / "cat.png") as cat:
        for number in range(count):
            path = folder / ("even", "odd")[number % 2] / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cat.convert("RGB").rotate(number, expand=True).resize(size, Image.Resampling.BICUBIC).save(path)
    return folder


def locally(source: Path, results: Path) -> dict[str, bytes]:
    """What the local command makes, by name."""
    subprocess.run(_command(source, results), cwd=ROOT, check=True, capture_output=True)
    return {str(path.relative_to(results)): path.read_bytes() for path in results.rglob("*.png")}


def _files(results: Path) -> dict[str, Path]:
    """Everything there but the manifest, by name."""
    files = [path for path in results.rglob("*") if path.is_file()]
    names = {str(path.relative_to(results)): path for path in files}
    return {name: path for name, path in names.items() if name != NAME and not name.startswith(PARTS)}


def _made(results: Path) -> int:
    return sum(1 for _ in results.rglob("[0-9]*.png"))


def _judge(row: Row, results: Path, truth: dict[str, bytes]) -> list[Line]:
    """Compares results and manifest with what the local command makes."""
    files, lines = _files(results), list(Manifest(Place.of(str(results))).lines())
    for name, data in truth.items():
        count = sum(line.source == name and line.outcome == "done" for line in lines)
        is_there = name in files and files[name].read_bytes() == data
        row.once += is_there and count == 1
        row.twice += count > 1
        row.lost += not is_there or count == 0
    others = sorted(files.keys() - truth.keys())
    row.must(not others, f"files too many: {', '.join(others)[:80]}" if others else "no file too many")
    return lines


def _finish(row: Row, driver: "subprocess.Popen[str]", code: int = 0) -> str:
    """Waits for a driver; what it told."""
    try:
        out, told = driver.communicate(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        driver.kill()
        out, told = driver.communicate()
        row.must(False, f"not done after {LIMIT_SECONDS:.0f} s")
    row.must(driver.returncode == code, f"exit code {driver.returncode}")
    if driver.returncode != code:
        sys.stderr.write(told[-2000:])
    return out


# ------------------------------------------------------------------------------------------------------------- proofs


def kills(bench: Bench) -> Row:
    """kill -9 of an actor and of a raylet, each at a random moment."""
    count = 60 if bench.short else 200
    row = Row(f"kill -9 of an actor and of a raylet, {bench.runs} runs of {count}")
    source = drawn(bench.folder / "source", count, (SIDE, SIDE))
    truth = locally(source, bench.folder / "local")
    began = time.monotonic()
    for run in range(bench.runs):
        chance = random.Random(run)
        moments = sorted(chance.randrange(5, count - 5) for _ in range(2))
        head, other = bench.cluster.head_node, bench.cluster.add_node(num_cpus=1)
        results = bench.folder / f"results-{run}"
        driver = bench.driver(source, results)
        kinds = ["actor", "raylet"]
        chance.shuffle(kinds)
        for moment, kind in zip(moments, kinds, strict=True):
            until(partial(_is_so_far, driver, results, moment))
            if kind == "raylet":
                _raylet(other).kill()
            elif actors := [actor for node in (head, other) if _lives(node) for actor in _actors(node)]:
                chance.choice(actors).kill()
            else:
                row.must(False, "no actor to kill")
        _finish(row, driver)
        _judge(row, results, truth)
        bench.cluster.remove_node(other, allow_graceful=False)
    row.notes = list(dict.fromkeys(row.notes))
    row.notes.append(f"{(time.monotonic() - began) / bench.runs:.0f} s a run")
    return row


def _is_so_far(driver: "subprocess.Popen[str]", results: Path, moment: int) -> bool:
    return _made(results) >= moment or driver.poll() is not None


def _lives(node: Any) -> bool:
    try:
        return _raylet(node).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def driver_killed(bench: Bench) -> Row:
    """kill -9 of the driver midway, and the same command again."""
    count = 40 if bench.short else 200
    row = Row("kill -9 of the driver, then the same command again")
    source = drawn(bench.folder / "source", count, (SIDE, SIDE))
    truth = locally(source, bench.folder / "local")
    results = bench.folder / "results"
    driver = bench.driver(source, results)
    until(lambda: _made(results) >= count // 2 and any((results / PARTS).glob("*.parquet")))
    driver.kill()
    driver.communicate()
    before = _made(results)
    again = _finish(row, bench.driver(source, results)).count(".png")
    row.must(before < count and again < count, f"{before} were there, {before + again - count} of them made again")
    _judge(row, results, truth)
    return row


def disk_full(bench: Bench) -> Row:
    """Results on a disk that fills up; then it is made larger, and the same command again."""
    count = 40 if bench.short else 200
    row = Row("a full disk, then room and the same command again")
    results = bench.folder / "results"
    results.mkdir()
    size = count * SIDE * SIDE * SCALE**2 * 3 // 8
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(results)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        row.notes.append("not tried: mounting a small disk needs more rights")
        return row
    try:
        source = drawn(bench.folder / "source", count, (SIDE, SIDE))
        truth = locally(source, bench.folder / "local")
        _finish(row, bench.driver(source, results), code=2)
        before = _made(results)
        torn = [name for name, path in _files(results).items() if truth.get(name) != path.read_bytes()]
        row.must(0 < before < count and not torn, f"{before} fitted, {len(torn)} torn")
        subprocess.run(["mount", "-o", "remount,size=64m", str(results)], check=True)
        _finish(row, bench.driver(source, results))
        _judge(row, results, truth)
    finally:
        subprocess.run(["umount", "-l", str(results)], check=False)
    return row


def speed(bench: Bench) -> Row:
    """Two workers against one, and one against the local engine, without the start of workers."""
    count, size = (4, (160, 120)) if bench.short else (4, HALF_A_MEGAPIXEL)
    row = Row(f"{count} of {size[0]}×{size[1]}, ×{SCALE} with T")
    source = drawn(bench.folder / "source", count, size)
    order = Order.of("T", TargetSize(scale=SCALE))
    upscaler = order.upscaler(SCALE)
    place, results = Place.of(str(source)), Place.of(str(bench.folder / "local"))
    names = [str(path.relative_to(source)) for path in sorted(source.rglob("*.png"))]

    def local(name: str) -> float:
        return enlarge(order, name, name, source=place, results=results, upscaler=lambda _scale: upscaler).seconds

    local(names[0])  # what is prepared once
    alone = sum(map(local, names))
    truth = {name: (bench.folder / "local" / name).read_bytes() for name in names}
    spans, gaps = {}, {}
    for workers in (1, 2):
        folder = bench.folder / f"with-{workers}"
        spans[workers] = _span(row, bench.driver(source, folder, "--workers", str(workers)))
        lines = _judge(row, folder, truth)
        gaps[workers] = spans[workers] - sum(line.seconds for line in lines)
    row.notes = list(dict.fromkeys(row.notes))
    ratio, overhead = spans[1] / spans[2], spans[1] / alone - 1
    row.must(bench.short or ratio >= 1.7, f"two workers {ratio:.2f} times as fast as one")
    row.must(bench.short or overhead < 0.1, f"a picture {spans[1] / count:.1f} s, {overhead:+.0%} of the local engine")
    row.notes.append(f"{max(0.0, gaps[1]) / count:.2f} s of it between pictures")
    return row


def _span(row: Row, driver: "subprocess.Popen[str]") -> float:
    """Seconds from the first picture's begin to the last one's end."""
    assert driver.stdout is not None
    told = [(time.monotonic(), line) for line in driver.stdout]
    driver.wait()
    row.must(driver.returncode == 0, f"exit code {driver.returncode}")
    if not told:
        return float("inf")
    first = float(told[0][1].rpartition(", ")[2].removesuffix(" s\n"))
    return told[-1][0] - told[0][0] + first


def serve(bench: Bench) -> Row:
    """The page with many callers at once, one of whose replicas is killed while they wait; then Stop."""
    callers, size = 40, (112, 74)
    row = Row(f"the page: {callers} callers with {size[0]}×{size[1]}, kill -9 of a replica meanwhile")
    pictures = sorted(drawn(bench.folder / "source", 8, size).rglob("*.png"))
    truths = {path: _by_library(path, bench.folder / "local") for path in pictures}
    nodes = [bench.cluster.head_node, *bench.cluster.worker_nodes]
    done: list[bool] = []

    def caller(address: str, number: int) -> None:
        path = pictures[number % len(pictures)]
        try:
            client = Client(address, verbose=False, download_files=str(bench.folder), httpx_kwargs={"timeout": 120})
            result = client.predict(image=handle_file(path), model="T", scale=SCALE, api_name="/upscale")
            done.append(Path(result).read_bytes() == truths[path])
        except Exception as error:  # whatever it is, the answer is lost
            row.notes.append(f"**{type(error).__name__}: {error}**")
            done.append(False)

    with _serving(bench) as address:
        most = len(_replicas(nodes))
        row.must(most == 1, f"{most} replica at first")
        with ThreadPoolExecutor(callers) as pool:
            waiting = [pool.submit(caller, address, number) for number in range(callers)]
            until(lambda: len(done) >= callers // 4)
            _replicas(nodes)[0].kill()
            while not all(each.done() for each in waiting):
                most = max(most, len(_replicas(nodes)))
                time.sleep(0.2)
        row.once, row.lost = sum(done), callers - sum(done)
        row.must(bench.short or most > 1, f"up to {most}")
        _stopped(row, address, drawn(bench.folder / "large", 1, (1600, 1200)) / "even" / "000.png")
        if not bench.short:
            row.must(until(lambda: len(_replicas(nodes)) == 1, 300), "one again when all is quiet")
    return row


def _by_library(path: Path, folder: Path) -> bytes:
    """The file that the local command makes of a picture, with the treatment that programs get."""
    order = Order.of("T", TargetSize(scale=SCALE), treatment="clean")
    places = {"source": Place.of(str(path.parent)), "results": Place.of(str(folder))}
    enlarge(order, path.name, path.name, upscaler=lru_cache(order.upscaler), **places)
    return (folder / path.name).read_bytes()


def _stopped(row: Row, address: str, picture: Path) -> None:
    """Progress comes from a replica, and Stop reaches it."""
    job = Client(address, verbose=False).submit(image=handle_file(picture), scale=SCALE, api_name="/upscale")

    def fraction() -> float:
        told = job.status().progress_data
        return (told[-1].progress or 0.0) if told else 0.0

    row.must(until(lambda: fraction() > 0.02, 120), "progress comes")
    job.cancel()
    began = time.monotonic()
    is_over = until(lambda: httpx.get(f"{address}/healthz").json()["running"] == 0, 60)
    row.must(is_over, f"Stop after {time.monotonic() - began:.1f} s")


@contextmanager
def _serving(bench: Bench) -> Iterator[str]:
    """The page on the cluster, with one replica that may become two; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = ["serve", "--cluster", bench.cluster.address, "--port", port, "--workers", "1-2"]
    environment = {**os.environ, "HPINET_JOBS_PER_ADDRESS": "100"}
    with subprocess.Popen(
        [sys.executable, "-m", "hpinet", *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(120)


def _replicas(nodes: list[Any]) -> list[psutil.Process]:
    """Processes that enlarge for the page."""
    children = (child for node in nodes for child in _raylet(node).children(recursive=True))
    return [child for child in children if f"ServeReplica:{MODELS}" in _command_line(child)]


PROOFS: dict[str, Callable[[Bench], Row]] = {
    "kills": kills,
    "driver": driver_killed,
    "disk": disk_full,
    "speed": speed,
    "serve": serve,
}
RAYLETS = {"kills": 1}
"""How many a proof begins with, if not two."""


def proved(name: str, *, short: bool, runs: int = 1) -> Row:
    """A line of the table, made on a cluster of its own."""
    with TemporaryDirectory() as temporary, raylets(RAYLETS.get(name, 2)) as cluster:
        return PROOFS[name](Bench(cluster, Path(temporary), short, runs))


def main(
    *,
    short: Annotated[bool, typer.Option("--short", help="A few minutes, for the tests.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"Only this proof; repeat. {', '.join(PROOFS)}.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Of the random kills.")] = 3,
    write: Annotated[bool, typer.Option("--write", help="Put the table into the README.")] = False,
) -> None:
    """Print the table; exit 1 if anything does not hold."""
    os.environ["HPINET_THREADS"] = "1"  # the local engine has what a worker has
    settings.cache_clear()
    rows = []
    print(HEADER, flush=True)
    for name in PROOFS:
        if not only or name in only:
            rows.append(proved(name, short=short, runs=runs))
            print(rows[-1], flush=True)
    if write:
        table = "\n".join([HEADER, *map(str, rows), ""])
        README.write_text(_PLACE.sub(lambda _: table, README.read_text("utf-8")), "utf-8")
    raise typer.Exit(0 if all(row.is_right for row in rows) else 1)


if __name__ == "__main__":
    typer.run(main)
