"""What an archive's run finds to be done, without a cluster."""

import os
import time
from pathlib import Path

import pytest
import typer

from hpinet.cluster.archive import Picture, Summary, _look, _wanted
from hpinet.cluster.cli import _summarise
from hpinet.cluster.manifest import Line, Manifest
from hpinet.cluster.order import Order
from hpinet.cluster.places import Place
from hpinet.errors import OptionError
from hpinet.files import DONE, OUTPUT, Failure
from hpinet.plan import TargetSize
from hpinet.terminal import FAILED

from .conftest import Lock

ORDER = Order.of("T", TargetSize(scale=2), engine="torch", treatment="clean")


def wanted(source: Place, results: Place) -> tuple[list[Picture], Summary]:
    summary = Summary()
    return list(_wanted(ORDER, source, results, Manifest(results), summary)), summary


@pytest.mark.parametrize("name", ["deep", ""])
def test_a_folder_that_cannot_be_listed_is_a_failure(
    scans: Path, tmp_path: Path, lock: Lock, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, results = Place.of(str(scans)), Place.of(str(tmp_path / "results"))
    lock(source, name, PermissionError(13, "Permission denied"))
    pictures, summary = wanted(source, results)
    assert [picture.name for picture in pictures] == ([] if name == "" else ["a.jpg", "a.png"])
    path = f"{scans}/{name}".rstrip("/")
    assert summary.locked == [Failure(path, "Permission denied.")]
    with pytest.raises(typer.Exit) as ended:
        _summarise(summary)
    assert ended.value.exit_code == FAILED
    told = capsys.readouterr().err
    assert f"Error: {path}: Permission denied.\n" in told
    assert "0 enlarged, 1 failed" in told


def test_results_that_cannot_be_seen_are_made_again(scans: Path, lock: Lock) -> None:
    source, results = Place.of(str(scans)), Place.of("memory:///locked-results")
    results.write("deep/b.png", b"1")
    lock(results, "deep", RuntimeError("502"))
    pictures, summary = wanted(source, results)
    assert "deep/b.png" in [picture.name for picture in pictures]
    assert not summary.locked  # nothing that was asked for


def test_a_folder_without_pictures_is_said(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="There are no pictures"):
        wanted(Place.of(str(tmp_path)), Place.of(str(tmp_path / "results")))


def test_what_lies_in_the_output_is_no_input(scans: Path) -> None:
    pictures, summary = wanted(Place.of(str(scans)), Place.of(str(scans / "deep")))
    assert [picture.name for picture in pictures] == ["a.jpg", "a.png"]
    assert summary.skipped[OUTPUT] == ["deep/b.png", "deep/c_x2_hpinet-t.png", "deep/torn.png"]


def test_what_is_done_is_known_again_whatever_its_name(tmp_path: Path) -> None:
    source, results = tmp_path / "source", tmp_path / "results"
    name = os.fsdecode("Müller.png".encode("latin-1"))
    for folder in (source, results):
        folder.mkdir()
        (folder / name).write_bytes(b"123")
    manifest = Manifest(Place.of(str(results)))
    manifest.add(Line(name, "", 3, 1, 1, name, "hpinet-t-x2", "clean", ORDER.fingerprint(), 0.5, "done"))
    manifest.compact()
    pictures, summary = wanted(Place.of(str(source)), Place.of(str(results)))
    assert not pictures
    assert summary.skipped == {DONE: [name]}


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_what_another_of_the_same_size_has_replaced_is_made_again(tmp_path: Path, kind: str) -> None:
    """Such as a scan made anew, without compression."""
    source = Place.of(str(tmp_path / "source") if kind == "folder" else f"memory://{tmp_path}/source")
    results = Place.of(str(tmp_path / "results"))
    for name in ("a.png", "b.png", "old.png"):
        source.write(name, b"123")
        results.write(name, b"123")
    manifest = Manifest(results)
    stamps = {file.name: file.stamp for file in source.files()} | {"old.png": ""}  # a version that kept none made it
    for name, stamp in stamps.items():
        line = Line(name, "", 3, 1, 1, name, "hpinet-t-x2", "clean", ORDER.fingerprint(), 0.5, "done", stamp=stamp)
        manifest.add(line)
    manifest.compact()
    time.sleep(0.02)  # clocks of file systems are no finer than a tick of the kernel's
    source.write("a.png", b"456")
    pictures, summary = wanted(source, results)
    assert [(picture.name, bool(picture.stamp)) for picture in pictures] == [("a.png", True)]
    assert summary.skipped == {DONE: ["b.png", "old.png"]}


def test_a_header_that_a_network_does_not_give_is_a_line(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any error, such as those of aiohttp, which are neither ours nor the system's."""
    read = Place.read

    def fetched(self: Place, name: str, *, most: int | None = None) -> bytes:
        if name == "a.png":
            raise EOFError("502, message='Bad Gateway'")
        return read(self, name, most=most)

    monkeypatch.setattr(Place, "read", fetched)
    pictures = [Picture(name, name, 1) for name in ("a.png", "a.jpg", "deep/torn.png", "gone.png")]
    seen = dict(_look(ORDER, Place.of(str(scans)), pictures, 2000, 1_000_000))
    told = {picture.name: line and (line.outcome, line.error.partition(" ")[0]) for picture, line in seen.items()}
    assert told == {
        "a.png": ("failed", "EOFError:"),
        "a.jpg": None,
        "deep/torn.png": ("failed", "This"),
        "gone.png": ("failed", "FileNotFoundError:"),
    }


def test_what_a_worker_has_no_memory_for_is_refused(scans: Path) -> None:
    ((_, line),) = _look(ORDER, Place.of(str(scans)), [Picture("a.png", "a.png", 1)], 600, 1_000_000)
    assert line is not None
    assert line.outcome == "refused"
