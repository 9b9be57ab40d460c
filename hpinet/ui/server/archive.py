"""ZIP files from strangers, unpacked without trusting a word they say about themselves."""

import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hpinet.errors import HPINetError, ImageError
from hpinet.progress import Progress, ignore
from hpinet.ui.server.storage import FULL, is_full

MAX_UNPACKED_BYTES = 1_000_000_000
_CHUNK = 1 << 20
_DAMAGED = "It is damaged, or packed in an unusual way."
_IS_UTF_8 = 1 << 11  # flag of an entry's name (APPNOTE.TXT 4.4.4)
_UNICODE_PATH = 0x7075  # extra field with the name in UTF-8 (APPNOTE.TXT 4.6.9)
_USUAL = (  # letters of names: Latin, accents, Greek, Cyrillic, Hebrew, Arabic
    range(0xA1, 0x180),
    range(0x218, 0x21C),
    range(0x2B0, 0x370),
    range(0x386, 0x3CF),
    range(0x400, 0x460),
    range(0x490, 0x492),
    range(0x5D0, 0x5EB),
    range(0x600, 0x700),
)
_EAST_ASIAN = {  # encodings of names on Windows there, and lead bytes of their everyday characters
    "cp932": (range(0x82, 0x84), range(0x88, 0x98)),  # kana, and kanji of level 1
    "gbk": (range(0xB0, 0xD8),),  # hanzi of level 1
}


@dataclass(frozen=True)
class Unpacked:
    """A file of an archive."""

    name: str  # with its folders, as people see it
    path: Path | None  # None if it was not unpacked
    trouble: str = ""  # why not


@dataclass
class Room:
    """How many bytes may come out of archives that belong together, whatever becomes of them then."""

    of_file: int  # of each
    left: int = MAX_UNPACKED_BYTES  # of all


def unpack(archive: Path, folder: Path, room: Room, *, progress: Progress = ignore) -> list[Unpacked]:
    """Unpacks the files of a ZIP into ``folder`` under names of our own; they take ``room``.

    Folders, hidden files and the extras of macOS are left out. A file that is encrypted, damaged, too large, a link, or
    named so that it would lie outside of the archive is told of and stays packed. ``progress`` hears of each file, and
    before the first of how many there are. Raises ImageError if the archive itself is damaged or unpacks to too much,
    and what ``progress`` raises; nothing is kept then.
    """
    unpacked: list[Unpacked] = []
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [entry for entry in file.infolist() if not entry.is_dir() and _is_told_of(entry.filename)]
            progress(0, len(entries))
            for number, (entry, name) in enumerate(zip(entries, _names(entries), strict=True)):
                path = folder / f"{number:04d}"
                trouble = _trouble(entry, name)
                if not trouble:
                    trouble, size = _extract(file, entry, path, min(room.of_file, room.left))
                    room.left -= size
                if room.left < 0:
                    raise ImageError(f"{archive.name} unpacks to more than this page accepts.")
                if trouble:
                    path.unlink(missing_ok=True)
                unpacked.append(Unpacked(name, None if trouble else path, trouble))
                progress(number + 1, len(entries))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        _discard(folder)
        raise ImageError(f"{archive.name} is damaged or packed in an unusual way.") from error
    except HPINetError:
        _discard(folder)
        raise
    return unpacked


def _is_told_of(name: str) -> bool:
    """Whether an entry counts; what makes one an extra is ASCII, which reads the same whatever its encoding is."""
    return leads_outside(name) or not is_extra(name)


def _trouble(entry: zipfile.ZipInfo, name: str) -> str:
    """Why an entry is not even looked at; empty if it may be unpacked."""
    if leads_outside(name):
        return "Its name leads outside of the ZIP, so it was not unpacked."
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "It is a link, so it was not unpacked."
    if entry.flag_bits & 1:
        return "It is encrypted: pack it without a password."
    return ""


def _extract(file: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, most: int) -> tuple[str, int]:
    """Unpacks an entry; what was wrong, if anything, and the bytes that came out: ``most`` and a chunk at most."""
    size = 0
    try:
        with file.open(entry) as source, path.open("wb") as target:
            while chunk := source.read(_CHUNK):  # the header's own sizes may lie
                size += len(chunk)
                if size > most:
                    return "It unpacks to more than this page accepts.", size
                target.write(chunk)
    except OSError as error:
        if is_full(error):
            raise ImageError(FULL) from error
        return _DAMAGED, size  # what bzip2 says of damage
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, ValueError):
        return _DAMAGED, size
    return "", size


def _names(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The names of entries as the people meant them who packed them.

    Python takes a name for code page 437 unless it is flagged as UTF-8. macOS writes UTF-8 without the flag, and
    Windows the code page of its country: what all such names of an archive have in common decides.
    """
    raw = [b"" if entry.flag_bits & _IS_UTF_8 else entry.orig_filename.encode("cp437") for entry in entries]
    encoding = _encoding_of([name for name in raw if not name.isascii()])
    names = [
        (_unicode_path(entry.extra, stored) or stored.decode(encoding, "replace")) if stored else entry.filename
        for entry, stored in zip(entries, raw, strict=True)
    ]
    return [name.split("\0", 1)[0] for name in names]


def _unicode_path(extra: bytes, stored: bytes) -> str:
    """The name in an entry's Unicode path field; empty if there is none for the name as it is ``stored``."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and body[:5] == struct.pack("<BL", 1, zlib.crc32(stored)):
            return body[5:].decode("utf-8", "replace")
    return ""


def _encoding_of(names: Sequence[bytes]) -> str:
    """The encoding that makes sense of all ``names``, which have other bytes than ASCII."""
    is_utf_8 = _decodes(names, "utf-8")
    if is_utf_8 and not _is_odd("".join(name.decode() for name in names)):
        return "utf-8"
    shares = {encoding: _everyday_share(names, encoding) for encoding in _EAST_ASIAN if _decodes(names, encoding)}
    best = max(shares, key=shares.__getitem__, default="cp437")
    is_east_asian = shares.get(best, 0) > 0.5 and not _look_western(names)
    return best if is_east_asian else "utf-8" if is_utf_8 else "cp437"


def _is_odd(text: str) -> bool:
    """Whether a text has letters of two bytes of UTF-8 that no name has: it may be GBK, as 图片 reads ͼƬ."""
    return any(0x80 <= ord(letter) < 0x800 and not any(ord(letter) in usual for usual in _USUAL) for letter in text)


def _decodes(names: Sequence[bytes], encoding: str) -> bool:
    try:
        for name in names:
            name.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _everyday_share(names: Sequence[bytes], encoding: str) -> float:
    """Which part of the characters beyond ASCII are everyday ones in an East Asian encoding."""
    characters = [character for name in names for character in name.decode(encoding) if not character.isascii()]
    leads = [character.encode(encoding)[0] for character in characters if len(character.encode(encoding)) == 2]
    return sum(any(lead in some for some in _EAST_ASIAN[encoding]) for lead in leads) / len(characters)


def _look_western(names: Sequence[bytes]) -> bool:
    """Whether in code page 437 all are words with an accent here and there, which East Asian ones rarely look like."""
    words = re.findall(r"[^\W\d_]+", " ".join(name.decode("cp437") for name in names))
    accented = [word for word in words if not word.isascii()]
    letters = all(byte < 128 or byte <= 0xA5 or byte == 0xE1 for name in names for byte in name)
    sparse = all(sum(not letter.isascii() for letter in word) <= 0.4 * len(word) for word in accented)
    return letters and bool(accented) and sparse


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
