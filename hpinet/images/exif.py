"""EXIF data apart and together again, value by value as they are: no text is recoded, no number rounded.

Pillow's own class decodes all text as Latin-1 and writes ASCII, which costs names their accents.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

CAMERA, PLACE, INTEROPERABILITY = 34665, 34853, 40965  # tags that point to further directories
SHORT, LONG, RATIONAL = 3, 4, 5
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # of a value, by its kind
MOST_BYTES = 4_000_000  # of a directory with its values: beyond any that says something of a picture
_MOST_ENTRIES = 1000  # of a directory


@dataclass(frozen=True)
class Entry:
    """A tag with its values."""

    tag: int
    kind: int  # as in TIFF 6.0
    value: bytes  # in the byte order of all

    @property
    def count(self) -> int:
        """How many values there are."""
        return len(self.value) // _BYTES[self.kind]


@dataclass(frozen=True)
class Exif:
    """The directories of EXIF data, without thumbnail."""

    order: str = "<"  # or ">", as `struct` names it
    main: tuple[Entry, ...] = ()
    camera: tuple[Entry, ...] = ()
    place: tuple[Entry, ...] = ()

    def number(self, tag: int, default: float = 0) -> float:
        """The first value of a tag of the main or the camera's directory."""
        formats = {SHORT: "H", LONG: "I", RATIONAL: "II"}
        for entry in (*self.main, *self.camera):
            if entry.tag == tag and entry.kind in formats and entry.value:
                size = _BYTES[entry.kind]
                first, *divisor = struct.unpack(self.order + formats[entry.kind], entry.value[:size])
                return first / (divisor[0] or 1) if divisor else first
        return default

    def entry(self, tag: int, kind: int, number: float) -> Entry:
        """A tag with one value in the byte order of these data."""
        if kind == RATIONAL:
            return Entry(tag, kind, struct.pack(self.order + "II", round(number * 1000), 1000))
        return Entry(tag, kind, struct.pack(self.order + ("H" if kind == SHORT else "I"), round(number)))

    def to_bytes(self) -> bytes:
        """As in a file: a TIFF header and the directories."""
        header = (b"II*\0" if self.order == "<" else b"MM\0*") + struct.pack(self.order + "I", 8)
        return header + self.directories(8)

    def directories(self, start: int) -> bytes:
        """The directories alone, to lie at ``start`` of a file."""
        below = {tag: entries for tag, entries in ((CAMERA, self.camera), (PLACE, self.place)) if entries}
        pointers = [self.entry(tag, LONG, 0) for tag in below]
        main = [entry for entry in self.main if entry.tag not in (CAMERA, PLACE)]
        at = start + len(_directory(self.order, [*main, *pointers], start))
        pointers, parts = [], list[bytes]()
        for tag, entries in below.items():
            pointers.append(self.entry(tag, LONG, at))
            parts.append(_directory(self.order, entries, at))
            at += len(parts[-1])
        return b"".join((_directory(self.order, [*main, *pointers], start), *parts))


def read_exif(data: bytes, most: int = MOST_BYTES) -> Exif:
    """EXIF data, or the first directory of a TIFF and what is below, as far as these are no larger than ``most``.

    Damaged values are left out. Raises ValueError.
    """
    data = data.removeprefix(b"Exif\0\0")
    orders = {b"II*\0": "<", b"MM\0*": ">"}
    if data[:4] not in orders or len(data) < 8:
        raise ValueError("these are no EXIF data")
    order = orders[data[:4]]
    main = _read_directory(data, order, struct.unpack_from(order + "I", data, 4)[0], most)
    below = {
        entry.tag: _read_directory(data, order, struct.unpack(order + "I", entry.value)[0], most)
        for entry in main
        if entry.tag in (CAMERA, PLACE) and len(entry.value) == 4
    }
    return Exif(order, main, below.get(CAMERA, ()), below.get(PLACE, ()))


def _read_directory(data: bytes, order: str, start: int, most: int) -> tuple[Entry, ...]:
    if start + 2 > len(data):
        return ()
    count = min(struct.unpack_from(order + "H", data, start)[0], _MOST_ENTRIES, (len(data) - start - 2) // 12)
    entries: dict[int, Entry] = {}
    left = min(most, len(data))  # values may overlap, but together they are no larger than the data
    for number in range(count):
        at = start + 2 + 12 * number
        tag, kind, values = struct.unpack_from(order + "HHI", data, at)
        size = _BYTES.get(kind, 0) * values
        place = at + 8 if size <= 4 else struct.unpack_from(order + "I", data, at + 8)[0]
        if 0 < size <= left and place + size <= len(data):
            left -= size
            entries.setdefault(tag, Entry(tag, kind, data[place : place + size]))
    return tuple(entries.values())


def _directory(order: str, entries: Iterable[Entry], start: int) -> bytes:
    """A directory with its values, to lie at ``start`` of a file."""
    entries = sorted(entries, key=lambda entry: entry.tag)
    table, values = [struct.pack(order + "H", len(entries))], list[bytes]()
    at = start + 2 + 12 * len(entries) + 4
    for entry in entries:
        place = entry.value.ljust(4, b"\0")
        if len(entry.value) > 4:
            place = struct.pack(order + "I", at)
            values.append(entry.value + b"\0" * (len(entry.value) % 2))
            at += len(values[-1])
        table.append(struct.pack(order + "HHI", entry.tag, entry.kind, entry.count) + place)
    return b"".join((*table, bytes(4), *values))
