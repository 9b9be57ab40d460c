"""PNG files split into what makes the pixels and what is said beside them, so that the latter cannot spoil the former.

Decoders refuse a whole file over a checksum, a long text or a large profile; here such a chunk is left out.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import cast

from hpinet.images.metadata import Metadata

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_KEY = b"tRNS"  # which colours are transparent
_KEY_LENGTHS = {0: (2,), 2: (6,), 3: range(257)}  # by kind of colour
_MOST_TEXT = 2_000_000  # bytes of XMP and the like
_XMP, _IPTC = b"XML:com.adobe.xmp\0", b"Raw profile type iptc\0"  # keywords
# How chunks begin that say something
_SAID = (b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"eXIf", b"pHYs", b"iTXt" + _XMP, b"zTXt" + _IPTC)
_MOST_CHUNKS = 100_000  # many times what programs write
_INCH = 0.0254  # metres
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
    xmp: bytes = b""
    iptc: bytes = b""
    dpi: tuple[float, float] | None = None  # pixels an inch


def split(data: bytes) -> tuple[bytes, SideData, bool]:
    """The file with nothing but its pixels, the side data, and whether some of that was damaged and left out.

    Of several chunks that say the same, the first counts. Raises ValueError for a file of next to nothing but chunks.
    """
    kept, side, damaged = [_SIGNATURE], SideData(), False
    at, count, unsaid = len(_SIGNATURE), 0, set[bytes](_SAID)
    header = data[16:29]
    while at + 8 <= len(data):
        count += 1
        if count > _MOST_CHUNKS:
            raise ValueError("more parts than pictures have")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind in _PIXELS:
            kept.append(data[at:end])
        elif end > len(data) or data[end - 4 : end] != struct.pack(">I", zlib.crc32(data[at + 4 : end - 4])):
            damaged = True
            if not data[end + 4 : end + 8].isalpha():  # its length is wrong as well
                pixels = data.find(b"IDAT", at + 8)
                end = len(data) if pixels < 0 else pixels - 4
        elif kind == _KEY:
            fits = length in _KEY_LENGTHS.get(header[9], ())
            damaged |= not fits
            kept += [data[at:end]] * fits
        elif sign := next((sign for sign in unsaid if data.startswith(sign, at + 4)), None):
            unsaid.remove(sign)
            damaged |= not _note(side, kind, data[at + 4 + len(sign) : end - 4])
        at = end
        if kind == b"IEND":
            break
    return b"".join(kept), side, damaged


def _note(side: SideData, kind: bytes, body: bytes) -> bool:
    """Takes down what a chunk of `_SAID` says behind its keyword, if it has one; False if it makes no sense."""
    try:
        if kind == b"iCCP":
            side.profile = _unpacked(body[body.index(b"\0") + 2 :], _MOST_PROFILE)
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
        elif kind == b"pHYs":
            across, down, unit = struct.unpack(">IIB", body)
            side.dpi = (across * _INCH, down * _INCH) if unit and across and down else None
        elif kind == b"iTXt":
            side.xmp = _international(body)
        elif kind == b"zTXt":
            side.iptc = _raw_profile(_unpacked(body[1:], _MOST_TEXT))
    except (ValueError, IndexError, struct.error, zlib.error):
        return False
    return True


def _unpacked(packed: bytes, most: int) -> bytes:
    """Raises ValueError if it does not end, or is larger than ``most``."""
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(packed, most)
    if not unpacker.eof:
        raise ValueError("data are cut off, or too large")
    return data


def _international(body: bytes) -> bytes:
    """The text of an iTXt chunk, of which the keyword is gone."""
    is_packed, rest = body[0], body[2:]
    text = rest.split(b"\0", 2)[2]  # after language and translated keyword
    return _unpacked(text, _MOST_TEXT) if is_packed else text


def _raw_profile(text: bytes) -> bytes:
    """What ImageMagick and ExifTool write where PNG has no place: a name, a length and hexadecimal digits."""
    _, _, length, *digits = text.split(b"\n")
    return bytes.fromhex(b"".join(digits).decode("ascii"))[: int(length)]


def metadata_chunks(metadata: Metadata) -> bytes:
    """The chunks of what is kept beside colour."""
    chunks = list[tuple[bytes, bytes]]()
    if metadata.dpi:
        across, down = (min(2**31 - 1, round(each / _INCH)) for each in metadata.dpi)
        chunks.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append((b"iTXt", _XMP + bytes(4) + metadata.xmp))
    if metadata.iptc:
        text = b"\niptc\n%8d\n%s\n" % (len(metadata.iptc), metadata.iptc.hex().encode())
        chunks.append((b"zTXt", _IPTC + b"\0" + zlib.compress(text)))
    return b"".join(chunk(kind, body) for kind, body in chunks)


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def is_animated(data: bytes) -> bool:
    """Whether the chunk that announces several frames comes before the pixels."""
    return b"\0\0\0\x08acTL" in data[: data.find(b"IDAT")]
