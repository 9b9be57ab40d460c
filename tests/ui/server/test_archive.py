"""ZIP files from strangers."""

import io
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from hpinet.errors import ImageError
from hpinet.ui.server import archive
from hpinet.ui.server.archive import unpack


def pack(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def test_names_and_contents(tmp_path: Path) -> None:
    source = pack(tmp_path / "a.zip", {"one.png": b"1", "sub/two.png": b"22", "sub/": b""})
    (tmp_path / "out").mkdir()
    unpacked = unpack(source, tmp_path / "out", max_file_bytes=10)
    assert [(name, path.read_bytes()) for name, path in unpacked] == [("one.png", b"1"), ("sub/two.png", b"22")]
    assert all(path.parent == tmp_path / "out" for _, path in unpacked)


def test_hidden_files_and_extras_of_macos_are_left_out(tmp_path: Path) -> None:
    source = pack(tmp_path / "a.zip", {".DS_Store": b"x", "__MACOSX/._one.png": b"x", "one.png": b"1"})
    assert [name for name, _ in unpack(source, tmp_path, max_file_bytes=10)] == ["one.png"]


@pytest.mark.parametrize("name", ["../out.png", "/etc/passwd", "a/../../b", "C:/x.png", "..\\x.png", "C:\\x.png"])
def test_names_outside_of_the_archive(tmp_path: Path, name: str) -> None:
    """Such an entry is one line of the report; the others are unpacked."""
    folder = tmp_path / "out"
    folder.mkdir()
    source = pack(tmp_path / "a.zip", {"fine.png": b"1", name: b"2"})
    (fine, path), (_, reason) = unpack(source, folder, max_file_bytes=10)
    assert fine == "fine.png"
    assert isinstance(path, Path)
    assert isinstance(reason, str)
    assert list(folder.iterdir()) == [path]


def test_symbolic_links(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    [(name, reason)] = unpack(tmp_path / "a.zip", tmp_path, max_file_bytes=100)
    assert name == "link.png"
    assert "leads out" in str(reason)


def test_a_bomb_stops_at_the_limit_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    source = pack(tmp_path / "a.zip", {"fine.png": b"1", "bomb.png": bytes(50_000_000)})
    assert source.stat().st_size < 100_000
    with pytest.raises(ImageError, match="more than this page accepts"):
        unpack(source, folder, max_file_bytes=1_000_000)
    assert list(folder.iterdir()) == []


def test_many_middling_files_are_a_bomb_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 2500)
    source = pack(tmp_path / "a.zip", {f"{number}.png": bytes(1000) for number in range(3)})
    with pytest.raises(ImageError, match="more than this page accepts"):
        unpack(source, tmp_path, max_file_bytes=1000)


def test_sizes_in_headers_are_not_believed(tmp_path: Path) -> None:
    """A header that promises 10 bytes where a megabyte follows: the promise, or an error, but never the megabyte."""
    data = bytearray(pack(tmp_path / "a.zip", {"x.png": bytes(1_000_000)}).read_bytes())
    size = (1_000_000).to_bytes(4, "little")
    lying = bytes(data).replace(size, (10).to_bytes(4, "little"))
    (tmp_path / "b.zip").write_bytes(lying)
    with pytest.raises(ImageError):
        unpack(tmp_path / "b.zip", tmp_path, max_file_bytes=1000)


def test_too_many_files(tmp_path: Path) -> None:
    source = pack(tmp_path / "a.zip", {f"{number}.png": b"" for number in range(archive.MAX_ENTRIES + 1)})
    with pytest.raises(ImageError, match="501 files"):
        unpack(source, tmp_path, max_file_bytes=1000)


def test_damaged_and_encrypted(tmp_path: Path) -> None:
    whole = pack(tmp_path / "a.zip", {"x.png": bytes(range(256)) * 20}, zipfile.ZIP_STORED).read_bytes()
    encrypted = bytearray(whole)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[whole.index(signature) + offset] |= 1
    spoilt = bytearray(whole)
    spoilt[60] ^= 255  # a bad checksum
    for data in (b"", b"PK\x03\x04 nothing more", whole[: len(whole) // 2], bytes(encrypted), bytes(spoilt)):
        path = tmp_path / "b.zip"
        path.write_bytes(data)
        with pytest.raises(ImageError):
            unpack(path, tmp_path, max_file_bytes=10_000)


def test_a_file_is_not_an_archive_by_its_name(tmp_path: Path) -> None:
    stream = io.BytesIO(b"GIF89a")
    (tmp_path / "a.zip").write_bytes(stream.getvalue())
    with pytest.raises(ImageError, match="damaged"):
        unpack(tmp_path / "a.zip", tmp_path, max_file_bytes=10)


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("über.png", "utf-8"),
        ("日本語の写真.png", "utf-8"),
        ("写真テスト.png", "cp932"),
        ("我的照片.png", "gbk"),
        ("über.png", "cp437"),
    ],
)
def test_names_without_the_flag_of_utf_8(tmp_path: Path, name: str, encoding: str) -> None:
    raw = name.encode(encoding)
    stand_in = "x" * len(raw)
    data = pack(tmp_path / "a.zip", {stand_in: b"1"}).read_bytes().replace(stand_in.encode(), raw)
    (tmp_path / "a.zip").write_bytes(data)
    assert [name for name, _ in unpack(tmp_path / "a.zip", tmp_path, max_file_bytes=10)] == [name]


def test_unicode_path_field(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("x.png")
    body = b"\x01" + zlib.crc32(b"x.png").to_bytes(4, "little") + "Ω.png".encode()
    entry.extra = struct.pack("<HH", 0x7075, len(body)) + body
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(entry, b"1")
    assert [name for name, _ in unpack(tmp_path / "a.zip", tmp_path, max_file_bytes=10)] == ["Ω.png"]


def test_colons_in_names(tmp_path: Path) -> None:
    source = pack(tmp_path / "a.zip", {"Screenshot 10:32.png": b"1"})
    assert isinstance(unpack(source, tmp_path, max_file_bytes=10)[0][1], Path)
