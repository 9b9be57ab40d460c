"""JPEG files apart: the segments before the pixels, which say what they are, and what is said beside them."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from hpinet.images.exif import read_exif
from hpinet.images.metadata import Metadata
from hpinet.images.notes import DEPTH_MAP, GAIN_MAP, ODD_PROFILE, further_pictures

_START, _SCAN, _END = b"\xff\xd8", 0xDA, 0xD9
_BODILESS = rb"\0\1\xc8\xd0-\xd8\xf0-\xfd\xff"  # markers that decoders step over, and what is none
_BEFORE = re.compile(rb"\xff[^\xd9%b]" % _BODILESS)  # a marker of the header,
_AFTER = re.compile(rb"\xff[^%b]" % _BODILESS)  # and one after it, where there is an end
_MOST_PARTS, _MOST_SCANS = 10_000, 500  # many times what cameras and editors write
_MOST_OF_HEADER = 300  # segments of a JPEG inside another file: 255 of them may be a profile
_MOST_BETWEEN = 500_000  # bytes of a header that belong to no segment: Pillow steps through them one by one
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of a header with the picture's size
_APPS, _COMMENT = range(0xE0, 0xF0), 0xFE
_JFIF, _EXIF, _PHOTOSHOP = 0xE0, 0xE1, 0xED  # XMP is where EXIF data are
EXIF, XMP, _RESOURCES = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
_ICC = b"ICC_PROFILE\0"
_MULTIPLE, _MPF, _ISO_GAIN_MAP = 0xE2, b"MPF\0", b"urn:iso:std:iso:ts:21496:-1"
_MP_ENTRIES, _THUMBNAIL = 0xB002, 0x010000
_GAIN_MAPS = (b"ns.adobe.com/hdr-gain-map/", b"ns.apple.com/HDRGainMap/", b'Semantic="GainMap"')
_DEPTH_MAPS = (b"photos/1.0/depthmap/", b'Semantic="Depth"', b"ns.apple.com/depthData/")
MOST_BODY = 65_533  # bytes of a segment
_IPTC = 0x0404  # number of a resource
_UNITS = {1: 1.0, 2: 2.54}  # of JFIF, in pixels an inch


@dataclass(frozen=True)
class Segment:
    """A marker with its body."""

    marker: int
    start: int  # of its first byte in the file
    end: int
    body: bytes

    @property
    def is_beside(self) -> bool:
        """Whether it is said beside the pixels: an application's, or a comment."""
        return self.marker in _APPS or self.marker == _COMMENT


def segments(data: bytes) -> Iterator[Segment]:
    """The segments before the first scan; none after one that is cut off."""
    for marker, start, end in _parts(data):
        if marker == _SCAN or end > len(data):
            return
        yield Segment(marker, start, end, data[start + 4 : end])


def check_effort(data: bytes) -> None:
    """Raises ValueError for a file that says next to nothing in so many parts that it would keep a machine busy."""
    parts = list(islice(_parts(data), _MOST_PARTS + 1))
    scans = [start for marker, start, _ in parts if marker == _SCAN]
    pixels = scans[0] if scans else len(data)
    between = pixels - len(_START) - sum(end - start for _, start, end in parts if start < pixels)
    if len(parts) > _MOST_PARTS or len(scans) > _MOST_SCANS or between > _MOST_BETWEEN:
        raise ValueError("more parts than pictures have")


def _parts(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The markers of the first picture that have a body, scans among them, each with its start and end in the file.

    The last one may be cut off.
    """
    at, pattern = len(_START), _BEFORE
    while found := pattern.search(data, at):
        start, marker = found.start(), data[found.start() + 1]
        if marker == _END:
            return
        if marker == _SCAN:
            pattern = _AFTER
        at = start + 2 + max(2, int.from_bytes(data[start + 2 : start + 4], "big"))
        yield marker, start, at


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height by the header: the largest where several are named, None where none is.

    Raises ValueError for a header of next to nothing but segments.
    """
    header = list(islice(segments(data), _MOST_OF_HEADER + 1))
    if len(header) > _MOST_OF_HEADER:
        raise ValueError("more parts than pictures have")
    frames = [segment.body for segment in header if segment.marker in _FRAMES and len(segment.body) >= 5]
    sizes = [(int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")) for body in frames]
    return (max(width for width, _ in sizes), max(height for _, height in sizes)) if sizes else None


def metadata_in(data: bytes) -> Metadata:
    """What is said of the picture beside its colour."""
    exif, xmp, iptc, dpi = b"", b"", b"", None
    for segment in segments(data):
        body = segment.body
        if segment.marker == _JFIF and body[:5] == b"JFIF\0" and len(body) >= 12 and body[7] in _UNITS:
            across, down = struct.unpack_from(">HH", body, 8)
            dpi = (across * _UNITS[body[7]], down * _UNITS[body[7]]) if across and down else None
        elif segment.marker == _EXIF and body.startswith(EXIF):
            exif = exif or body.removeprefix(EXIF)
        elif segment.marker == _EXIF and body.startswith(XMP):
            xmp = xmp or body.removeprefix(XMP)
        elif segment.marker == _PHOTOSHOP and body.startswith(_RESOURCES):
            iptc = iptc or _iptc_in(body.removeprefix(_RESOURCES))
    return Metadata(exif, xmp, iptc, dpi)


def beside(data: bytes) -> list[str]:
    """What is to be said of pictures beside the main one: gain maps, depth maps, further shots."""
    applications = [segment for segment in segments(data) if segment.is_beside]
    multiple = [segment for segment in applications if segment.marker == _MULTIPLE]
    index = next((segment for segment in multiple if segment.body.startswith(_MPF)), None)
    further = _shots(index.body.removeprefix(_MPF)) if index else 0
    said = b"".join(segment.body for segment in applications if segment.marker == _EXIF)

    def is_said(signs: tuple[bytes, ...]) -> bool:
        after = index.end if index and further else len(data)  # the others tell of themselves
        return any(sign in said or data.find(sign, after) >= 0 for sign in signs)

    notes = [] if _is_profile_whole(applications) else [ODD_PROFILE]
    if is_said(_GAIN_MAPS) or any(segment.body.startswith(_ISO_GAIN_MAP) for segment in multiple):
        return [*notes, GAIN_MAP]
    if is_said(_DEPTH_MAPS):
        return [*notes, DEPTH_MAP]
    return [*notes, further_pictures(further)] if further > 1 else notes


def _is_profile_whole(applications: list[Segment]) -> bool:
    """Whether all parts of an ICC profile are there, or none."""
    parts = [segment.body[12:14] for segment in applications if segment.body.startswith(_ICC)]
    return sorted(parts) == [bytes([number + 1, len(parts)]) for number in range(len(parts))]


def _shots(index: bytes) -> int:
    """How many pictures an index of CIPA DC-007 lists, thumbnails not counted."""
    try:
        directory = read_exif(index)
    except (ValueError, struct.error):
        return 0
    entries = next((entry.value for entry in directory.main if entry.tag == _MP_ENTRIES), b"")
    kinds = [struct.unpack_from(directory.order + "I", entries, at)[0] for at in range(0, len(entries) - 15, 16)]
    return sum(kind & 0xFF0000 != _THUMBNAIL for kind in kinds)


def iptc_segment(iptc: bytes) -> bytes:
    """IPTC data sets as a segment of Photoshop's; nothing if they do not fit."""
    body = _RESOURCES + b"8BIM" + struct.pack(">HHI", _IPTC, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body if iptc and len(body) <= MOST_BODY else b""


def _iptc_in(resources: bytes) -> bytes:
    """The IPTC data sets among Photoshop's resources."""
    at = 0
    while resources[at : at + 4] == b"8BIM" and at + 12 <= len(resources):
        kind, name = struct.unpack_from(">HB", resources, at + 4)
        at += 6 + (name + 2) // 2 * 2
        size = int.from_bytes(resources[at : at + 4], "big")
        if kind == _IPTC:
            return resources[at + 4 : at + 4 + size]
        at += 4 + size + size % 2
    return b""


def without(data: bytes, dropped: list[Segment]) -> bytes:
    """The file without some of its `segments`."""
    kept, at = [], 0
    for segment in dropped:
        kept.append(data[at : segment.start])
        at = segment.end
    return b"".join((*kept, data[at:]))


def alone(segment: Segment, data: bytes) -> bytes:
    """A tiny JPEG file with nothing beside its pixels but one of the `segments` of another one."""
    return _START + data[segment.start : segment.end] + _TINY


# One grey pixel, of which no decoder needs more than the header
_TINY = bytes.fromhex("ffc0000b080001000101011100") + bytes.fromhex("ffda00080101000000003f00") + b"\0\xff\xd9"
