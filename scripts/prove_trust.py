"""What a public page must hold, against a server of its own: prints a table, and fails where something does not hold.

    python -m scripts.prove_trust [--short] [--only NAME]

Every answer is compared with the library's. There are proofs of many small pictures, and what the server's memory does
meanwhile; of a hundred callers at once; of jobs that are cancelled while they wait and while they run; of a small
picture beside four of 12 megapixels; of memory and disk that run out; of visitors who leave, or are slow; of a server
of weights that does not answer; and of a page that is told to end, or killed, while it works.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, mkdtemp
from typing import Annotated

import httpx
import numpy as np
import psutil
import typer
from gradio_client import Client, handle_file
from gradio_client.client import Job
from PIL import Image

from hpinet.errors import HPINetError
from hpinet.images import open_picture
from hpinet.plan import TargetSize, make_plan, run_plan
from hpinet.ui.jobs.models import SHELF, choice_of

ROOT = Path(__file__).parents[1]
SCALE = 2
SMALL, LARGE = (112, 74), (4000, 3000)
CALLERS = 8
LIMIT_SECONDS = 900.0
"""After so long, an answer counts as lost."""

PATIENCE_SECONDS = 60.0
"""For a sign of life: the machine may have other things to do, and plays every visitor too."""


@dataclass
class Row:
    """One line of the table. Whatever was attempted is right, refused or lost."""

    what: str
    right: int = 0
    refused: int = 0  # told so at once
    lost: int = 0  # wrong, or no answer at all
    worst: float = 0.0  # seconds until an answer
    notes: list[str] = field(default_factory=list)
    holds: bool = True

    def must(self, holds: bool, note: str) -> None:
        """Notes what was found, and whether it is as it must be."""
        self.holds &= holds
        self.notes.append(note if holds else f"**{note}**")

    def add(self, other: "Row") -> None:
        """Counts what another row has counted."""
        self.right += other.right
        self.refused += other.refused
        self.lost += other.lost
        self.worst = max(self.worst, other.worst)
        self.notes += other.notes

    def __str__(self) -> str:
        attempts = self.right + self.refused + self.lost
        notes = "; ".join(dict.fromkeys(self.notes))
        return (
            f"| {self.what} | {attempts} | {self.right} | {self.refused} | {self.lost} | {self.worst:.1f} s | {notes} |"
        )


@dataclass(frozen=True)
class Server:
    """A page under test."""

    address: str
    process: psutil.Popen
    downloads: Path

    def client(self) -> Client:
        """A visitor of its own, with a folder of its own: what is downloaded is named after what it holds."""
        folder = mkdtemp(dir=self.downloads)
        return Client(self.address, verbose=False, download_files=folder, httpx_kwargs={"timeout": PATIENCE_SECONDS})

    @property
    def jobs(self) -> tuple[int, int]:
        """(waiting, running), as the server tells."""
        told = httpx.get(f"{self.address}/healthz", timeout=60).json()
        return told["waiting"], told["running"]

    @property
    def megabytes(self) -> float:
        """Resident memory."""
        return self.process.memory_info().rss / 1e6

    def ended(self) -> float:
        """Tells the server to end; the seconds until it has."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        with suppress(psutil.TimeoutExpired):
            self.process.wait(60)
        return time.monotonic() - began


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[Server]:
    """The page in a process of its own, with caps that let one machine play many visitors."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "served"),
        "HPINET_JOBS_PER_ADDRESS": "40",
        "HPINET_CACHE": str(folder / "cache"),
        "HPINET_MAX_SECONDS": "100000",  # the machine may be busy with other things while it is gauged
    }
    log = (folder / "server.log").open("w")
    command = [sys.executable, "app.py"]
    process = psutil.Popen(command, cwd=ROOT, env={**os.environ, **told, **environment}, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        began = until(lambda: process.poll() is not None or _answers(address), LIMIT_SECONDS)
        if began == float("inf") or process.poll() is not None:
            raise SystemExit((folder / "server.log").read_text())
        yield Server(address, process, folder / "downloads")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        log.close()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/config", timeout=5).is_success
    except httpx.TransportError:
        return False


def until(true: Callable[[], bool], seconds: float) -> float:
    """Waits for something; the seconds that it took, infinite if it did not happen."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            return float("inf")
        time.sleep(0.05)
    return time.monotonic() - began


def call(client: Client, picture: Path) -> Job:
    """The job of enlarging a picture."""
    return client.submit(image=handle_file(picture), model="T", scale=SCALE, api_name="/upscale")


def drawn(folder: Path, name: str, size: tuple[int, int], seed: int) -> Path:
    """A picture of that size, another for each seed."""
    with Image.open(ROOT / "examples" / "cat.png") as image:
        turned = image.convert("RGB").rotate(17 * seed, expand=True).resize(size, Image.Resampling.BICUBIC)
    path = folder / name
    turned.save(path, quality=92, compress_level=1)
    return path


def by_library(picture: Path) -> np.ndarray:
    """What the package makes of a picture in this process."""
    source = open_picture(picture)
    plan = make_plan((source.width, source.height), TargetSize(scale=SCALE), natives=choice_of("T").natives)
    return run_plan(source, plan, SHELF.of("T")).colour


def four_large(server: Server, folder: Path) -> list[Job]:
    """The jobs of four visitors with a large picture each, once the server has them all."""
    large = drawn(folder, "large.jpg", LARGE, 0)
    jobs = [call(visitor, large) for visitor in [server.client() for _ in range(4)]]
    until(lambda: sum(server.jobs) == len(jobs), LIMIT_SECONDS)
    return jobs


# ------------------------------------------------------------------------------------------------------------- proofs


def small_beside_large(server: Server, folder: Path, short: bool) -> Row:
    """A small picture beside four large ones is done within three times its own time plus two seconds."""
    row = Row(f"{SMALL[0]}×{SMALL[1]} beside four of 12 MP, ×{SCALE} with T")
    small, truth = drawn(folder, "small.png", SMALL, 0), by_library(folder / "small.png")
    client = server.client()

    def timed() -> float:
        began = time.monotonic()
        try:
            result = call(client, small).result(LIMIT_SECONDS)
            is_right = np.array_equal(open_picture(Path(result)).colour, truth)
        except Exception as error:  # whatever it is, the answer is lost
            row.notes.append(f"{type(error).__name__}: {error}")
            is_right = False
        row.right += is_right
        row.lost += not is_right
        return time.monotonic() - began

    timed()  # the first one loads what it needs
    alone = median(timed() for _ in range(3))
    jobs = four_large(server, folder)
    row.worst = max(timed() for _ in range(3 if short else 10))
    row.must(sum(server.jobs) == len(jobs), "{} of these wait for room, {} under way".format(*server.jobs))
    row.must(row.worst <= 3 * alone + 2, f"alone {alone:.1f} s, allowed {3 * alone + 2:.1f} s")
    return row


def many_small(server: Server, folder: Path, short: bool) -> Row:
    """Many small pictures by several callers at once; memory in the last quarter."""
    count = 80 if short else 2000
    row = Row(f"{count} small pictures by {CALLERS} callers")
    pictures = [drawn(folder, f"{seed}.png", (24 + 3 * (seed % 7), 20 + 2 * (seed % 5)), seed) for seed in range(24)]
    truths = [by_library(picture) for picture in pictures]
    clients = [server.client() for _ in range(CALLERS)]
    grown: list[float] = []

    def one(number: int) -> tuple[bool, float]:
        began = time.monotonic()
        try:
            job = call(clients[number % CALLERS], pictures[number % len(pictures)])
            try:
                result = Path(job.result(LIMIT_SECONDS))
            except CancelledError:  # by nobody: the client's own stream ended just as the next job was sent
                row.notes.append("a client lost its stream and asked again")
                job = call(clients[number % CALLERS], pictures[number % len(pictures)])
                result = Path(job.result(LIMIT_SECONDS))
            is_right = np.array_equal(open_picture(result).colour, truths[number % len(pictures)])
            result.unlink()
        except Exception as error:  # whatever it is, the answer is lost
            row.notes.append(f"{type(error).__name__}: {error}")
            is_right = False
        return is_right, time.monotonic() - began

    with ThreadPoolExecutor(CALLERS) as pool:
        for quarter in range(4):
            for is_right, seconds in pool.map(one, range(quarter * count // 4, (quarter + 1) * count // 4)):
                row.right += is_right
                row.lost += not is_right
                row.worst = max(row.worst, seconds)
            grown.append(server.megabytes)
    told = " → ".join(f"{megabytes:.0f}" for megabytes in grown)
    row.must(count < 2000 or grown[3] - grown[2] < 20, f"{told} MB after each quarter")
    row.notes.append(f"{server.process.num_threads()} threads, {server.process.num_fds()} handles")
    return row


def cancelled(server: Server, folder: Path, short: bool) -> Row:
    """A large job that is cancelled stops within a second, waiting or under way, and no other of its client does."""
    row = Row("one of two of 12 MP of one client cancelled, then the other")
    large = drawn(folder, "large.jpg", LARGE, 0)
    client = server.client()
    for _ in range(2 if short else 5):
        jobs = [call(client, large) for _ in range(2)]
        until(lambda: sum(server.jobs) == 2, LIMIT_SECONDS)
        for left, job in ((1, jobs[1]), (0, jobs[0])):
            time.sleep(2)
            job.cancel()
            seconds = until(lambda left=left: sum(server.jobs) == left, 60)
            time.sleep(1)
            is_right = sum(server.jobs) == left
            row.right += is_right
            row.lost += not is_right
            row.worst = max(row.worst, seconds)
    row.must(row.worst <= 1, f"stopped after {row.worst:.1f} s at most")
    return row


def hundred(server: Server, folder: Path, short: bool) -> Row:
    """A hundred callers with pictures of all sizes: everybody gets the library's answer, or is told that it is full."""
    count, seconds = (20, 20) if short else (100, 300)
    row = Row(f"{count} callers for {seconds} s, 20×20 to 400×300")
    sizes = ((20, 20), (60, 40), (112, 74), (200, 150), (400, 300))
    pictures = [drawn(folder, f"{seed}.png", sizes[seed % len(sizes)], seed) for seed in range(20)]
    truths = [by_library(picture) for picture in pictures]
    until_when = time.monotonic() + seconds

    def caller(number: int) -> Row:
        mine, client = Row(row.what), server.client()  # a row of its own: sums of many at once would lose some
        while time.monotonic() < until_when:
            which, began = number % len(pictures), time.monotonic()
            try:
                result = Path(call(client, pictures[which]).result(LIMIT_SECONDS))
                is_right = np.array_equal(open_picture(result).colour, truths[which])
                mine.right += is_right
                mine.lost += not is_right
                result.unlink()
                mine.worst = max(mine.worst, time.monotonic() - began)
            except Exception as error:
                _judge(mine, error, "queue is full", "as many jobs here", "Too many people")
                time.sleep(1)
            number += 7
        return mine

    with ThreadPoolExecutor(count) as pool:
        for mine in pool.map(caller, range(count)):
            row.add(mine)
    row.must(row.right > count, f"{row.right / seconds:.1f} pictures a second")
    return row


def _judge(row: Row, error: Exception, *words: str) -> None:
    """Counts an error as a proper refusal if it has one of these words, else as lost."""
    told = f"{type(error).__name__}: {error}".partition("\n")[0][:110]
    refused = any(each in told for each in words)
    row.refused += refused
    row.lost += not refused
    row.notes.append(told if refused else f"**{told}**")


def memory_refused(server: Server, folder: Path, short: bool) -> Row:  # noqa: ARG001
    """A server that gets no more memory refuses what needs it, and goes on with what does not."""
    row = Row("memory refused: 12 MP, then a small one")
    small, truth = drawn(folder, "small.png", SMALL, 0), by_library(folder / "small.png")
    client = server.client()
    call(client, small).result(LIMIT_SECONDS)  # whatever is loaded once
    before = server.process.rlimit(psutil.RLIMIT_AS)
    server.process.rlimit(psutil.RLIMIT_AS, (server.process.memory_info().vms + 400 * 2**20, before[1]))
    try:
        call(client, drawn(folder, "large.jpg", LARGE, 0)).result(LIMIT_SECONDS)
        row.lost += 1
    except Exception as error:
        _judge(row, error, "not enough memory")
    _works(row, client, small, truth)
    return row


def _works(row: Row, client: Client, picture: Path, truth: np.ndarray) -> None:
    """The next picture is enlarged as if nothing had been."""
    began = time.monotonic()
    try:
        is_right = np.array_equal(open_picture(Path(call(client, picture).result(LIMIT_SECONDS))).colour, truth)
    except Exception as error:  # whatever it is, the answer is lost
        row.notes.append(f"**{type(error).__name__}: {error}**")
        is_right = False
    row.right += is_right
    row.lost += not is_right
    row.worst = max(row.worst, time.monotonic() - began)


def disk_full(server: Server, folder: Path, short: bool) -> Row:  # noqa: ARG001
    """A disk of 8 MB: results and uploads that do not fit are refused, and small ones work afterwards."""
    row = Row("disk full: a result, an upload, then a small picture")
    small, truth = drawn(folder, "small.png", SMALL, 0), by_library(folder / "small.png")
    noise = folder / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), np.uint8)).save(noise, compress_level=1)
    Image.open(noise).save(folder / "noise.jpg", quality=60)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (2000, 3000, 3), np.uint8)).save(folder / "large.png")
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder / "served")]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        row.notes.append("not tried: mounting a small disk needs more rights")
        return row
    try:
        client = server.client()
        for each in ("noise.jpg", "large.png"):
            try:
                call(client, folder / each).result(LIMIT_SECONDS)
                row.lost += 1
            except Exception as error:
                _judge(row, error, "disk is full", "507")
        time.sleep(4)
        _works(row, client, small, truth)
        left = [path for path in (folder / "served").rglob("*") if path.is_file() and path.stat().st_size > 2**21]
        row.must(not left, f"torn files left: {[path.name for path in left]}" if left else "no torn file left")
    finally:
        subprocess.run(["umount", "-l", str(folder / "served")], check=False)
    return row


def leaving(server: Server, folder: Path, short: bool) -> Row:  # noqa: ARG001
    """Visitors who are gone while they upload, wait, compute and download, and one who uploads a byte at a time."""
    row = Row("visitors gone while uploading, waiting, computing, downloading; a slow one")
    small, truth = drawn(folder, "small.png", SMALL, 0), by_library(folder / "small.png")
    large = drawn(folder, "large.jpg", LARGE, 0)
    client, address = server.client(), server.address
    with _half_an_upload(address):
        pass
    with _half_an_upload(address) as slow:
        with subprocess.Popen([sys.executable, "-c", _VISITOR, address, str(large)]) as visitor:
            until(lambda: sum(server.jobs) == 2, LIMIT_SECONDS)
            time.sleep(1)
            slow.sendall(b"x")
            visitor.kill()
        seconds = until(lambda: sum(server.jobs) == 0, 60)
        row.must(seconds < 10, f"their work ended after {seconds:.1f} s")
        slow.sendall(b"x")
        undownloaded = Client(address, verbose=False, download_files=False)
        told = call(undownloaded, small).result(LIMIT_SECONDS)
        with httpx.stream("GET", f"{address}/gradio_api/file={told['path']}") as download:
            row.must(len(next(download.iter_raw(16))) == 16, "a download cut off")
        slow.sendall(b"x")
        _works(row, client, small, truth)
    return row


_VISITOR = """
import sys
from gradio_client import Client, handle_file
client = Client(sys.argv[1], verbose=False)
jobs = [client.submit(image=handle_file(sys.argv[2]), scale=2, api_name="/upscale") for _ in range(2)]
jobs[0].result()
"""
"""Somebody who asks for two pictures and is gone before they are done."""


@contextmanager
def _half_an_upload(address: str) -> Iterator[socket.socket]:
    """A connection that has begun an upload; it is cut off in the end."""
    host, port = address.removeprefix("http://").split(":")
    head = (
        f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + b"x" * 1000)
        yield connection


def silent_weights(server: Server, folder: Path, short: bool) -> Row:  # noqa: ARG001
    """Weights of a server that never answers: whoever asks for them is told, and everybody else is served meanwhile."""
    row = Row("a server of weights that does not answer")
    small, truth = drawn(folder, "small.png", SMALL, 0), by_library(folder / "small.png")
    client, began = server.client(), time.monotonic()
    job = client.submit(image=handle_file(small), model="M", scale=2, api_name="/upscale")
    time.sleep(2)
    _works(row, server.client(), small, truth)
    row.must(not job.done(), "others are served meanwhile")
    try:
        job.result(LIMIT_SECONDS)
        row.lost += 1
    except Exception as error:
        _judge(row, error, "could not be fetched")
    row.worst = time.monotonic() - began
    return row


def ending(server: Server, folder: Path, short: bool) -> Row:  # noqa: ARG001
    """Told to end while jobs run and wait, each caller is told, the server is gone in ten seconds, no file is torn."""
    row = Row("SIGTERM with four of 12 MP, under way and waiting")
    jobs = four_large(server, folder)
    row.must(min(server.jobs) > 0, "{} waited for room, {} were under way".format(*server.jobs))
    seconds = server.ended()
    row.must(seconds < 10, f"gone after {seconds:.1f} s")
    began = time.monotonic()
    for job in jobs:
        try:
            job.result(30)
            row.lost += 1
        except Exception as error:
            _judge(row, error, "being restarted")
    row.worst = seconds + time.monotonic() - began
    torn = [path.name for root in ("served", "cache") for path in (folder / root).rglob("*.part")]
    torn += [path.name for path in (folder / "served").rglob("result*") if path.is_file() and not _opens(path)]
    row.must(not torn, f"torn files left: {torn}" if torn else "no torn file left")
    return row


def killed(server: Server, folder: Path, short: bool) -> Row:  # noqa: ARG001
    """Killed while it works, and started again in the same folders, it serves as if nothing had been."""
    row = Row("kill -9 with four of 12 MP, then started again")
    small, truth = drawn(folder, "small.png", SMALL, 0), by_library(folder / "small.png")
    jobs = four_large(server, folder)
    server.process.kill()
    server.process.wait()
    began = time.monotonic()
    for job in jobs:
        try:
            job.result(60)
            row.lost += 1
        except TimeoutError:
            row.lost += 1
        except Exception:  # in words of the client's, since nobody is there to say anything
            row.refused += 1
    row.worst = time.monotonic() - began
    row.notes.append("callers hear of a lost connection")
    with serving(folder) as again:
        _works(row, again.client(), small, truth)
        row.must(again.jobs == (0, 0), "nothing of it is left to do")
    return row


def _opens(path: Path) -> bool:
    try:
        open_picture(path)
    except HPINetError:
        return False
    return True


PROOFS: dict[str, Callable[[Server, Path, bool], Row]] = {
    "memory": many_small,
    "hundred": hundred,
    "cancel": cancelled,
    "fair": small_beside_large,
    "refused": memory_refused,
    "disk": disk_full,
    "leaving": leaving,
    "weights": silent_weights,
    "end": ending,
    "killed": killed,
}


def main(
    *,
    short: Annotated[bool, typer.Option("--short", help="A few minutes, for the tests.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"Only this proof; repeat. {', '.join(PROOFS)}.")] = None,
) -> None:
    """Print the table; exit 1 if anything does not hold."""
    rows = []
    print("| what | attempts | right | refused | lost | worst wait | |")
    print("|---|---:|---:|---:|---:|---:|---|", flush=True)
    for name, proof in PROOFS.items():
        if only and name not in only:
            continue
        with TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "downloads").mkdir()
            with socket.create_server(("127.0.0.1", 0)) as silent:  # which never answers
                silence = f"http://127.0.0.1:{silent.getsockname()[1]}"
                with serving(folder, HPINET_AUTHORS_URL=silence) as server:
                    rows.append(proof(server, folder, short))
        print(rows[-1], flush=True)
    raise typer.Exit(0 if all(row.holds and not row.lost for row in rows) else 1)


if __name__ == "__main__":
    typer.run(main)
