"""WebP files split into pixels and what is said beside them, so that the latter cannot spoil the former."""

import struct
from dataclasses import dataclass

_PIXELS = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"}
_PROFILE, _EXIF, _XMP = b"ICCP", b"EXIF", b"XMP "
_FLAGS = {_PROFILE: 0x20, _EXIF: 0x08, _XMP: 0x04}  # of VP8X, which say what there is


@dataclass
class SideData:
    """What a WebP says beside its pixels."""

    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None


def split(data: bytes) -> tuple[bytes, SideData, bool]:
    """The file with nothing but its pixels, the side data, and whether some of that was damaged and left out."""
    kept, side, damaged = list[bytes](), SideData(), False
    at = 12  # after RIFF, its size and WEBP; the size may be wrong
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + size]
        if kind in _PIXELS:
            if kind == b"VP8X" and body:
                body = bytes([body[0] & ~sum(_FLAGS.values())]) + body[1:]
            kept.append(struct.pack("<4sI", kind, size) + body + b"\0" * (size % 2))
        elif len(body) < size:
            damaged = True
        elif kind == _PROFILE:
            side.profile = body
        elif kind == _EXIF:
            side.exif = body
        elif kind == _XMP:
            side.xmp = body
        at += 8 + size + size % 2
    pixels = b"".join(kept)
    return b"RIFF" + struct.pack("<I", 4 + len(pixels)) + b"WEBP" + pixels, side, damaged
