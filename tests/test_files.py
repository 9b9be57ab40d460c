"""Which files a command works on, and where results go."""

import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hpinet.errors import ImageError, MemoryShortageError, OptionError
from hpinet.files import EARLIER, LINK, OUTPUT, AlreadyDone, Found, Job, assign, enlarge_file, gather, is_file_name
from hpinet.images import Picture, save_picture
from hpinet.plan import Plan, TargetSize, make_plan


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the working directory with pictures, other things, and results of earlier runs."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "a.png",
        "b.JPG",
        "notes.txt",
        "a_x4_hpinet-t.png",
        ".hidden.png",
        "sea/c.webp",
        "sea/deep/d.tiff",
        ".thumbs/e.png",
    ):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return Path("photos")


def names(found: list[Found]) -> list[str]:
    return [str(each.path) for each in found]


def test_a_folder_is_searched_and_nothing_is_skipped_silently(photos: Path) -> None:
    found, skipped, failures = gather(["photos"])
    assert found == [
        Found(photos / "a.png", Path()),
        Found(photos / "b.JPG", Path()),
        Found(photos / "sea/c.webp", Path("sea")),
        Found(photos / "sea/deep/d.tiff", Path("sea/deep")),
    ]
    assert {str(each.path): each.reason for each in skipped} == {
        "photos/notes.txt": "not a picture",
        "photos/a_x4_hpinet-t.png": "result of an earlier run",
        "photos/.hidden.png": "hidden",
        "photos/.thumbs/e.png": "hidden",
    }
    assert failures == []


def test_a_linked_folder_is_not_skipped_silently(photos: Path) -> None:
    (photos / "sea" / "elsewhere").symlink_to(Path("..").resolve(), target_is_directory=True)
    (photos / "round").symlink_to(photos.resolve(), target_is_directory=True)
    found, skipped, failures = gather(["photos"])
    assert (len(found), failures) == (4, [])
    assert [each.path for each in skipped if each.reason == LINK] == [photos / "round", photos / "sea/elsewhere"]
    found, _, failures = gather(["photos/round"])  # named, it is meant
    assert (len(found), failures) == (4, [])


def test_named_files_are_taken_whatever_they_are_called(photos: Path) -> None:
    found, skipped, failures = gather(["photos/notes.txt", "photos/a_x4_hpinet-t.png", "photos/.hidden.png"])
    assert len(found) == 3
    assert (skipped, failures) == ([], [])


def test_results_of_named_files_are_left_out(photos: Path) -> None:
    """As of a shell's ``*.png`` in a folder where an earlier run has put them."""
    twice = [f"photos/{name}_hpinet-t.png" for name in ("a_x4", "a_x4_hpinet-t_x4", "sea_x2")]
    found, skipped, failures = gather(["photos/a.png", *map(touched, twice)])
    assert (names(found), failures) == (["photos/a.png", twice[2]], [])  # of the third there is no source
    assert [(str(each.path), each.reason) for each in skipped] == [(path, EARLIER) for path in twice[:2]]
    sources = [touched(f"photos/sea/{name}") for name in ("a.png", "a.gif")]
    results = [touched(f"photos/sea/{stem}_40x32_hpinet-m.tif") for stem in ("a-png", "a-gif", "A")]
    found, skipped, _ = gather([*results, *sources])
    assert names(found) == sources
    assert {each.reason for each in skipped} == {EARLIER}


def touched(path: str) -> str:
    Path(path).write_bytes(b"")
    return path


def test_patterns(photos: Path) -> None:
    found, skipped, failures = gather(["photos/*.png"])
    assert (names(found), failures) == (["photos/a.png"], [])
    assert [(str(each.path), each.reason) for each in skipped] == [("photos/a_x4_hpinet-t.png", EARLIER)]
    assert names(gather(["photos/**/*.webp"])[0]) == ["photos/sea/c.webp"]
    found, skipped, failures = gather(["photos/s*"])
    assert ([str(each.path) for each in skipped], skipped[0].reason) == (["photos/sea"], "folder")
    assert (found, [failure.path for failure in failures]) == ([], ["photos/s*"])


def test_a_file_whose_name_is_a_pattern(photos: Path) -> None:
    odd = photos / "[1].png"
    odd.write_bytes(b"")
    assert names(gather(["photos/[1].png"])[0]) == ["photos/[1].png"]


def test_each_picture_once(photos: Path) -> None:
    assert len(gather(["photos", "photos/a.png", "photos/../photos/a.png", "photos/*.png", "photos"])[0]) == 4


def test_what_is_not_there(photos: Path) -> None:
    (photos / "empty").mkdir()
    _, _, failures = gather(["nowhere.png", "photos/*.gif", "photos/empty"])
    assert [failure.path for failure in failures] == ["nowhere.png", "photos/*.gif", "photos/empty"]


def test_results_of_the_same_command_are_no_inputs(photos: Path) -> None:
    (photos / "large").mkdir()
    (photos / "large" / "a.png").write_bytes(b"")
    found, skipped, _ = gather(["photos"], output=photos / "large")
    assert "photos/large/a.png" not in names(found)
    assert "in the output folder" in {each.reason for each in skipped}
    found, _, _ = gather(["photos"], output=Path())  # the folder above: all of it would be in there
    assert "photos/a.png" in names(found)


PLAN = Plan((10, 8), (40, 32), (4,))


def targets(pictures: list[Found], *, output: Path | None, format: str = "png") -> list[str]:
    return [str(job.target(PLAN, "hpinet-t-x4")) for job in assign(pictures, output=output, format=format)]


def test_results_beside_their_pictures() -> None:
    [job] = assign([Found(Path("in/a.b.jpg"))], output=None, format="png")
    assert job.source == Path("in/a.b.jpg")
    assert job.target(PLAN, "hpinet-t-x4") == Path("in/a.b_x4_hpinet-t.png")
    assert job.target(Plan((10, 8), (25, 20), (3,)), "hpinet-m") == Path("in/a.b_25x20_hpinet-m.png")


@pytest.mark.parametrize(("format", "suffix"), [("png", ".png"), ("JPEG", ".jpg"), ("webp", ".webp"), ("tif", ".tif")])
def test_an_output_folder_mirrors_the_tree(format: str, suffix: str) -> None:
    found = [Found(Path("in/a.gif")), Found(Path("in/sea/b.png"), Path("sea"))]
    assert targets(found, output=Path("out"), format=format) == [f"out/a{suffix}", f"out/sea/b{suffix}"]


def test_an_output_file() -> None:
    assert targets([Found(Path("in/a.png"))], output=Path("large.webp"), format="webp") == ["large.webp"]


def test_inputs_are_never_overwritten(photos: Path) -> None:
    found, _, _ = gather(["photos"])
    refused = 0
    for job in assign(found, output=photos, format="png"):
        try:
            job.target(PLAN, "hpinet-t")
        except OptionError:
            refused += job.source == Path("photos/a.png")
    assert refused == 1
    [job] = assign(found[:1], output=photos / "sea" / ".." / "a.png", format="png")
    with pytest.raises(OptionError, match="would replace"):
        job.target(PLAN, "hpinet-t")
    beside = [Found(Path("a.png")), Found(Path("a_x4_hpinet-t.png"))]  # the second is an input, named by somebody
    with pytest.raises(OptionError, match="would replace"):
        targets(beside, output=None)


def test_inputs_are_known_by_other_names_too(photos: Path) -> None:
    """As on a file system that takes A.PNG for a.png, or in a folder that is mounted twice."""
    (photos / "A.PNG").hardlink_to(photos / "a.png")
    [job] = assign([Found(photos / "a.png")], output=photos / "A.PNG", format="png")
    with pytest.raises(OptionError, match=r"would replace photos/A\.PNG"):
        job.target(PLAN, "hpinet-t")
    [other] = assign([Found(photos / "a.png")], output=photos / "sea" / "c.webp", format="webp")
    assert other.target(PLAN, "hpinet-t") == photos / "sea" / "c.webp"


def test_files_without_numbers_are_known_by_their_places(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems number no files, so that all would be the same one."""
    stat = Path.stat

    def without_number(path: Path, **options: Any) -> os.stat_result:
        return os.stat_result([0 if place == 1 else value for place, value in enumerate(stat(path, **options)[:10])])

    monkeypatch.setattr(Path, "stat", without_number)
    [job] = assign([Found(photos / "a.png")], output=photos / "sea" / "c.webp", format="webp")
    assert job.target(PLAN, "hpinet-t") == photos / "sea" / "c.webp"


def test_pictures_of_one_name_get_results_that_cannot_collide() -> None:
    found = [Found(Path("in/a.png")), Found(Path("in/a.JPG")), Found(Path("other/a.png")), Found(Path("in/b.png"))]
    assert targets(found, output=Path("out")) == ["out/a-png.png", "out/a-jpg.png", "out/a-png-2.png", "out/b.png"]
    assert targets(found[:2], output=None) == ["in/a-png_x4_hpinet-t.png", "in/a-jpg_x4_hpinet-t.png"]
    case = [Found(Path("in/A.png")), Found(Path("in/a.png")), Found(Path("in/a-png.gif"))]
    assert targets(case, output=Path("out")) == ["out/A-png-2.png", "out/a-png-3.png", "out/a-png.png"]


@given(st.lists(st.from_regex(r"[aAb]-?(png|2)?\.(png|jpg|gif)", fullmatch=True), unique=True, max_size=8))
def test_no_two_results_collide(names: list[str]) -> None:
    results = targets([Found(Path("in") / name) for name in names], output=Path("out"))
    assert len({result.casefold() for result in results}) == len(names)


def test_what_becomes_of_results_that_are_there(tmp_path: Path) -> None:
    [job] = assign([Found(tmp_path / "a.jpg")], output=tmp_path / "out", format="png")
    path = tmp_path / "out" / "a.png"
    for existing in ("replace", "skip", "fail"):
        assert job.target(PLAN, "hpinet-t", existing) == path
    path.parent.mkdir()
    Image.new("RGB", PLAN.target).save(path)
    assert job.target(PLAN, "hpinet-t") == path
    with pytest.raises(AlreadyDone):
        job.target(PLAN, "hpinet-t", "skip")
    with pytest.raises(OptionError, match="--existing replace"):
        job.target(PLAN, "hpinet-t", "fail")
    named = Job(tmp_path / "a.jpg", path.parent, "a", ".png", False, frozenset([path.resolve()]))
    with pytest.raises(AlreadyDone):  # although it is an input too, it stays as it is
        named.target(PLAN, "hpinet-t", "skip")
    Image.new("RGB", (3, 3)).save(path)
    assert job.target(PLAN, "hpinet-t", "skip") == path
    with pytest.raises(OptionError, match="would replace"):
        named.target(PLAN, "hpinet-t", "skip")
    path.write_text("no picture")
    assert job.target(PLAN, "hpinet-t", "skip") == path


@pytest.mark.parametrize("name", ["x.jp2", "x.gif", "X.HEIC", "x.jxl"])
def test_an_output_of_a_format_that_is_not_written_is_no_folder(name: str) -> None:
    with pytest.raises(OptionError, match="written as"):
        is_file_name(Path(name))


@pytest.mark.parametrize(("name", "format", "word"), [("out.webp", "WEBP", "16,383"), ("x" * 300, "PNG", "written")])
def test_what_cannot_be_written_is_said_before_the_work(tmp_path: Path, name: str, format: str, word: str) -> None:
    save_picture(Picture(np.zeros((4200, 4, 1), np.uint8)), tmp_path / "tall.png")

    def run(picture: Picture, plan: Plan) -> Picture:
        raise AssertionError("the work has begun")

    with pytest.raises(ImageError, match=word):
        enlarge_file(
            tmp_path / "tall.png",
            plan=lambda size: make_plan(size, TargetSize(scale=4), natives=frozenset([4])),
            run=run,
            target=lambda _: tmp_path / "results" / name,
            format=format,
        )


def test_refused_memory_for_the_file_is_told_in_our_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    save_picture(Picture(np.zeros((8, 8, 1), np.uint8)), tmp_path / "a.png")
    monkeypatch.setattr("hpinet.files.save_picture", refuse)
    with pytest.raises(MemoryShortageError, match="not enough memory left"):
        enlarge_file(
            tmp_path / "a.png",
            plan=lambda size: make_plan(size, TargetSize(scale=4), natives=[4]),
            run=lambda picture, _: picture,
            target=lambda _: tmp_path / "b.png",
        )


def test_a_large_result_is_known_again(tmp_path: Path) -> None:
    """Larger than what Pillow opens by itself: the result of an ordinary photograph."""
    header = struct.pack(">IIBBBBB", 16000, 12000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    (tmp_path / "photo_x4_hpinet-t.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT5\xaf\x06\x1e")
    job = Job(tmp_path / "photo.jpg", tmp_path, "photo", ".png", True, frozenset())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AlreadyDone):
            job.target(Plan((4000, 3000), (16000, 12000), (4,)), "hpinet-t", "skip")


def test_inputs_that_cannot_be_looked_at_leave_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "~nobody-at-all.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    found, _, failures = gather(["x" * 300, "", "~nobody-at-all.png", "a.png"])
    assert [each.path.name for each in found] == ["~nobody-at-all.png", "a.png"]
    assert ["too long" in failures[0].reason, "this is empty" in failures[1].reason] == [True, True]
    with pytest.raises(OptionError, match="too long"):
        is_file_name(Path("x" * 300))


def test_a_folder_that_is_locked_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    list_folder = os.scandir

    def scandir(path: str | os.PathLike[str]) -> object:  # whoever runs the tests may be allowed everything
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return list_folder(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found, _, [failure] = gather([str(tmp_path)])
    assert [each.path.name for each in found] == ["a.png"]
    assert failure.path.endswith("locked")
    assert "Permission denied" in failure.reason


def test_results_are_no_inputs_of_a_pattern_either(tmp_path: Path) -> None:
    for name in ("photos/a.png", "photos/out/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    output = tmp_path / "photos/out"
    found, skipped, failures = gather([str(tmp_path / "photos/**/*.png")], output=output)
    assert [each.path for each in found] == [tmp_path / "photos/a.png"]
    assert [(each.path, each.reason) for each in skipped] == [(output / "a.png", OUTPUT)]
    assert not failures


def test_a_link_does_not_take_the_place_of_its_picture(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    (tmp_path / "a-link.png").symlink_to(tmp_path / "one.png")
    found, _, _ = gather([str(tmp_path)])
    assert [each.path.name for each in found] == ["one.png"]
