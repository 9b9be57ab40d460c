"""Archives on a cluster of two raylets."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from hpinet.cluster.manifest import NAME, Line, Manifest, written
from hpinet.cluster.places import Place
from scripts.prove_cluster import until

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.cluster


def command(source: str, results: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "hpinet", "upscale", source, "--output", results, "--scale", "2", *options]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def results_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def lines(folder: Path) -> dict[str, Line]:
    return {line.source: line for line in Manifest(Place.of(str(folder))).lines()}


def test_results_and_names_are_the_local_command_s(cluster: Any, scans: Path, tmp_path: Path) -> None:
    """A damaged picture and one that is too large are lines; started again, only they are tried."""
    Image.fromarray(np.zeros((1500, 2000, 3), np.uint8)).save(scans / "large.png")
    local, there = tmp_path / "local", tmp_path / "there"
    options = ("--cluster", cluster.address, "--worker-memory", "800", "--workers", "1")
    done = run(f"file://{scans}", str(there), *options)
    (scans / "large.png").rename(tmp_path / "large.png")
    assert run(str(scans), str(local)).returncode == 2  # the damaged one
    assert results_in(there) == results_in(local)
    assert set(results_in(there)) == {"a-png.png", "a-jpg.png", "deep/b.png"}
    assert done.returncode == 2
    assert "large.png: This takes" in done.stderr
    assert "deep/torn.png: This is not a picture" in done.stderr
    assert "3 enlarged, 2 failed, 1 skipped (not a picture: notes.txt)" in done.stderr
    assert done.stdout.count("\n") == 3
    told = lines(there)
    assert {name: line.outcome for name, line in told.items()} == {
        "a.png": "done",
        "a.jpg": "done",
        "deep/b.png": "done",
        "deep/torn.png": "failed",
        "large.png": "refused",
    }
    assert told["a.png"].target == "a-png.png"
    assert not list(there.rglob(".manifest/*"))
    made = {path: path.stat().st_mtime_ns for path in there.rglob("*.png")}

    (there / "a-jpg.png").unlink()  # what is gone is made again
    replaced = scans / "deep" / "b.png"
    replaced.write_bytes(replaced.read_bytes())  # so is what another has replaced, of the same size even
    again = run(str(scans), str(there), *options)
    assert "2 enlarged, 1 failed" in again.stderr
    assert "1 skipped (done already: a.png)" in again.stderr.replace("done already: a.png, …", "done already: a.png")
    assert made[there / "a-png.png"] == (there / "a-png.png").stat().st_mtime_ns
    assert len(lines(there)) == 5


def test_headers_are_looked_at_within_the_limits_of_this_machine(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Larger ones here than the machines of the cluster have."""
    (tmp_path / "scans").mkdir()
    Image.new("1", (8000, 7000)).save(tmp_path / "scans" / "large.png")
    monkeypatch.setenv("HPINET_MAX_MEGAPIXELS", "60")
    options = ("--cluster", cluster.address, "--worker-memory", "800", "--workers", "1")
    told = run(str(tmp_path / "scans"), str(tmp_path / "there"), *options).stderr
    assert "large.png: This takes" in told


def test_a_name_that_is_no_utf_8_is_a_name_like_others(cluster: Any, scans: Path, tmp_path: Path) -> None:
    name, there = os.fsdecode("Müller.png".encode("latin-1")), tmp_path / "there"
    (scans / "a.png").rename(scans / name)
    (scans / "deep" / "torn.png").unlink()
    arguments = str(scans), str(there), "--cluster", cluster.address
    done = run(*arguments)
    assert "3 enlarged, 1 skipped" in done.stderr
    assert done.returncode == 0
    assert r"M\udcfcller.png  24×20, " in done.stdout
    assert "Traceback" not in done.stderr
    assert set(results_in(there)) == {name, "a.png", "deep/b.png"}
    assert lines(there)[written(name)].outcome == "done"
    assert "0 enlarged" in run(*arguments).stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_goes_on(cluster: Any, tmp_path: Path, number: signal.Signals) -> None:
    source, there = tmp_path / "source", tmp_path / "source" / "large"  # what lies in the output is no input
    source.mkdir()
    chance = np.random.default_rng(0)
    for count in range(60):
        Image.fromarray(chance.integers(0, 256, (40, 40, 3), np.uint8)).save(source / f"{count:02}.png")
    arguments = str(source), str(there), "--cluster", cluster.address
    with subprocess.Popen(command(*arguments), cwd=ROOT, stderr=subprocess.PIPE, text=True) as driver:
        assert until(lambda: len(list(there.glob("*.png"))) >= 5, 200)
        driver.send_signal(number)
        told = driver.communicate(timeout=60)[1]
    assert driver.returncode == 130
    assert "Stopped; the same command goes on from here." in told
    assert "Traceback" not in told
    assert (there / NAME).is_file()
    before = len(lines(there))
    assert 0 < before < 60
    again = run(*arguments)
    assert again.returncode == 0
    assert f"{60 - before} enlarged" in again.stderr
    assert len(results_in(there)) == len(lines(there)) == 60


@pytest.mark.parametrize(
    ("source", "results", "words"),
    [
        ("empty", "there", "There are no pictures in"),
        ("nowhere", "there", "There is no folder nowhere."),
        ("empty", "empty", "choose another output"),
        ("empty", "hf://datasets/a/b", "Results cannot be written to hf:// addresses"),
    ],
)
def test_what_cannot_be_is_said(cluster: Any, tmp_path: Path, source: str, results: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    there = [str(tmp_path / name) if name in ("empty", "there") else name for name in (source, results)]
    done = run(*there, "--cluster", cluster.address)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_no_cluster_is_said(ray_is_here: None, scans: Path, tmp_path: Path) -> None:
    done = run(str(scans), str(tmp_path / "there"), "--cluster", "127.0.0.1:1")
    assert done.returncode == 2
    assert "There is no Ray cluster at 127.0.0.1:1: Connection refused." in done.stderr


@contextmanager
def serving(scans: Path, handler: type[SimpleHTTPRequestHandler]) -> Iterator[str]:
    """Address of a server with pictures."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(scans.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{scans.name}"
    server.shutdown()


@pytest.fixture(params=["MapWorker", "ray::_look"])
def deadly(request: pytest.FixtureRequest, scans: Path) -> Iterator[str]:
    """Address of a server with pictures, one of which ends every worker that asks for it: to enlarge it, or already to
    look at its header.
    """

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("b.png"):
                for each in psutil.process_iter(["cmdline"]):
                    if request.param in " ".join(each.info["cmdline"] or []) and self._is_from(each):
                        each.kill()
            super().do_GET()

        def _is_from(self, process: psutil.Process) -> bool:
            with suppress(psutil.Error):
                return any(each.laddr == self.client_address for each in process.net_connections())
            return False

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(scans, Handler) as address:
        yield address


def test_a_picture_that_ends_every_worker_is_a_line(cluster: Any, deadly: str, tmp_path: Path) -> None:
    """And an address is a source like any other."""
    there = tmp_path / "there"
    done = run(deadly, str(there), "--cluster", cluster.address)
    assert done.returncode == 2
    assert "deep/b.png: Its worker ended each time" in done.stderr
    assert "2 enlarged, 2 failed" in done.stderr
    assert lines(there)["deep/b.png"].outcome == "failed"
    assert set(results_in(there)) == {"a-png.png", "a-jpg.png"}


def test_what_a_server_does_not_give_is_a_line(cluster: Any, scans: Path, tmp_path: Path) -> None:
    """A folder, and a picture that breaks off."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.rstrip("/").endswith("deep"):
                self.send_error(403)
            elif self.path.endswith("a.jpg"):
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"no more")
            else:
                super().do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(scans, Handler) as address:
        done = run(address, str(tmp_path / "there"), "--cluster", cluster.address)
    assert done.returncode == 2
    assert f"Error: {address}/deep: 403, message='Forbidden'" in done.stderr
    assert "Error: a.jpg: ClientPayloadError: " in done.stderr
    assert "1 enlarged, 2 failed" in done.stderr
    assert set(results_in(tmp_path / "there")) == {"a-png.png"}
    assert set(lines(tmp_path / "there")) == {"a.png", "a.jpg"}
