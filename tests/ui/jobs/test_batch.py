"""Which pictures a batch on the page is made of."""

import errno
import os
import shutil
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from PIL import Image

from hpinet.errors import Cancelled, ImageError, OptionError
from hpinet.plan import TargetSize
from hpinet.ui.jobs import batch, enlarge, previews, running, workable
from hpinet.ui.jobs.batch import (
    Batch,
    Item,
    format_for_all,
    free_name,
    gather,
    prospect,
    run_batch,
)
from hpinet.ui.jobs.enlarge import Wanted
from hpinet.ui.jobs.previews import size_of_sent
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.jobs.turns import MOST_BATCHES, BusyError, Load, Turns, Visitor
from hpinet.ui.jobs.zerogpu import GpuError, NoGpuError
from hpinet.ui.parts.events import LIGHT, SPARE_THREADS
from hpinet.ui.server import storage
from hpinet.ui.server.archive import Room

NOBODY = StopFlag.of(None, "batch")


def test_a_suspicious_entry_is_one_line_of_the_report(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("fine.png", "../outside.png"):
            file.writestr(name, b"1")
    fine, outside = gather([tmp_path / "a.zip"], NOBODY)
    assert (fine.name, fine.status) == ("fine.png", "waiting")
    assert (outside.name, outside.status, outside.path) == ("../outside.png", "failed", None)
    assert "outside of the ZIP" in outside.detail


@pytest.fixture
def at_most_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bounds batches to two pictures; the folder of uploads."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    monkeypatch.setattr(batch, "settings", lambda: SimpleNamespace(batch_files=2, max_upload_mb=1))
    return tmp_path / "uploads"


def pack(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"1")
    return path


def test_a_batch_has_no_more_pictures_than_set(at_most_two: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(3)]
    assert len(gather(files[:2], NOBODY)) == 2
    with pytest.raises(OptionError, match="at most 2 pictures"):
        gather(files, NOBODY)


def test_what_is_too_much_is_refused_before_it_is_unpacked(
    at_most_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = pack(tmp_path / "one.zip", "a.png", "__MACOSX/._a.png", ".DS_Store")  # two are nobody's pictures
    assert [item.status for item in gather([one, one], NOBODY)] == ["waiting"] * 2
    shutil.rmtree(at_most_two)
    two, many = pack(tmp_path / "two.zip", "a.png", "b.png"), [tmp_path / "x.png", pack(tmp_path / "m.zip", *"abc")]
    for files in ([one] * 3, [one, two], many):
        with pytest.raises(OptionError, match="at most 2 pictures"):
            gather(files, NOBODY)
        assert not [path for path in at_most_two.rglob("*") if path.name != "results"]
    monkeypatch.setattr(batch, "unpack", None)
    with pytest.raises(OptionError, match="at most 2 pictures"):
        gather([one] * 3, NOBODY)


def test_zips_of_a_batch_share_one_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named many times, a small one would fill the disk; one that is too much leaves the others as they are."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    monkeypatch.setattr(batch, "Room", partial(Room, left=2500))
    source = tmp_path / "a.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros.png", bytes(1000))
    items = gather([source] * 4, NOBODY)
    assert [item.status for item in items] == ["waiting", "waiting", "failed", "failed"]
    assert "more than this page accepts" in items[2].detail
    assert sum(path.stat().st_size for path in (tmp_path / "uploads").rglob("*.png")) == 0
    assert sum(path.stat().st_size for path in (tmp_path / "uploads").rglob("0*")) == 2000


def test_nothing_is_unpacked_for_someone_who_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    source = pack(tmp_path / "a.zip", "a.png", "b.png", "c.png")
    stop = StopFlag.of(None, "batch")

    def ends_after_the_second(_self: StopFlag) -> bool:
        return len(list((tmp_path / "uploads").rglob("000*"))) == 2

    monkeypatch.setattr(StopFlag, "ends", ends_after_the_second)
    with pytest.raises(Cancelled):
        gather([source], stop)
    assert not list((tmp_path / "uploads").rglob("000*"))
    monkeypatch.setattr(StopFlag, "ends", lambda _self: True)
    with pytest.raises(Cancelled):
        gather([tmp_path / "a.png"], stop)


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


def test_a_batch_waits_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "BUSY_SECONDS", 0.2)
    asked = list[Path]()

    def enlarged(path: Path, _wanted: Wanted, _reporter: object, folder: Path) -> tuple[Path, str]:
        asked.append(path)
        if len(asked) in (2, 3):
            raise BusyError("Too many people are waiting: try again in a minute.")
        (folder / "result.png").write_text(path.name)
        return folder / "result.png", "fine"

    monkeypatch.setattr(batch, "_enlarged", enlarged)
    items = [Item(f"{number}.jpg", tmp_path / f"{number}.jpg") for number in range(3)]
    *_, done = run_batch(items, Wanted("T", TargetSize(scale=2)), NOBODY)
    assert [item.status for item in items] == ["done"] * 3
    assert [int(path.stem) for path in asked] == [0, 1, 1, 1, 2]
    assert done.finished


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> Turns:
    """Turns of two jobs, that nobody else takes."""
    made = Turns(budget_mb=1000, most=2, per_session=2, per_address=2)
    monkeypatch.setattr(running, "turns", lambda: made)
    monkeypatch.setattr(batch, "turns", lambda: made)
    return made


def test_what_waits_for_room_is_not_opened_meanwhile(
    order: Turns, picture: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And leaves no line behind for each time that it asks."""
    monkeypatch.setattr(batch, "BUSY_SECONDS", 0.1)
    caplog.set_level("INFO", logger="hpinet.jobs")
    opened, waited = list[Path](), list[str]()
    open_sent = previews.open_sent
    monkeypatch.setattr(previews, "open_sent", lambda path: opened.append(path) or open_sent(path))
    others = ExitStack()
    for name in "xy":
        others.enter_context(order.job(Load(Visitor(name), 1, 1), stopped=lambda: True))

    def say(_self: batch.Reporter, words: str, *_: float) -> None:
        waited.append(words)
        if len(waited) == 4:
            assert opened == []
            others.close()

    monkeypatch.setattr(batch.Reporter, "say", say)
    items = [Item("a.png", picture)]
    *_, _done = run_batch(items, Wanted("T", TargetSize(scale=2)), NOBODY)
    assert waited[:4] == ["Waiting until there is room"] * 4
    assert [item.status for item in items] == ["done"]
    assert opened == [picture]
    assert "BusyError" not in caplog.text


def test_batches_are_refused_before_they_begin_where_there_are_too_many(
    order: Turns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each keeps one of Gradio's threads; one that has begun loses nothing, and its end lets another in."""

    def enlarged(path: Path, _wanted: Wanted, _reporter: object, folder: Path) -> tuple[Path, str]:
        (folder / "result.png").write_text(path.name)
        return folder / "result.png", "fine"

    def begun() -> Iterator[Batch]:
        items = [Item("a.png", tmp_path / "a.png")]
        under_way = run_batch(items, Wanted("T", TargetSize(scale=2)), StopFlag.of(None, "batch"))
        assert next(under_way).done == 0
        return under_way

    monkeypatch.setattr(batch, "_enlarged", enlarged)
    batches = [begun() for _ in range(MOST_BATCHES)]
    with pytest.raises(BusyError, match="Too many people"):
        begun()
    *_, done = batches.pop()
    assert done.done == 1
    batches += [begun()]
    del batches[0]  # whoever asked for it has gone
    begun()
    for each in batches:
        *_, done = each
        assert done.done == 1


def test_batches_leave_threads_for_whatever_is_quick() -> None:
    assert 2 * LIGHT["concurrency_limit"] <= SPARE_THREADS - MOST_BATCHES


def test_a_batch_that_waits_for_room_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = StopFlag.of(None, "batch")

    def busy(*_: object) -> tuple[Path, str]:
        stop.raise_it()
        raise BusyError("Too many people are waiting: try again in a minute.")

    monkeypatch.setattr(batch, "_enlarged", busy)
    items = [Item("a.jpg", tmp_path / "a.jpg"), Item("b.jpg", tmp_path / "b.jpg")]
    *_, done = run_batch(items, Wanted("T", TargetSize(scale=2)), stop)
    assert [item.status for item in items] == ["stopped", "stopped"]
    assert done.finished


def test_a_picture_that_finds_no_room_in_the_zip_is_taken_out_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = batch._Unbuffered.write

    def full(self: batch._Unbuffered, data: bytes) -> int:
        if self.tell() > 60_000 and not freed:
            raise OSError(errno.ENOSPC, "No space left on device")
        return kept(self, data)

    def enlarged(path: Path, _wanted: Wanted, _reporter: object, folder: Path) -> tuple[Path, str]:
        (folder / "result.png").write_bytes(path.name.encode() * 10_000)
        return folder / "result.png", "fine"

    freed: list[bool] = []
    monkeypatch.setattr(batch._Unbuffered, "write", full)
    monkeypatch.setattr(batch, "_enlarged", enlarged)
    monkeypatch.setattr(enlarge, "make_room", lambda: freed.append(True))
    items = [Item(f"{number}.jpg", tmp_path / f"{number}.jpg") for number in range(3)]
    *_, done = run_batch(items, Wanted("T", TargetSize(scale=2)), NOBODY)
    assert [(item.status, item.detail) for item in items] == [
        ("done", "fine"),
        ("failed", storage.FULL),
        ("done", "fine"),
    ]
    with zipfile.ZipFile(done.archive) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["0.png", "2.png"]
        assert archive.read("2.png") == b"2.jpg" * 10_000


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


def test_a_forecast_promises_nothing_that_would_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, size = tmp_path / "photo.png", TargetSize(scale=2)
    Image.new("RGB", (100, 50)).save(path)
    none = ["1 that cannot be enlarged so"]
    assert prospect([path], Wanted("L", size, treatment="auto"))[1:] == ["0.0 megapixels to be made"]
    assert prospect([path], Wanted("L", size, treatment="photo")) == none  # it has no weights for that
    monkeypatch.setattr(workable, "expected_seconds", lambda *_, **__: 3601)
    assert prospect([path], Wanted("L", size)) == none
    monkeypatch.undo()

    def refuse(*_: object) -> None:
        raise OptionError("This takes too much memory.")

    monkeypatch.setattr(workable, "check_memory", refuse)
    assert prospect([path], Wanted("L", size)) == none


def test_the_format_follows_what_the_pictures_have_in_common(tmp_path: Path) -> None:
    def told(*names: str, scale: int = 4) -> str:
        return format_for_all([tmp_path / name for name in names], Wanted("T", TargetSize(scale=scale)))

    for name in ("a.jpg", "b.jpeg", "a.webp", "wide.webp", "a.png"):
        Image.new("RGB", (4400 if name.startswith("wide") else 30, 20)).save(tmp_path / name)
    Image.new("RGB", (30, 20)).save(tmp_path / "lossless.webp", lossless=True)
    for name in ("bad.webp", "a.zip"):
        (tmp_path / name).write_text("nothing")
    assert told("a.jpg", "b.jpeg") == "JPEG"
    assert told("a.webp", "bad.webp") == "WebP"
    assert told("wide.webp", scale=2) == "WebP"
    assert told("lossless.webp") == told("a.webp", "lossless.webp") == "PNG"
    (tmp_path / "gone.webp").write_bytes((tmp_path / "a.webp").read_bytes())
    assert size_of_sent(tmp_path / "gone.webp") == (30, 20)  # and is kept
    (tmp_path / "gone.webp").unlink()
    assert told("gone.webp") == "WebP"
    assert told("wide.webp") == "PNG"  # 17,600 pixels
    assert told("wide.webp", "a.webp") == told("a.jpg", "a.webp") == told("a.png") == told("a.jpg", "a.zip") == "PNG"
