"""ZIP files from strangers, unpacked without trusting a word they say about themselves."""

import re
import stat
import struct
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path, PurePosixPath

from hpinet.errors import ImageError

MAX_ENTRIES = 500
MAX_UNPACKED_BYTES = 1_000_000_000
_CHUNK = 1 << 20
_ENCRYPTED, _UTF8 = 1, 0x800  # flags of an entry
_UNICODE_PATH, _FIELD = 0x7075, struct.Struct("<HH")  # an extra field, and the head of one


def unpack(archive: Path, folder: Path, *, max_file_bytes: int) -> list[tuple[str, Path | str]]:
    """Unpacks the files of a ZIP into ``folder`` under names of our own.

    Folders, hidden files and the extras of macOS are left out. Raises ImageError, and keeps nothing, if the archive is
    damaged, encrypted or too large.

    Returns for each file its name in the archive, as people gave it, and where it is; or instead what is wrong with it:
    names that lead out of the archive, and links.
    """
    unpacked: list[tuple[str, Path | str]] = []
    total = 0
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [entry for entry in file.infolist() if not entry.is_dir()]
            if len(entries) > MAX_ENTRIES:
                raise ImageError(f"{archive.name} holds {len(entries)} files; the limit is {MAX_ENTRIES}.")
            if any(entry.flag_bits & _ENCRYPTED for entry in entries):
                raise ImageError(f"{archive.name} is encrypted.")
            for number, (entry, name) in enumerate(zip(entries, _names(entries), strict=True)):
                if leads_outside(name) or stat.S_ISLNK(entry.external_attr >> 16):
                    unpacked.append((name, "This entry leads out of the archive, so it was not unpacked."))
                    continue
                if is_extra(name):
                    continue
                path = folder / f"{number:04d}"
                with file.open(entry) as source, path.open("wb") as target:
                    size = 0
                    while chunk := source.read(_CHUNK):  # the header's own sizes may lie
                        size += len(chunk)
                        total += len(chunk)
                        if size > max_file_bytes or total > MAX_UNPACKED_BYTES:
                            raise ImageError(f"{archive.name} unpacks to more than this page accepts.")
                        target.write(chunk)
                unpacked.append((name, path))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        _discard(folder)
        raise ImageError(f"{archive.name} is damaged, encrypted, or packed in an unusual way.") from error
    except ImageError:
        _discard(folder)
        raise
    return unpacked


def _names(entries: list[zipfile.ZipInfo]) -> list[str]:
    """The names people gave. Without the flag of UTF-8 an archive does not tell how it wrote them.

    In order: the Unicode path field; UTF-8, which other text hardly ever is by chance; Shift-JIS (of Windows in
    Japan) or GBK (in China) if all names are such and hold kana or the commonest Chinese characters; else CP437, the
    original one. One archive has one encoding.
    """
    raw = [b"" if entry.flag_bits & _UTF8 else entry.orig_filename.encode("cp437", "replace") for entry in entries]
    encoding = _encoding(b"\n".join(raw))
    names = []
    for entry, its_bytes in zip(entries, raw, strict=True):
        told = _unicode_path(entry.extra, its_bytes) if its_bytes else None
        name = told or (its_bytes.decode(encoding) if its_bytes else entry.filename)
        names.append(name.split("\0", 1)[0])
    return names


def _encoding(raw: bytes) -> str:
    if raw.isascii():
        return "ascii"
    readings: dict[str, str] = {}
    for encoding in ("utf-8", "cp932", "gbk"):
        with suppress(UnicodeDecodeError):
            readings[encoding] = raw.decode(encoding)
    if "utf-8" in readings:
        return "utf-8"
    counts = {encoding: _share_of_common(text) for encoding, text in readings.items()}
    best = max(counts, key=lambda encoding: counts[encoding], default="cp437")
    return best if counts.get(best, 0) > 0.5 else "cp437"


def _share_of_common(text: str) -> float:
    """How many of the letters beyond ASCII are kana or among the everyday characters (level 1) of Japan or China."""
    foreign = [letter for letter in text if ord(letter) > 127]
    return sum(_is_kana(letter) or _is_everyday(letter) for letter in foreign) / max(1, len(foreign))


def _is_kana(letter: str) -> bool:
    return "\u3041" <= letter <= "\u30fe"


def _is_everyday(letter: str) -> bool:
    if not "\u4e00" <= letter <= "\u9fff":
        return False
    level_1 = (("shift_jis", 0x88, 0x98), ("gb2312", 0xB0, 0xD7))  # lead bytes of the characters in daily use
    for encoding, first, last in level_1:
        with suppress(UnicodeEncodeError):
            if first <= letter.encode(encoding)[0] <= last:
                return True
    return False


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The name in the field 0x7075 (APPNOTE 4.6.9), unless the plain name has been changed since."""
    while len(extra) >= _FIELD.size:
        kind, length = _FIELD.unpack_from(extra)
        body, extra = extra[_FIELD.size : _FIELD.size + length], extra[_FIELD.size + length :]
        if kind == _UNICODE_PATH and body[:1] == b"\x01" and body[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
            with suppress(UnicodeDecodeError):
                return body[5:].decode()
    return None


def leads_outside(name: str) -> bool:
    """Whether a file's name with its folders, from a stranger, is none or would leave the folder it is put in."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return not parts or parts[0] == "/" or ".." in parts or re.match(r"[A-Za-z]:", parts[0]) is not None


def is_extra(name: str) -> bool:
    """Whether this is something that systems put beside pictures: hidden, or macOS's own."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _discard(folder: Path) -> None:
    for path in folder.glob("[0-9]*"):
        path.unlink(missing_ok=True)
