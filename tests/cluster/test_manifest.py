"""What is kept of each picture, on disks and behind addresses."""

from dataclasses import replace
from pathlib import Path

import pytest

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
