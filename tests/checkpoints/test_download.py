"""Downloads over real connections that succeed, break, resume or lie."""

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
from file_server import (
    Behaviour,
    Handler,
    busy,
    crawling,
    dropping,
    endless,
    file_server,
    forbidden,
    good,
    other_range,
    slow,
    stalling,
    without_ranges,
)
from ports import free_port

from hpinet.checkpoints import download as module
from hpinet.checkpoints.download import Digest, download
from hpinet.errors import Cancelled, CheckpointError

DATA = random.Random(0).randbytes(300_000)
DIGEST = Digest("sha256", hashlib.sha256(DATA).hexdigest())
FILES = {"/file": DATA}


def get(url: str, target: Path, **options: Any) -> None:
    download(f"{url}/file", target, DIGEST, **{"size": len(DATA), "pause": 0.01, "timeout": 5.0, **options})


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "file"


def part(target: Path) -> Path:
    return target.with_name("file.part")


def only(target: Path) -> bool:
    """Whether the finished file is all that is left."""
    return target.read_bytes() == DATA and list(target.parent.iterdir()) == [target]


def test_files_are_hashed_piece_by_piece(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target.parent.mkdir()
    target.write_bytes(DATA)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read as a whole"))
    blob = hashlib.sha1(b"blob %d\0" % len(DATA) + DATA).hexdigest()
    assert DIGEST.matches(target)
    assert Digest("git-blob", blob).matches(target)
    assert not Digest("git-blob", blob[::-1]).matches(target)


def test_a_good_server(target: Path) -> None:
    calls: list[tuple[int, int]] = []
    with file_server(FILES) as server:
        get(server.url, target, progress=lambda *call: calls.append(call))
    assert only(target)
    assert calls[0] == (0, len(DATA))
    assert calls[-1] == (len(DATA), len(DATA))
    assert calls == sorted(calls)
    assert server.requests == [("/file", None)]


def test_a_slow_server(target: Path) -> None:
    with file_server(FILES, slow) as server:
        get(server.url, target, timeout=1.0)
    assert only(target)


@pytest.mark.parametrize("behaviour", [crawling, stalling])
def test_patience_ends_whatever_the_server_does(target: Path, behaviour: Behaviour) -> None:
    with file_server(FILES, behaviour) as server, pytest.raises(CheckpointError, match="takes too long"):
        get(server.url, target, patience=1.0)
    assert part(target).stat().st_size
    with file_server(FILES, good) as server:
        get(server.url, target)
    assert only(target)


def test_a_dropped_connection_resumes_where_it_broke(target: Path) -> None:
    with file_server(FILES, dropping, dropping, good) as server:
        get(server.url, target)
    assert only(target)
    assert [asked for _, asked in server.requests] == [None, "bytes=150000-", "bytes=225000-"]


def test_a_stalled_connection_resumes(target: Path) -> None:
    with file_server(FILES, stalling, good) as server:
        get(server.url, target, timeout=0.2)
    assert only(target)
    assert server.requests[1] == ("/file", "bytes=150000-")


def test_a_later_call_resumes(target: Path) -> None:
    with file_server(FILES, dropping) as server, pytest.raises(CheckpointError, match="2 times"):
        get(server.url, target, attempts=2)
    assert not target.exists()
    kept = part(target).stat().st_size
    assert kept == 225_000
    with file_server(FILES) as server:
        get(server.url, target)
    assert only(target)
    assert server.requests == [("/file", f"bytes={kept}-")]


def test_everything_had_arrived_before(target: Path) -> None:
    target.parent.mkdir()
    part(target).write_bytes(DATA)
    with file_server(FILES) as server:
        get(server.url, target)
    assert only(target)


@pytest.mark.parametrize("remains", [b"of another file" * 1000, DATA + b"more"], ids=["other content", "too long"])
def test_a_useless_part_is_dropped_and_all_is_fetched(target: Path, remains: bytes) -> None:
    target.parent.mkdir()
    part(target).write_bytes(remains)
    with file_server(FILES) as server:
        get(server.url, target)
    assert only(target)
    assert [asked for _, asked in server.requests] == [f"bytes={len(remains)}-", None]


@pytest.mark.parametrize("behaviour", [without_ranges, other_range])
def test_servers_that_do_not_serve_ranges_as_asked(target: Path, behaviour: Behaviour) -> None:
    with file_server(FILES, dropping, behaviour, good) as server:
        get(server.url, target)
    assert only(target)


def test_a_truncated_file(target: Path) -> None:
    with file_server({"/file": DATA[:-1000]}) as server, pytest.raises(CheckpointError, match="damaged"):
        get(server.url, target)
    assert list(target.parent.iterdir()) == []


def test_a_corrupted_file(target: Path) -> None:
    with file_server({"/file": DATA[:-1] + b"x"}) as server, pytest.raises(CheckpointError, match="damaged"):
        get(server.url, target)
    assert list(target.parent.iterdir()) == []


def test_a_file_that_changed_between_two_connections(target: Path) -> None:
    def corrupt(handler: Handler, data: bytes | None) -> None:
        dropping(handler, (data or b"")[::-1])

    with file_server(FILES, corrupt, good) as server:
        get(server.url, target)
    assert only(target)


def test_not_found_is_said_at_once(target: Path) -> None:
    with file_server({}) as server, pytest.raises(CheckpointError, match="404 Not Found"):
        get(server.url, target)
    assert len(server.requests) == 1
    assert list(target.parent.iterdir()) == []


def test_refused_is_said_at_once(target: Path) -> None:
    with file_server(FILES, forbidden) as server, pytest.raises(CheckpointError, match="403"):
        get(server.url, target)
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(target: Path) -> None:
    with file_server(FILES, busy, good) as server:
        get(server.url, target)
    assert only(target)


def test_a_server_that_stays_busy(target: Path) -> None:
    with file_server(FILES, busy) as server, pytest.raises(CheckpointError, match=r"3 times \(503"):
        get(server.url, target, attempts=3)
    assert len(server.requests) == 3


def test_an_endless_file(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 5 * 2**20)
    with file_server(FILES, endless) as server, pytest.raises(CheckpointError, match="too large"):
        get(server.url, target)
    assert not target.exists()
    assert part(target).stat().st_size == 0


def test_offline(target: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(CheckpointError, match=r"Cannot reach 127\.0\.0\.1.*HPINET_AUTHORS_URL"):
        get(url, target)


@pytest.mark.parametrize("url", ["ftp://example.org", "nonsense", "http://", "http://host:port", "file:///etc"])
def test_addresses_that_are_none(target: Path, url: str) -> None:
    with pytest.raises(CheckpointError, match="address"):
        get(url, target)


def test_cancelling_keeps_what_arrived(target: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise Cancelled

    with file_server(FILES) as server:
        with pytest.raises(Cancelled):
            get(server.url, target, progress=stop)
        assert not target.exists()
        get(server.url, target)
    assert only(target)
    assert (server.requests[1][1] or "").startswith("bytes=")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file in its place")
    with file_server(FILES) as server, pytest.raises(CheckpointError, match="Cannot write"):
        get(server.url, tmp_path / "folder" / "file")


def test_digests(tmp_path: Path) -> None:
    file = tmp_path / "hello"
    file.write_bytes(b"hello\n")
    assert Digest("sha256", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03").matches(file)
    assert Digest("git-blob", "ce013625030ba8dba906f756967f9e9ca394464a").matches(file)  # git hash-object
    assert not Digest("sha256", "0" * 64).matches(file)
