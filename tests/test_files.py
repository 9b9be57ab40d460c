"""Which files a command works on, and where results go."""

from pathlib import Path

import pytest

from hpinet.errors import OptionError
from hpinet.files import Found, Job, assign, find_pictures, gather, is_file_name, is_picture_name


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


def test_named_files_are_taken_whatever_they_are_called(photos: Path) -> None:
    found, skipped, failures = gather(["photos/notes.txt", "photos/a_x4_hpinet-t.png", "photos/.hidden.png"])
    assert len(found) == 3
    assert (skipped, failures) == ([], [])


def test_patterns(photos: Path) -> None:
    assert names(gather(["photos/*.png"])[0]) == ["photos/a.png", "photos/a_x4_hpinet-t.png"]
    assert names(gather(["photos/**/*.webp"])[0]) == ["photos/sea/c.webp"]
    found, skipped, failures = gather(["photos/s*"])
    assert ([str(each.path) for each in skipped], skipped[0].reason) == (["photos/sea"], "folder")
    assert (found, [failure.path for failure in failures]) == ([], ["photos/s*"])


def test_a_file_whose_name_is_a_pattern(photos: Path) -> None:
    odd = photos / "[1].png"
    odd.write_bytes(b"")
    assert names(gather(["photos/[1].png"])[0]) == ["photos/[1].png"]


def test_each_picture_once(photos: Path) -> None:
    assert len(gather(["photos", "photos/a.png", "photos/../photos/a.png", "photos/*.png", "photos"])[0]) == 5


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


def test_results_beside_their_pictures() -> None:
    jobs, failures = assign([Found(Path("in/a.b.jpg"))], output=None, label="x4_hpinet-t", format="png")
    assert jobs == [Job(Path("in/a.b.jpg"), Path("in/a.b_x4_hpinet-t.png"))]
    assert failures == []


@pytest.mark.parametrize(("format", "suffix"), [("png", ".png"), ("JPEG", ".jpg"), ("webp", ".webp"), ("tif", ".tif")])
def test_an_output_folder_mirrors_the_tree(format: str, suffix: str) -> None:
    found = [Found(Path("in/a.gif")), Found(Path("in/sea/b.png"), Path("sea"))]
    jobs, _ = assign(found, output=Path("out"), label="x4_hpinet-t", format=format)
    assert [job.target for job in jobs] == [Path(f"out/a{suffix}"), Path(f"out/sea/b{suffix}")]


def test_an_output_file() -> None:
    jobs, _ = assign([Found(Path("in/a.png"))], output=Path("large.webp"), label="x4", format="webp")
    assert jobs[0].target == Path("large.webp")


def test_inputs_are_never_overwritten(photos: Path) -> None:
    found, _, _ = gather(["photos"])
    jobs, failures = assign(found, output=photos, label="x4", format="png")
    assert [failure.path for failure in failures] == ["photos/a.png"]
    assert len(jobs) == 3
    jobs, failures = assign(found[:1], output=photos / "sea" / ".." / "a.png", label="x4", format="png")
    assert (jobs, len(failures)) == ([], 1)
    assert "would replace" in failures[0].reason


def test_results_never_overwrite_each_other() -> None:
    found = [Found(Path("in/a.png")), Found(Path("in/a.jpg")), Found(Path("other/a.png"))]
    jobs, failures = assign(found, output=Path("out"), label="x4", format="png")
    assert [job.source for job in jobs] == [Path("in/a.png")]
    assert [failure.path for failure in failures] == ["in/a.jpg", "other/a.png"]
    assert "in/a.png" in failures[0].reason


def test_names(photos: Path) -> None:
    assert is_picture_name(Path("a.JPEG"))
    assert not is_picture_name(Path("a.pdf"))
    assert is_file_name(Path("new.png"))
    assert not is_file_name(Path("new"))
    (photos / "odd.png").mkdir()
    assert not is_file_name(photos / "odd.png")


def test_pictures_of_a_benchmark(photos: Path) -> None:
    assert [path.name for path in find_pictures(photos)] == [".hidden.png", "a.png", "a_x4_hpinet-t.png", "b.JPG"]
    with pytest.raises(OptionError, match="no folder"):
        find_pictures(photos / "nowhere")
    (photos / "empty").mkdir()
    with pytest.raises(OptionError, match="no pictures"):
        find_pictures(photos / "empty")
