"""What is kept of each picture, on disks and behind addresses."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hpinet.cluster import manifest as manifest_module
from hpinet.cluster.archive import _close
from hpinet.cluster.connection import ClusterError
from hpinet.cluster.manifest import NAME, PARTS, Line, Manifest, _encoded, _table, written
from hpinet.cluster.places import Place

from .conftest import Lock

LATIN = "M\udcfcller.png"  # as a name in Latin-1 is listed


def line(source: str, error: str = "") -> Line:
    return Line(source, "", 1, 2, 3, source, "hpinet-t-x2", "auto", "0", 0.5, "failed" if error else "done", error)


def test_names_that_are_no_utf_8_are_lines_like_others(tmp_path: Path) -> None:
    manifest = Manifest(Place.of(str(tmp_path)))
    for each in (line("Müller.png"), line(LATIN), line(f"deep/{LATIN}", f"nothing like {LATIN}")):
        manifest.add(each)
    manifest.compact()
    told = {each.source: each for each in manifest.lines()}
    assert set(told) == {"Müller.png", r"M\udcfcller.png", r"deep/M\udcfcller.png"}
    assert told[r"deep/M\udcfcller.png"].error == r"nothing like M\udcfcller.png"
    assert manifest.done("0") == {name: (1, "", name) for name in ("Müller.png", written(LATIN))}


def test_a_manifest_without_stamps_is_one(tmp_path: Path) -> None:
    """As those of earlier versions are."""
    place = Place.of(str(tmp_path))
    place.write(NAME, _encoded(_table([line("a.png")]).drop_columns("stamp")))
    manifest = Manifest(place)
    assert manifest.done("0") == {"a.png": (1, "", "a.png")}
    manifest.add(replace(line("b.png"), stamp="7"))
    manifest.compact()
    assert [(each.source, each.stamp) for each in manifest.lines()] == [("a.png", ""), ("b.png", "7")]


@pytest.mark.parametrize("kind", ["empty", "text", "cut off", "another table", "another type"])
def test_what_is_no_manifest_is_said(tmp_path: Path, kind: str) -> None:
    """Before any work, and not as one that cannot be written."""
    table = _table([line("a.png")])
    data = {
        "empty": b"",
        "text": b"no manifest",
        "cut off": _encoded(table)[40:],
        "another table": _encoded(table.drop_columns("order")),
        "another type": _encoded(table.drop_columns("bytes").append_column("bytes", table["source"])),
    }
    place = Place.of(str(tmp_path))
    place.write(NAME, data[kind])
    manifest = Manifest(place)
    words = f"{tmp_path}/{NAME} is damaged or no manifest: move it away"
    for read in (lambda: manifest.done("0"), lambda: _close(manifest)):
        with pytest.raises(ClusterError, match=re.escape(words)):
            read()


@pytest.mark.parametrize("address", ["folder", "memory"])
@pytest.mark.parametrize("moment", ["_table_in", "_encoded"])
def test_two_runs_into_one_folder_lose_no_lines(
    tmp_path: Path, address: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the other ends while this one has seen its own lines alone, or has read them."""
    place = Place.of(str(tmp_path) if address == "folder" else f"memory://{tmp_path}")
    one, other = Manifest(place), Manifest(place)
    one.add(line("a.png"))
    one.flush()
    then = getattr(manifest_module, moment)

    def meanwhile(*arguments: object) -> object:
        monkeypatch.undo()
        other.add(line("b.png"))
        other.compact()
        return then(*arguments)

    monkeypatch.setattr(manifest_module, moment, meanwhile)
    one.compact()
    assert [each.source for each in Manifest(place).lines()] == ["a.png", "b.png"]
    assert not list(place.below(PARTS).files())


def test_lines_wait_while_a_network_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place.of("memory:///waiting")
    manifest = Manifest(place)
    monkeypatch.setattr("hpinet.cluster.manifest.FLUSH_LINES", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Place, "write", failing)
        manifest.add(line("a.png"))
        with pytest.raises(ClusterError, match=r"cannot be written: 502\. Start again"):
            _close(manifest)
    manifest.add(line("b.png"))
    _close(manifest)
    assert [each.source for each in Manifest(place).lines()] == ["a.png", "b.png"]


def failing(*_: object) -> None:
    raise RuntimeError("502")


def test_parts_that_cannot_be_listed_are_not_taken_for_none(lock: Lock) -> None:
    """Everything in them would be made again."""
    place = Place.of("memory:///unseen")
    manifest = Manifest(place)
    manifest.add(line("a.png"))
    manifest.flush()
    lock(place, PARTS, PermissionError(13, "Permission denied"))
    with pytest.raises(PermissionError):
        manifest.done("0")
