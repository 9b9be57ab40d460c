"""PNG files split into what makes the pixels and what is said beside them, so that the latter cannot spoil the former.

Decoders refuse a whole file over a checksum, a long text or a large profile; here such a chunk is left out.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import cast

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_MOST_PROFILE = 32_000_000  # bytes of an ICC profile once unpacked: beyond any that exists


@dataclass
class SideData:
    """What a PNG says about its pixels' colour and position; chunks with wrong checksums or lengths say nothing."""

    profile: bytes | None = None
    is_srgb: bool = False
    gamma: float | None = None
    chromaticities: tuple[float, ...] | None = None  # x and y of white, red, green and blue
    cicp: tuple[int, int, int, int] | None = None  # primaries, transfer, matrix, full range (ITU-T H.273)
    exif: bytes | None = None


def split(data: bytes) -> tuple[bytes, SideData, bool]:
    """The file with nothing but its pixels, the side data, and whether some of that was damaged and left out."""
    kept, side, damaged = [_SIGNATURE], SideData(), False
    at = len(_SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind in _PIXELS:
            kept.append(data[at:end])
        elif end > len(data) or data[end - 4 : end] != struct.pack(">I", zlib.crc32(data[at + 4 : end - 4])):
            damaged = True
        else:
            damaged |= not _note(side, kind, data[at + 8 : end - 4])
        at = end
        if kind == b"IEND":
            break
    return b"".join(kept), side, damaged


def _note(side: SideData, kind: bytes, body: bytes) -> bool:
    """Takes down what a chunk says; False if it makes no sense."""
    try:
        if kind == b"iCCP":
            packed = body[body.index(b"\0") + 2 :]
            unpacker = zlib.decompressobj()
            side.profile = unpacker.decompress(packed, _MOST_PROFILE)
            if not unpacker.eof:
                side.profile = None
                return False
        elif kind == b"sRGB":
            side.is_srgb = True
        elif kind == b"gAMA":
            side.gamma = struct.unpack(">I", body)[0] / 100_000
        elif kind == b"cHRM":
            side.chromaticities = tuple(value / 100_000 for value in struct.unpack(">8I", body))
        elif kind == b"cICP":
            side.cicp = cast(tuple[int, int, int, int], struct.unpack(">4B", body))
        elif kind == b"eXIf":
            side.exif = body
    except (ValueError, struct.error, zlib.error):
        return False
    return True
