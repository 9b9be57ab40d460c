"""What a public page must hold, against a server of its own: prints a table, and fails where something does not hold.

    python -m scripts.prove_trust [--short]

A small picture beside four of 12 megapixels; jobs that are cancelled while they wait and while they run; many small
pictures by callers at once, every answer compared with the library's, and what the server's memory does meanwhile; and
a server that is told to end while it works.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import httpx
import numpy as np
import psutil
import typer
from gradio_client import Client, handle_file
from gradio_client.client import Job
from PIL import Image

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
        """A visitor of its own."""
        return Client(
            self.address, verbose=False, download_files=str(self.downloads), httpx_kwargs={"timeout": PATIENCE_SECONDS}
        )

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


# ------------------------------------------------------------------------------------------------------------- proofs


def small_beside_large(server: Server, folder: Path, tries: int) -> Row:
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
    large = drawn(folder, "large.jpg", LARGE, 0)
    visitors = [server.client() for _ in range(4)]
    jobs = [call(visitor, large) for visitor in visitors]  # of four visitors
    until(lambda: sum(server.jobs) == len(jobs), LIMIT_SECONDS)
    row.worst = max(timed() for _ in range(tries))
    row.must(sum(server.jobs) == len(jobs), "{} of these wait for room, {} under way".format(*server.jobs))
    row.must(row.worst <= 3 * alone + 2, f"alone {alone:.1f} s, allowed {3 * alone + 2:.1f} s")
    return row


def many_small(server: Server, folder: Path, count: int) -> Row:
    """Many small pictures by several callers at once; memory in the last quarter."""
    row = Row(f"{count} small pictures by {CALLERS} callers")
    pictures = [drawn(folder, f"{seed}.png", (24 + 3 * (seed % 7), 20 + 2 * (seed % 5)), seed) for seed in range(24)]
    truths = [by_library(picture) for picture in pictures]
    clients = [server.client() for _ in range(CALLERS)]
    grown: list[float] = []

    def one(number: int) -> tuple[bool, float]:
        began = time.monotonic()
        try:
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


def cancelled(server: Server, folder: Path, tries: int) -> Row:
    """A large job that is cancelled stops within a second, waiting or under way, and no other of its client does."""
    row = Row("one of two of 12 MP of one client cancelled, then the other")
    large = drawn(folder, "large.jpg", LARGE, 0)
    client = server.client()
    for _ in range(tries):
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


def ending(server: Server, folder: Path) -> Row:
    """Told to end while it works, the server is gone within ten seconds, and no caller waits on."""
    row = Row("SIGTERM with two of 12 MP under way")
    large = drawn(folder, "large.jpg", LARGE, 0)
    jobs = [call(server.client(), large) for _ in range(2)]
    until(lambda: sum(server.jobs) == len(jobs), LIMIT_SECONDS)
    row.worst = server.ended()
    row.must(row.worst < 10, f"gone after {row.worst:.1f} s")
    for job in jobs:
        try:
            job.result(30)
        except Exception as error:
            row.refused += not isinstance(error, TimeoutError)
            row.lost += isinstance(error, TimeoutError)
            row.notes.append(f"callers see {type(error).__name__}: {str(error)[:60]}")
    return row


def main(short: Annotated[bool, typer.Option(help="A few minutes, for the tests.")] = False) -> None:
    """Print the table; exit 1 if anything does not hold."""
    rows = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "downloads").mkdir()
        print("| what | attempts | right | refused | lost | worst wait | |")
        print("|---|---:|---:|---:|---:|---:|---|", flush=True)
        with serving(folder) as server:
            rows.append(many_small(server, folder, 80 if short else 2000))
            print(rows[-1], flush=True)
            rows.append(cancelled(server, folder, 2 if short else 5))
            print(rows[-1], flush=True)
            rows.append(small_beside_large(server, folder, 3 if short else 10))
            print(rows[-1], flush=True)
        with serving(folder) as server:
            rows.append(ending(server, folder))
            print(rows[-1], flush=True)
    raise typer.Exit(0 if all(row.holds and not row.lost for row in rows) else 1)


if __name__ == "__main__":
    typer.run(main)
