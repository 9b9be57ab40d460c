"""JPEG XL: what its header says (ISO/IEC 18181-1), which the decoder keeps to itself, and the decoding.

Its library gives samples in the colours of the file, as far as those are named by numbers; a profile it does not hand
out. Such files are refused by name, unless they were lossily packed, when the library gives sRGB, or hold a JPEG.
"""

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from hpinet.errors import ImageError
from hpinet.images import colour as colours
from hpinet.images.metadata import Metadata
from hpinet.images.notes import ANIMATED
from hpinet.images.picture import Picture, from_samples, from_unit, stretched, unmultiplied, upright_size

START = b"\xff\x0a"  # of a code stream
_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_BESIDE = (b"Exif", b"xml ", b"jbrd")  # boxes beside the code that are of use
_MOST_BOXES, _MOST_UNPACKED = 4096, 2_000_000  # looked at; bytes of one
_MOST_HEADER = 4096  # bytes of code
_ALPHA, _BLACK = 0, 4  # kinds of extra channels
_IGNORED = {1, 3, 6}  # depth, selection, thermal
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_CUSTOM, _UNKNOWN = 2, 2
_GREY = 1
_WHITES = {1: (0.3127, 0.329), 10: (1 / 3, 1 / 3), 11: (0.314, 0.351)}
_PRIMARIES = {
    1: (0.639998686, 0.330010138, 0.300003784, 0.600003357, 0.150002046, 0.059997204),
    9: (0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
_GAMMAS = {8: 1.0, 17: 2.6}  # the curve of BT.709 is taken for sRGB's, as everywhere


@dataclass
class Header:
    """What the header says."""

    width: int  # as stored
    height: int
    orientation: int = 1
    bits: int = 8
    is_float: bool = False
    is_animated: bool = False
    extras: tuple[tuple[int, bool], ...] = ()  # kind of each extra channel, and whether it is premultiplied alpha
    is_xyb: bool = True  # lossy, in the codec's own colours
    has_profile: bool = False
    is_grey: bool = False
    white: tuple[float, ...] = _WHITES[1]
    primaries: tuple[float, ...] = _PRIMARIES[1]
    transfer: int = 13
    gamma: float | None = None


def decode_jxl(data: bytes, check_size: Callable[[int, int], None], decode_jpeg: Callable[[bytes], Picture]) -> Picture:
    """A JPEG XL picture, upright; ``decode_jpeg`` is for a JPEG that was packed anew."""
    import imagecodecs  # noqa: PLC0415 (slow to import)

    boxes, stream = apart(data)
    header = read_header(stream)
    check_size(*upright_size((header.width, header.height), header.orientation))
    if b"jbrd" in boxes:
        with suppress(imagecodecs.JpegxlError):
            picture = decode_jpeg(bytes(imagecodecs.jpegxl_decode_jpeg(data, numthreads=1)))
            return replace(picture, format="JXL")
    _refuse(header)
    samples = np.asarray(imagecodecs.jpegxl_decode(data, 0, numthreads=1))
    samples = samples[..., None] if samples.ndim == 2 else samples
    if samples.shape[2] > 4:
        raise ImageError("This JPEG XL file has more channels than colour and alpha: save it as PNG.")
    samples = _to_8_or_16_bits(samples, header)
    if samples.shape[2] % 2 == 0 and (_ALPHA, True) in header.extras:
        samples = np.dstack((unmultiplied(samples[..., :-1], samples[..., -1]), samples[..., -1]))
    profile, gamma = _meant(header)
    picture = from_samples(samples, profile=profile, gamma=gamma, orientation=1, format="JXL")
    notes = (*picture.notes, *((ANIMATED,) if header.is_animated else ()))
    return replace(picture, notes=notes, metadata=_metadata(boxes))


def _refuse(header: Header) -> None:
    """Refuse, by name, what would come out wrong."""
    colours.refuse_hdr(header.transfer)
    others = {kind for kind, _ in header.extras} - {_ALPHA} - _IGNORED
    if others:
        kind = "CMYK" if _BLACK in others else "spot colours"
        raise ImageError(f"This JPEG XL file has {kind}, which cannot be read here: save it as RGB.")
    if header.has_profile and not header.is_xyb:
        raise ImageError("This JPEG XL file has a colour profile that cannot be read here: save it as PNG.")


def _to_8_or_16_bits(samples: np.ndarray, header: Header) -> np.ndarray:
    if samples.dtype.kind == "f":
        if (converted := from_unit(samples)) is None:
            raise ImageError("This JPEG XL file has samples beyond 0 to 1: save it as SDR, with 16 bits.")
        return converted
    bits = header.bits if samples.dtype != np.uint8 or header.bits < 8 else 8
    return stretched(samples, bits)


def _meant(header: Header) -> tuple[bytes | None, float | None]:
    """The profile, or gamma of grey, that the header's numbers mean (None: sRGB)."""
    if header.has_profile:  # lossy: the library gives sRGB
        return None, None
    gamma = header.gamma or _GAMMAS.get(header.transfer)
    if gamma is not None and abs(gamma / 2.2 - 1) < 0.05:
        gamma = None
    if header.is_grey:
        return None, (None if gamma is None else 1 / gamma)
    named = (*header.white, *header.primaries)
    profile = colours.profile_by_chromaticities(named, gamma)
    return profile, (None if profile or gamma is None else 1 / gamma)


def _metadata(boxes: dict[bytes, bytes]) -> Metadata:
    exif, start = boxes.get(b"Exif", b""), 0
    if len(exif) > 4 and exif[:4] not in (b"II*\0", b"MM\0*"):  # where the data begin, which some leave out
        start = 4 + int.from_bytes(exif[:4], "big")
    return Metadata(exif[start:], boxes.get(b"xml ", b""))


def apart(data: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """The boxes of a container that are of use, the first of each kind, and the beginning of the code."""
    if not data.startswith(_CONTAINER):
        return {}, data
    boxes: dict[bytes, bytes] = {}
    stream = b""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            break
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1 and at + 16 <= len(data):
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        end = len(data) if size == 0 else at + size
        if end < at + head:
            break
        body = data[at + head : end]
        if kind == b"jxlc":
            stream = stream or body
        elif kind == b"jxlp" and len(stream) < _MOST_HEADER:
            stream += body[4:]
        told = body[:4] if kind == b"brob" else kind
        if told in _BESIDE and told not in boxes:
            boxes[told] = _unpacked(body[4:]) if kind == b"brob" else body
        at = end
    return boxes, stream


def _unpacked(packed: bytes) -> bytes:
    """Nothing of what is damaged, or too large."""
    from imagecodecs import brotli_decode  # noqa: PLC0415

    with suppress(Exception):
        return bytes(brotli_decode(packed, out=_MOST_UNPACKED))
    return b""


class _Bits:
    """Reads a stream's bits, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data[:_MOST_HEADER], "little")
        self._left = 8 * min(len(data), _MOST_HEADER)

    def read(self, count: int) -> int:
        if count > self._left:
            raise ValueError("the header is cut off")
        value = self._number & ((1 << count) - 1)
        self._number >>= count
        self._left -= count
        return value

    def flag(self) -> bool:
        return bool(self.read(1))

    def pick(self, *choices: int | tuple[int, int]) -> int:
        """One of four: a number, or so many bits and what to add to them."""
        chosen = choices[self.read(2)]
        return chosen if isinstance(chosen, int) else self.read(chosen[0]) + chosen[1]

    def enum(self) -> int:
        return self.pick(0, 1, (4, 2), (6, 18))


def read_header(stream: bytes) -> Header:
    """The header of a code stream. Raises ValueError if it is damaged."""
    if stream[:2] != START:
        raise ValueError("there is no code")
    bits = _Bits(stream[2:])
    width, height = _size(bits)
    header = Header(width, height)
    if bits.flag():  # all as usual
        return header
    if bits.flag():
        header.orientation = bits.read(3) + 1
        if bits.flag():
            _size(bits)  # at which it is meant to be shown
        if bits.flag():
            _preview(bits)
        if bits.flag():
            header.is_animated = True
            bits.pick(100, 1000, (10, 1), (30, 1))
            bits.pick(1, 1001, (8, 1), (10, 1))
            bits.pick(0, (3, 0), (16, 0), (32, 0))
            bits.flag()
    header.bits, header.is_float = _depth(bits)
    bits.flag()  # whether 16 bits are enough for the decoder
    header.extras = tuple(_extra(bits) for _ in range(bits.pick(0, 1, (4, 2), (12, 1))))
    header.is_xyb = bits.flag()
    if not bits.flag():
        _colours(bits, header)
    return header


def _size(bits: _Bits) -> tuple[int, int]:
    def length() -> int:
        return 8 * (bits.read(5) + 1) if is_small else bits.pick((9, 1), (13, 1), (18, 1), (30, 1))

    is_small = bits.flag()
    height = length()
    ratio = bits.read(3)
    if ratio == 0:
        return length(), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def _preview(bits: _Bits) -> None:
    def length() -> int:
        return bits.pick(16, 32, (5, 1), (9, 33)) if in_eights else bits.pick((6, 1), (8, 65), (10, 321), (12, 1345))

    in_eights = bits.flag()
    length()
    if bits.read(3) == 0:
        length()


def _depth(bits: _Bits) -> tuple[int, bool]:
    if not bits.flag():
        return bits.pick(8, 10, 12, (6, 1)), False
    depth = bits.pick(32, 16, 24, (6, 1))
    bits.read(4)  # of them for the exponent
    return depth, True


def _extra(bits: _Bits) -> tuple[int, bool]:
    if bits.flag():
        return _ALPHA, False
    kind = bits.enum()
    _depth(bits)
    bits.pick(0, 3, 4, (3, 1))  # how much smaller it is
    bits.read(8 * bits.pick(0, (4, 0), (5, 16), (10, 48)))  # its name
    is_premultiplied = kind == _ALPHA and bits.flag()
    if kind == 2:  # a spot colour
        bits.read(64)
    if kind == 5:
        bits.pick(1, (2, 0), (4, 3), (8, 19))
    return kind, is_premultiplied


def _colours(bits: _Bits, header: Header) -> None:
    header.has_profile = bits.flag()
    space = bits.enum()
    header.is_grey = space == _GREY
    if header.has_profile:
        return
    if space not in (0, _GREY):
        raise ImageError("This JPEG XL file has colours of an unknown kind: save it as PNG.")
    white = bits.enum()
    header.white = _point(bits) if white == _CUSTOM else _WHITES.get(white, _WHITES[1])
    if space != _GREY:
        primaries = bits.enum()
        custom = primaries == _CUSTOM
        header.primaries = (*_point(bits), *_point(bits), *_point(bits)) if custom else _PRIMARIES.get(primaries, ())
        if not header.primaries:
            raise ImageError("This JPEG XL file has colours of an unknown kind: save it as PNG.")
    if bits.flag():
        exponent = bits.read(24) / 1e7
        header.transfer, header.gamma = _UNKNOWN, (1 / exponent if exponent > 0 else None)
    else:
        header.transfer = bits.enum()


def _point(bits: _Bits) -> tuple[float, float]:
    """x and y, in millionths; even numbers are positive."""
    choices = ((19, 0), (19, 524288), (20, 1048576), (21, 2097152))
    packed = bits.pick(*choices), bits.pick(*choices)
    x, y = ((number >> 1) ^ -(number & 1) for number in packed)
    return x / 1e6, y / 1e6
