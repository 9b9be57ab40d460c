"""Which pictures a batch on the page is made of."""

import os
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from PIL import Image

from hpinet.errors import ImageError, OptionError
from hpinet.plan import TargetSize
from hpinet.ui.jobs import batch
from hpinet.ui.jobs.batch import Item, free_name, gather, names_in_folder, prospect, run_batch
from hpinet.ui.jobs.enlarge import Wanted
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.jobs.zerogpu import GpuError, NoGpuError
from hpinet.ui.server import storage


@pytest.mark.parametrize(
    ("names", "told", "expected"),
    [
        (["a.png"], ["trip/a.png"], ["trip/a.png"]),
        (["a.png", "a.png"], ["trip/1/a.png", "trip/2/a.png"], ["trip/1/a.png", "trip/2/a.png"]),
        (["b.png"], ["trip/a.png", "trip/b.png"], ["trip/b.png"]),  # one was taken off the list
        (["a.png", "b.png"], ["trip/b.png"], ["a.png", "trip/b.png"]),
        (["a.png"], [], ["a.png"]),
        (["a.png"], None, ["a.png"]),
        (["a.png"], {"a.png": "trip/a.png"}, ["a.png"]),
        (["a.png"], [7, None, "../a.png", "/etc/a.png", "C:/a.png"], ["a.png"]),
    ],
)
def test_files_of_a_folder_get_their_folders_back(names: list[str], told: object, expected: list[str]) -> None:
    assert names_in_folder(names, told) == expected


def test_a_suspicious_entry_is_one_line_of_the_report(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("fine.png", "../outside.png"):
            file.writestr(name, b"1")
    fine, outside = gather([tmp_path / "a.zip"])
    assert (fine.name, fine.status) == ("fine.png", "waiting")
    assert (outside.name, outside.status, outside.path) == ("../outside.png", "failed", None)
    assert "outside of the ZIP" in outside.detail


def test_a_batch_has_no_more_pictures_than_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "settings", lambda: SimpleNamespace(batch_files=2))
    files = [tmp_path / f"{number}.png" for number in range(3)]
    assert len(gather(files[:2])) == 2
    with pytest.raises(OptionError, match="at most 2 pictures; this one has 3"):
        gather(files)


@pytest.mark.parametrize(
    ("name", "used", "expected"),
    [
        ("trip/a.jpg", set(), "trip/a.png"),
        ("A.jpg", {"a.png"}, "A-2.png"),
        ("Ä.jpg", {"ä.png", "ä-2.png"}, "Ä-3.png"),
        ("12:30.jpg", set(), "12_30.png"),
        ("what?.jpg", {"what_.png"}, "what_-2.png"),
    ],
)
def test_names_of_results_are_free_on_every_system(name: str, used: set[str], expected: str) -> None:
    assert free_name(name, ".png", used) == expected


@pytest.mark.parametrize(
    ("error", "statuses", "detail"),
    [
        (ImageError("It is damaged."), ["done", "failed", "done", "done"], "It is damaged."),
        (GpuError("It takes too long."), ["done", "failed", "done", "done"], "It takes too long."),
        (NoGpuError("There is none."), ["done", "failed", "stopped", "stopped"], "There is none."),
        (RuntimeError("its own words"), ["done", "failed", "done", "done"], "report number"),
        (gr.Error("its own words"), ["done", "failed", "done", "done"], "report number"),
    ],
)
def test_what_is_finished_is_kept_whatever_ends_the_batch(
    error: Exception, statuses: list[str], detail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[Path]()

    def enlarged(path: Path, _wanted: Wanted, _reporter: object, folder: Path) -> tuple[Path, str]:
        asked.append(path)
        if len(asked) == 2:
            raise error
        (folder / "result.png").write_text(path.name)
        return folder / "result.png", "fine"

    monkeypatch.setattr(batch, "_enlarged", enlarged)
    items = [Item(f"{number}.jpg", tmp_path / f"{number}.jpg") for number in range(4)]
    *_, done = run_batch(items, Wanted("T", TargetSize(scale=2)), StopFlag.of(None, "batch"))
    assert done.finished
    assert [item.status for item in items] == statuses
    assert detail in items[1].detail
    assert "own words" not in items[1].detail
    with zipfile.ZipFile(done.archive) as archive:
        assert archive.testzip() is None
        expected = [f"{number}.png" for number, status in enumerate(statuses) if status == "done"]
        assert archive.namelist() == expected


def test_what_waits_is_not_swept_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    items = [Item(f"{number}.png", storage.new_folder() / f"{number}.png") for number in range(2)]
    for item in items:
        assert item.path is not None
        Image.new("RGB", (20, 16)).save(item.path)
    for _ in run_batch(items, Wanted("T", TargetSize(scale=2)), StopFlag.of(None, "batch")):
        long_ago = time.time() - 10 * 3600
        for item in items:  # as after hours of work on the one before
            if item.path is not None and item.status == "waiting":
                os.utime(item.path, (long_ago, long_ago))
        if items[0].status == "done":
            storage.sweep()
    assert [item.status for item in items] == ["done", "done"]


def test_a_picture_that_is_gone_is_told_without_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    items = [Item("gone.png", tmp_path / "gone.png")]
    *_, done = run_batch(items, Wanted("T", TargetSize(scale=2)), StopFlag.of(None, "batch"))
    assert done.items[0].detail == storage.NOT_SENT_HERE


def test_a_forecast_by_headers(tmp_path: Path) -> None:
    good, bad, archive = tmp_path / "good.png", tmp_path / "bad.png", tmp_path / "more.zip"
    Image.new("RGB", (100, 50)).save(good)
    bad.write_text("nothing")
    archive.write_bytes(b"PK")
    told = prospect([good, good, bad, archive], Wanted("T", TargetSize(scale=4)))
    assert told[1:] == ["0.2 megapixels to be made", "1 that cannot be enlarged so", "and what is in ZIP files"]
    assert prospect([bad], Wanted("T", TargetSize(scale=4))) == ["1 that cannot be enlarged so"]


def test_a_forecast_is_of_pictures_as_they_are_seen(tmp_path: Path) -> None:
    """Telephones store photos on their side and say so in EXIF data."""
    path, tags = tmp_path / "phone.jpg", Image.Exif()
    tags[274] = 6
    Image.new("RGB", (120, 90)).save(path, exif=tags)
    assert prospect([path], Wanted("T", TargetSize(width=100)))[1:] == ["0.0 megapixels to be made"]
