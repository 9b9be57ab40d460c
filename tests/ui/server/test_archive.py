"""ZIP files from strangers."""

import errno
import io
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from hpinet.errors import Cancelled, ImageError
from hpinet.ui.server.archive import Room, unpack


def pack(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def test_names_and_contents(tmp_path: Path) -> None:
    source = pack(tmp_path / "a.zip", {"one.png": b"1", "sub/two.png": b"22", "sub/": b""})
    (tmp_path / "out").mkdir()
    unpacked = unpack(source, tmp_path / "out", Room(10))
    assert [(each.name, each.path and each.path.read_bytes()) for each in unpacked] == [
        ("one.png", b"1"),
        ("sub/two.png", b"22"),
    ]
    assert all(each.path and each.path.parent == tmp_path / "out" for each in unpacked)


def test_hidden_files_and_extras_of_macos_are_left_out(tmp_path: Path) -> None:
    source = pack(tmp_path / "a.zip", {".DS_Store": b"x", "__MACOSX/._one.png": b"x", "one.png": b"1"})
    assert [each.name for each in unpack(source, tmp_path, Room(10))] == ["one.png"]


@pytest.mark.parametrize("name", ["../out.png", "/etc/passwd", "a/../../b", "C:/x.png", "..\\x.png", "C:\\x.png"])
def test_names_outside_of_the_archive(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    source = pack(tmp_path / "a.zip", {"fine.png": b"1", name: b"2"})
    fine, outside = unpack(source, folder, Room(10))
    assert fine.path
    assert fine.path.read_bytes() == b"1"
    assert outside.path is None
    assert "outside of the ZIP" in outside.trouble
    assert list(folder.iterdir()) == [fine.path]


def test_symbolic_links(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    (tmp_path / "out").mkdir()
    (unpacked,) = unpack(tmp_path / "a.zip", tmp_path / "out", Room(100))
    assert unpacked.path is None
    assert "link" in unpacked.trouble
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bomb_stops_at_the_limit_and_stays_packed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    source = pack(tmp_path / "a.zip", {"fine.png": b"1", "bomb.png": bytes(50_000_000)})
    assert source.stat().st_size < 100_000
    fine, bomb = unpack(source, folder, Room(1_000_000))
    assert bomb.path is None
    assert "more than this page accepts" in bomb.trouble
    assert list(folder.iterdir()) == [fine.path]


def test_many_middling_files_are_a_bomb_too(tmp_path: Path) -> None:
    source = pack(tmp_path / "a.zip", {f"{number}.png": bytes(1000) for number in range(3)})
    with pytest.raises(ImageError, match="more than this page accepts"):
        unpack(source, tmp_path, Room(1000, left=2500))
    assert list(tmp_path.iterdir()) == [source]


def test_archives_that_come_together_share_the_room(tmp_path: Path) -> None:
    source, room = pack(tmp_path / "a.zip", {"a.png": bytes(1000)}), Room(1000, left=2500)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        assert unpack(source, tmp_path / name, room)[0].path
    with pytest.raises(ImageError, match="more than this page accepts"):
        unpack(source, tmp_path, room)


def test_sizes_in_headers_are_not_believed(tmp_path: Path) -> None:
    """A header that promises 10 bytes where a megabyte follows: the promise, or an error, but never the megabyte."""
    data = bytearray(pack(tmp_path / "a.zip", {"x.png": bytes(1_000_000)}).read_bytes())
    size = (1_000_000).to_bytes(4, "little")
    lying = bytes(data).replace(size, (10).to_bytes(4, "little"))
    (tmp_path / "b.zip").write_bytes(lying)
    (unpacked,) = unpack(tmp_path / "b.zip", tmp_path, Room(1000))
    assert unpacked.path is None
    assert unpacked.trouble


def test_what_is_unpacked_is_told_and_may_be_stopped(tmp_path: Path) -> None:
    files = {"a.png": b"1", "sub/": b"", "b.png": b"2", "c.png": b"3"}
    source = pack(tmp_path / "a.zip", {"__MACOSX/._a.png": b"x", ".DS_Store": b"x", **files})
    heard = list[tuple[int, int]]()

    def stop(done: int, total: int) -> None:
        heard.append((done, total))
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        unpack(source, tmp_path, Room(10), progress=stop)
    assert heard == [(0, 3), (1, 3), (2, 3)]  # extras and folders do not count
    assert list(tmp_path.iterdir()) == [source]


def test_damaged_and_encrypted(tmp_path: Path) -> None:
    whole = pack(tmp_path / "a.zip", {"x.png": bytes(range(256)) * 20}, zipfile.ZIP_STORED).read_bytes()
    path = tmp_path / "b.zip"
    for data in (b"", b"PK\x03\x04 nothing more", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(ImageError, match="damaged"):
            unpack(path, tmp_path, Room(10_000))
    encrypted = bytearray(whole)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[whole.index(signature) + offset] |= 1
    spoilt = bytearray(whole)
    spoilt[60] ^= 255  # a bad checksum
    for data, trouble in ((encrypted, "encrypted"), (spoilt, "damaged")):
        path.write_bytes(data)
        (unpacked,) = unpack(path, tmp_path, Room(10_000))
        assert unpacked.path is None
        assert trouble in unpacked.trouble


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_entry_that_is_damaged_leaves_the_others(packing: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(5000)
    data = bytearray(pack(tmp_path / "a.zip", {"bad.png": noise, "fine.png": noise}, packing).read_bytes())
    for place in range(60, 400):
        data[place] ^= 255
    (tmp_path / "a.zip").write_bytes(data)
    bad, fine = unpack(tmp_path / "a.zip", tmp_path, Room(10_000))
    assert bad.path is None
    assert "damaged" in bad.trouble
    assert fine.path is not None
    assert fine.path.read_bytes() == noise


def test_a_full_disk_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    source = pack(tmp_path / "a.zip", {"x.png": b"1"})
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match="disk is full"):
        unpack(source, tmp_path, Room(10_000))


def pack_raw(path: Path, names: list[bytes], extra: bytes = b"") -> Path:
    """A ZIP whose names are these bytes, not flagged as UTF-8."""
    with zipfile.ZipFile(path, "w") as file:
        for number, name in enumerate(names):
            entry = zipfile.ZipInfo("#" * (len(name) - 1) + chr(ord("0") + number))
            entry.extra = extra
            file.writestr(entry, b"1")
    data = path.read_bytes()
    for number, name in enumerate(names):
        data = data.replace(b"#" * (len(name) - 1) + bytes([ord("0") + number]), name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("utf-8", ["über.png", "Straße/été.png"]),
        ("utf-8", ["u\u0308ber.png"]),  # macOS takes letters apart
        ("cp932", ["写真.png", "テスト表示/猫.jpg"]),
        ("cp932", ["アイス.png"]),
        ("cp932", ["さくら 2024.png"]),
        ("gbk", ["照片.png", "中文文件夹/小猫.jpg"]),
        ("gbk", ["我的图片.png"]),
        ("gbk", ["图片.png"]),  # in UTF-8 that would be two letters that nobody uses
        ("gbk", ["雪.png"]),
        ("utf-8", ["Привет.png", "Ελλάδα.jpg", "שלום.png", "مرحبا.png"]),
        ("cp437", ["über.png", "Hölle/Äther.png"]),
        ("cp437", ["été à la plage.png"]),
        ("cp437", ["Öl.png"]),
        ("cp437", ["mañana.png"]),
    ],
)
def test_names_as_people_gave_them(tmp_path: Path, encoding: str, names: list[str]) -> None:
    source = pack_raw(tmp_path / "a.zip", [name.encode(encoding) for name in names])
    assert [each.name for each in unpack(source, tmp_path, Room(10))] == names


def test_the_unicode_path_field(tmp_path: Path) -> None:
    stored, meant = b"ber___.png", "über 日本.png"
    body = struct.pack("<BL", 1, zlib.crc32(stored)) + meant.encode()
    source = pack_raw(tmp_path / "a.zip", [stored], struct.pack("<HH", 0x7075, len(body)) + body)
    assert [each.name for each in unpack(source, tmp_path, Room(10))] == [meant]
    body = struct.pack("<BL", 1, 7) + meant.encode()  # of a name that was changed since
    source = pack_raw(tmp_path / "a.zip", [stored], struct.pack("<HH", 0x7075, len(body)) + body)
    assert [each.name for each in unpack(source, tmp_path, Room(10))] == [stored.decode()]


def test_colons_are_no_drives(tmp_path: Path) -> None:
    source = pack(tmp_path / "a.zip", {"12:30 Uhr.png": b"1"})
    (unpacked,) = unpack(source, tmp_path, Room(10))
    assert unpacked.name == "12:30 Uhr.png"
    assert unpacked.path


def test_a_file_is_not_an_archive_by_its_name(tmp_path: Path) -> None:
    stream = io.BytesIO(b"GIF89a")
    (tmp_path / "a.zip").write_bytes(stream.getvalue())
    with pytest.raises(ImageError, match="damaged"):
        unpack(tmp_path / "a.zip", tmp_path, Room(10))
