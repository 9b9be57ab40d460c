"""Where files lie and how they disappear."""

import errno
import os
import threading
import time
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from gradio.context import LocalContext

from hpinet.errors import ImageError, OptionError
from hpinet.ui.server import storage
from hpinet.ui.server.visitors import COOKIE


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def asked_by(session: str, browser: str = "") -> Any:
    """A request of a page's, or of a program's if there is no browser."""
    return SimpleNamespace(session_hash=session, cookies={COOKIE: browser} if browser else {})


def age(path: Path, hours: float) -> None:
    then = time.time() - hours * 3600
    os.utime(path, (then, then), follow_symlinks=False)


def test_folders_cannot_be_guessed(root: Path) -> None:
    folders = {storage.new_folder() for _ in range(20)}
    assert len(folders) == 20
    assert all(folder.is_relative_to(root) and len(folder.name) >= 20 for folder in folders)


def test_sweeping_takes_old_files_and_empty_folders_only(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "kept.txt"
    outside.write_text("kept")
    old, new = storage.new_folder(), storage.new_folder()
    for folder, hours in ((old, 5), (new, 0)):
        (folder / "deep").mkdir()
        (folder / "deep" / "file.png").write_text("x")
        age(folder / "deep" / "file.png", hours)
    (old / "link").symlink_to(outside)
    age(old / "link", 5)
    age(old / "deep", 5)
    age(old, 5)
    age(outside, 5)
    assert storage.sweep() == 2
    # Emptying a folder changes it, so it goes in a later round.
    assert storage.sweep(older_than=-1) == 1
    assert outside.read_text() == "kept"
    assert not old.exists()


def test_a_sweep_leaves_work_in_progress(root: Path) -> None:
    folder = storage.new_folder()
    (folder / "result.png").write_text("x")
    assert storage.sweep() == 0
    assert (folder / "result.png").exists()


def test_what_is_in_use_is_kept_however_old_and_much_it_is(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload, results, other = (storage.new_folder() for _ in range(3))
    for path in (upload / "picture.png", results / "deep" / "result.png", other / "picture.png"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(2_000_000))
        for each in (path, path.parent, path.parent.parent):
            age(each, 5)
    empty = storage.new_folder()
    age(empty, 5)
    with storage.in_use(upload / "picture.png", results), storage.in_use(upload / "picture.png", empty):
        assert storage.sweep() == 1
        assert storage.make_room() == 0
        monkeypatch.setattr(storage, "settings", lambda: SimpleNamespace(keep_hours=9, keep_mb=1))
        assert storage.sweep() == 0
        assert empty.exists()
    assert not (other / "picture.png").exists()
    assert storage.sweep() == 2
    assert not storage._used


def test_no_more_is_kept_than_set(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "settings", lambda: SimpleNamespace(keep_hours=3, keep_mb=2))
    for hours, name in enumerate(("new", "older", "oldest")):
        path = storage.new_folder() / name
        path.write_bytes(bytes(800_000))
        age(path, hours)
    assert storage.sweep() == 1
    assert {path.name for path in root.rglob("*") if path.is_file()} == {"new", "older"}


def test_a_file_with_two_names_counts_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on offer is the result itself under another name."""
    monkeypatch.setattr(storage, "settings", lambda: SimpleNamespace(keep_hours=3, keep_mb=2))
    result = storage.new_folder() / "result.png"
    result.write_bytes(bytes(1_500_000))
    offered = result.with_name("cat_x4.png")
    offered.hardlink_to(result)
    assert storage.sweep() == 0
    newer = storage.new_folder() / "newer.png"
    newer.write_bytes(bytes(1_500_000))
    age(result, 1)
    assert storage.sweep() == 2  # one of its names would free nothing
    assert [path for path in root.rglob("*") if path.is_file()] == [newer]


@pytest.mark.parametrize("hours", [24, -24])
def test_a_clock_that_is_set_deletes_nothing_and_keeps_nothing_for_good(
    hours: int, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(wall=time.time(), runs=50.0, time=lambda: clock.wall, monotonic=lambda: clock.runs)
    monkeypatch.setattr(storage, "time", clock)
    monkeypatch.setattr(storage, "_CLOCK", storage._Clock())
    file = storage.new_folder() / "result.png"
    file.write_text("x")
    clock.wall += hours * 3600
    assert storage.sweep() == 0
    for passed, deleted in ((2.9, 0), (0.2, 1)):
        clock.wall += passed * 3600
        clock.runs += passed * 3600
        assert storage.sweep() == deleted
    assert not file.exists()


@pytest.mark.parametrize("value", [None, [], "cat.png", {}, {"path": None}, {"path": 4}, {"path": ""}, {"path": "\0"}])
def test_what_names_no_file_is_refused(root: Path, value: object) -> None:
    with pytest.raises(OptionError, match="choose it again"):
        storage.received(value)


def test_only_what_was_sent_or_shown_is_received(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    own = tmp_path_factory.mktemp("server") / "secret.png"
    own.write_text("x")
    inside = storage.new_folder() / "a.png"
    inside.write_text("x")
    assert storage.received({"path": str(inside)}) == inside
    link = inside.parent / "link.png"
    link.symlink_to(own)
    beside = inside.parent / "beside.png"
    beside.symlink_to(inside)
    around = f"{inside.parent}/../../../{own.relative_to(own.parents[1])}"
    messages = set()
    for path in (own, own.with_name("missing.png"), inside.parent, link, beside, around, inside.with_name("none.png")):
        with pytest.raises(OptionError) as error:
            storage.received({"path": str(path)})
        messages.add(str(error.value))
    assert len(messages) == 1  # nothing is told about what exists
    storage.show([own])
    assert storage.received({"path": str(own)}) == own


@pytest.mark.parametrize("is_linked", [False, True])
def test_uploads_that_ended_early_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_linked: bool) -> None:
    (root := tmp_path / "real").mkdir()
    if is_linked:  # as the temporary folder of every Mac is
        (tmp_path / "link").symlink_to(root)
        root = tmp_path / "link"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(root))
    whole, torn, being_written = storage.new_folder() / "tmp.png", root / "tmpabc", root / "tmpdef"
    for path in (whole, torn):
        path.write_text("x")
    with being_written.open("w"):
        assert storage.drop_torn(older_than=60) == 0
        assert storage.drop_torn() == 1
    assert whole.exists()
    assert being_written.exists()
    assert not torn.exists()


def test_a_full_disk_is_told_from_other_errors(root: Path) -> None:
    assert storage.is_full(OSError(errno.ENOSPC, "No space left on device"))
    assert not storage.is_full(OSError(errno.EACCES, "Permission denied"))
    assert not storage.is_full(None)
    told = ImageError("The picture could not be written.")
    assert not storage.is_full(told)
    told.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert storage.is_full(told)
    old, new = storage.new_folder() / "old.png", storage.new_folder() / "new.png"
    for path in (old, new):
        path.write_text("x")
    age(old, 1)
    assert storage.make_room() == 1
    assert new.exists()


def test_pictures_of_a_visit_are_deleted_at_once(root: Path) -> None:
    made = {}
    for session in ("one-visit", "another"):
        token = LocalContext.request.set(asked_by(session))
        upload = root / f"hash-of-{session}" / "cat.png"
        upload.parent.mkdir()
        upload.write_text("x")
        assert storage.received({"path": str(upload)}) == upload
        result = storage.new_folder() / "result.png"
        result.write_text("x")
        made[session] = (upload, result)
        LocalContext.request.reset(token)
    assert storage.delete_of(asked_by("one-visit")) == 2
    assert not any(path.exists() for path in made["one-visit"])
    assert all(path.exists() for path in made["another"])
    assert storage.delete_of(asked_by("one-visit")) == storage.delete_of(None) == 0


def test_visits_are_remembered_no_longer_than_their_pictures(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_visits", visits := OrderedDict())
    folders = {}
    for session in ("over", "open"):
        token = LocalContext.request.set(asked_by(session))
        folders[session] = [storage.new_folder() for _ in range(2)]
        LocalContext.request.reset(token)
    storage.leave(asked_by("over"))
    for folder in (*folders["over"], folders["open"][0]):
        age(folder, 5)
    storage.sweep()
    assert {name: visit.folders for name, visit in visits.items()} == {("", "open"): {folders["open"][1]}}


def test_no_list_of_files_grows_for_ever(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio notes what it has been sent and has shown, and forgets only what it deletes itself."""
    monkeypatch.setattr(storage, "SWEEP_EVERY_SECONDS", 0.01)
    old, new = (storage.new_folder() / "result.png" for _ in range(2))
    for path in (old, new):
        path.write_text("x")
    age(old, 5)
    sent, shown = {str(old), str(new)}, {str(old)}
    app = SimpleNamespace(get_blocks=lambda: SimpleNamespace(temp_file_sets=[sent, shown]))

    async def serve() -> None:
        async with storage.sweeping(app):
            with anyio.fail_after(10):
                while shown:
                    await anyio.sleep(0.01)

    anyio.run(serve)
    assert sent == {str(new)}


def test_a_page_that_is_loaded_anew_deletes_what_the_one_before_has_sent(root: Path) -> None:
    upload = root / "hash" / "cat.png"
    upload.parent.mkdir()
    upload.write_text("x")
    token = LocalContext.request.set(asked_by("before", "a-browser"))
    storage.received({"path": str(upload)})
    LocalContext.request.reset(token)
    storage.leave(asked_by("before", "a-browser"))
    assert storage.delete_of(asked_by("before")) == storage.delete_of(asked_by("after", "another")) == 0
    assert storage.delete_of(asked_by("after", "a-browser")) == 1
    assert not upload.exists()


def test_deleting_while_others_come_and_go(root: Path) -> None:
    over = threading.Event()
    failed = list[BaseException]()

    def come_and_go(name: str) -> None:
        LocalContext.request.set(asked_by(name))
        try:
            while not over.is_set():
                for number in range(50):
                    LocalContext.request.set(asked_by(f"{name}-{number}"))
                    storage._note(root / f"{name}-{number}")
                for number in range(50):
                    storage.delete_of(asked_by(f"{name}-{number}"))
        except RuntimeError as error:
            failed.append(error)

    threads = [threading.Thread(target=come_and_go, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    over.set()
    for thread in threads:
        thread.join()
    assert not failed


def test_a_picture_that_two_visitors_sent_stays_while_the_other_page_is_open(root: Path) -> None:
    upload = root / "hash" / "cat.png"
    upload.parent.mkdir()
    upload.write_text("x")

    def send(session: str) -> None:
        token = LocalContext.request.set(asked_by(session))
        storage.received({"path": str(upload)})
        LocalContext.request.reset(token)

    send("first")
    send("second")
    assert storage.delete_of(asked_by("second")) == 0
    send("second")
    storage.leave(asked_by("first"))
    send("first")  # its connection was lost for a moment
    assert storage.delete_of(asked_by("second")) == 0
    send("second")
    storage.leave(asked_by("second"))
    assert storage.delete_of(asked_by("first")) == 1
    assert not upload.exists()


@pytest.mark.parametrize("name", ["tmpabc", "results/flag.stop", "results/folder/deep/file"])
def test_folders_that_visitors_share_are_never_deleted(root: Path, name: str) -> None:
    """Whoever names a file that lies in one, such as their own flag of Stop, does not get what is beside it."""
    others = storage.new_folder() / "result.png"
    others.write_text("x")
    named = root / name
    named.parent.mkdir(parents=True, exist_ok=True)
    named.write_text("x")
    token = LocalContext.request.set(asked_by("a-visit"))
    storage.received({"path": str(named)})
    LocalContext.request.reset(token)
    assert storage.delete_of(asked_by("a-visit")) == 0
    assert others.exists()
