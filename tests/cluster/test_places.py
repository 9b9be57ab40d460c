"""Folders on disks and behind addresses."""

import time
from pathlib import Path, PureWindowsPath
from unittest.mock import Mock

import fsspec
import pytest

from hpinet.cluster import places
from hpinet.cluster.archive import check_target
from hpinet.cluster.places import File, Place
from hpinet.errors import OptionError
from hpinet.files import Failure

from .conftest import Lock


@pytest.fixture(params=["folder", "file", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Place.of(str(tmp_path))
    return Place.of(f"file://{tmp_path}" if request.param == "file" else f"memory://{tmp_path}")


def test_what_is_written_is_listed_and_read(place: Place) -> None:
    assert not list(place.files())
    place.write("deep/er/a.bin", b"12345")
    place.write("b.bin", b"1")
    place.write("b.bin", b"12")
    assert sorted((file.name, file.bytes) for file in place.files()) == [("b.bin", 2), ("deep/er/a.bin", 5)]
    assert place.read("deep/er/a.bin") == b"12345"
    assert place.read("deep/er/a.bin", most=3) == b"123"
    assert place.below("deep").exists()
    assert not place.below("other").exists()
    place.delete("b.bin")
    assert [file.name for file in place.files()] == ["deep/er/a.bin"]


def test_another_file_of_the_same_size_has_another_stamp(place: Place) -> None:
    stamps = set[str]()
    for data in (b"1", b"2"):
        place.write("a.bin", data)
        stamps |= {file.stamp for file in place.files()}
        time.sleep(0.02)  # clocks of file systems are no finer than a tick of the kernel's
    assert len(stamps - {""}) == 2


@pytest.mark.parametrize("tag", ["ETag", "etag", "LastModified"])
def test_a_stamp_is_the_tag_of_a_bucket(tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [{"name": "/tagged/a.bin", "size": 1, "type": "file", "created": 5, tag: "7"}]
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "ls", lambda *_, **__: listed)
    assert list(Place.of("memory:///tagged").files()) == [File("a.bin", 1, "7")]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied."),
        (RuntimeError("502 at last\nmore"), "502 at last."),
    ],
)
def test_a_folder_that_cannot_be_listed_is_told(place: Place, lock: Lock, error: Exception, words: str) -> None:
    """However deep it is. What is beside it is listed."""
    for name in ("a.bin", "deep/b.bin", "deep/er/c.bin", "deep/est/d.bin"):
        place.write(name, b"1")
    lock(place, "deep/er", error)
    heard: list[Failure] = []
    assert [file.name for file in place.files(heard.append)] == ["a.bin", "deep/b.bin", "deep/est/d.bin"]
    assert heard == [Failure(f"{place.address}/deep/er", words)]
    with pytest.raises(type(error)):
        list(place.files())
    place.tidy()  # which leaves alone what it cannot see


def test_the_folder_itself_may_be_the_one(place: Place, lock: Lock) -> None:
    place.write("a.bin", b"1")
    lock(place, "", PermissionError(13, "Permission denied"))
    heard: list[Failure] = []
    assert not list(place.files(heard.append))
    assert heard == [Failure(place.address, "Permission denied.")]


def test_files_are_listed_folder_by_folder(place: Place) -> None:
    for name in ("b/c/1.bin", "b/1.bin", "a/2.bin", "b/0.bin", "a/1.bin", "0.bin"):
        place.write(name, b"1")
    expected = ["0.bin", "a/1.bin", "a/2.bin", "b/0.bin", "b/1.bin", "b/c/1.bin"]
    assert [file.name for file in place.files()] == expected


def test_an_object_that_stands_for_its_folder_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place.of("memory:///marked")
    place.write("a.bin", b"1")
    system = fsspec.filesystem("memory")
    listed = [{"name": "/marked/", "size": 0, "type": "file"}, *system.ls("/marked", detail=True)]
    monkeypatch.setattr(type(system), "ls", lambda *_, **__: listed)
    assert [(file.name, file.bytes) for file in place.files()] == [("a.bin", 1)]


def test_a_home_folder_of_nobody_is_a_name_like_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Place.of("~nobody-at-all/x").folder == tmp_path / "~nobody-at-all/x"
    assert not Place.of("x" * 300).exists()


def test_what_killed_writers_leave_is_removed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (f".{'0a' * 8}.part", "deep/.0123456789abcdef.part", "a.part", ".hidden"):
        place.write(name, b"1")
    monkeypatch.setattr(places, "UNCHANGED_SECONDS", 0)
    place.tidy()
    assert sorted(file.name for file in place.files()) == [".hidden", "a.part"]


def test_what_others_write_meanwhile_is_left_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    growing, done, left = (f".{digit * 16}.part" for digit in "012")
    for name in (growing, done, left):
        place.write(name, b"1")

    def meanwhile(seconds: float) -> None:
        assert seconds >= 10
        place.write(growing, b"12")
        place.delete(done)
        place.write(f"deep/{done}", b"1")

    with monkeypatch.context() as patch:
        patch.setattr("time.sleep", meanwhile)
        place.tidy()
    assert sorted(file.name for file in place.files()) == [growing, f"deep/{done}"]
    place.delete(done)  # as another has already


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place.of("memory:///full")
    system = fsspec.filesystem("memory")

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(system, "mv", refuse)
    with pytest.raises(OSError, match="no space"):
        place.write("a.bin", b"1")
    assert not list(place.files())


def test_places_on_disks_are_folders(tmp_path: Path) -> None:
    assert Place.of(str(tmp_path)).folder == tmp_path
    assert Place.of(f"file://{tmp_path}/").folder == tmp_path
    assert Place.of("memory://bucket").folder is None
    assert Place.of("memory://bucket").protocol == "memory"


@pytest.fixture
def on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are Windows's."""
    monkeypatch.setattr("hpinet.cluster.places.path_of", lambda text: Mock(resolve=lambda: PureWindowsPath(text)))


@pytest.mark.usefixtures("on_windows")
@pytest.mark.parametrize(("source", "results"), [("C:\\scans\\deep", "C:\\scans"), ("D:\\scans", "D:\\")])
def test_addresses_are_written_with_slashes_everywhere(source: str, results: str) -> None:
    assert Place.of(source).address == source.replace("\\", "/")
    assert Place.of(results).below(".manifest").protocol == "file"
    with pytest.raises(OptionError, match="would replace the pictures"):
        check_target(Place.of(source), Place.of(results))
    check_target(Place.of(results), Place.of(source))


def test_addresses_that_nothing_opens_are_named() -> None:
    with pytest.raises(OptionError, match="nowhere://a cannot be opened"):
        Place.of("nowhere://a")


def test_a_folder_has_one_address(tmp_path: Path) -> None:
    assert Place.of(f"file://{tmp_path}/../{tmp_path.name}") == Place.of(str(tmp_path))
    with pytest.raises(OptionError, match="would replace the pictures"):
        check_target(Place.of(f"file://{tmp_path}"), Place.of(str(tmp_path)))
