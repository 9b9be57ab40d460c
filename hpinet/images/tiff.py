"""TIFF: one decoder for every depth and layout of grey, RGB, CMYK and palette pictures; raws are refused by name."""

import logging
import math
import re
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from itertools import islice
from typing import Any

import numpy as np
from PIL import ExifTags, Image
from tifffile import TIFF, TiffFile, TiffPage

from hpinet.errors import ImageError
from hpinet.images import colour as colours
from hpinet.images import jpeg, jxl, png
from hpinet.images.exif import Entry, Exif, read_exif
from hpinet.images.formats import camera_raw, kind_of
from hpinet.images.metadata import Metadata, of_tiff
from hpinet.images.notes import FURTHER_CHANNELS
from hpinet.images.picture import Picture, from_samples, from_unit, profile_by_exif, stretched, unmultiplied

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what is odd about a file is not the terminal's affair

# Values of TIFF tags (TIFF 6.0, TIFF/EP, DNG 1.7)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8  # interpretations
_GREYS = {_WHITE_IS_ZERO, _BLACK_IS_ZERO}
_OF_SENSORS = {32803, 34892}  # colour filter array, linear raw
_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_RAW_COMPRESSIONS = {32767, 34713, 65535}  # Sony, Nikon, Pentax
_OLD_JPEG, _JPEG = 6, 7  # compressions
_PICTURES = {_JPEG, *TIFF.IMAGE_COMPRESSIONS}  # compressions of which each strip or tile is a file with a header
_UNSIGNED, _FLOAT = 1, 3  # sample formats
_PREMULTIPLIED, _NOT_PREMULTIPLIED = 1, 2  # meanings of an extra sample
_ALPHAS = {_PREMULTIPLIED, _NOT_PREMULTIPLIED}
_MOST_UNNAMED = 1  # extra samples of no known meaning that grey may have: with more, they may well be colours
_MOST_SAMPLES = 6  # a pixel: CMYK with alpha and one to spare, as in Pillow
_MOST_PAGES = 32  # looked at
_MOST_TOLD, _LEAST_READ = 16e6, 64  # bytes of all directories that are looked at; what a smaller read counts for
_MOST_STRIPS, _MOST_FILES = 250_000, 20_000  # or tiles: of any kind, and of those that are each a file
_MOST_NAMED = 2  # bytes that strips or tiles name together, by those of the file: equal ones may share theirs
_JPEG_2000 = rb"\xff\x4f\xff\x51"  # how the code of such a picture begins, before its size
_MOST_CODES = 16  # of a strip or tile, counted where they may be
_MASK = 4  # a bit of a page's kind
_DNG_VERSION, _SUB_IFDS, _INK_SET, _CMYK_INKS = 50706, 330, 332, 1
_WHITE_POINT, _PRIMARIES, _PROFILE, _XMP, _IPTC = 318, 319, 34675, 700, 33723


class _Rationed(BytesIO):
    """A file of whose directories no more is read than any has: few bytes can be the values of thousands of tags."""

    left = _MOST_TOLD

    def read(self, size: int | None = -1, /) -> bytes:
        """See `io.BufferedIOBase.read`. Raises ValueError if too much was read."""
        data = super().read(size)
        self._count(len(data))
        return data

    def readinto(self, buffer: Any, /) -> int:
        """See `io.BufferedIOBase.readinto`, and `read`."""
        size = super().readinto(buffer)
        self._count(size)
        return size

    def _count(self, size: int) -> None:
        self.left -= max(size, _LEAST_READ)
        if self.left < 0:
            raise ValueError("more values than directories have")


def main_page(file: TiffFile, data: bytes) -> TiffPage:
    """The first page at full resolution. Raises ImageError for camera raws, of which such a page is but a preview."""
    pages = [page for page in file.pages[:_MOST_PAGES] if isinstance(page, TiffPage)]
    first = pages[0]
    below = [sub for page in pages for sub in (page.pages or [])[:_MOST_PAGES] if isinstance(sub, TiffPage)]
    raw = _DNG_VERSION in first.tags or data[8:10] == b"CR" or data[8:12] in (b"IIII", b"MMMM")
    for page in (*pages, *below):
        raw |= int(page.photometric or 0) in _OF_SENSORS or int(page.compression) in _RAW_COMPRESSIONS
    if raw:
        raise ImageError(camera_raw(_maker(first, data)))
    whole = next((page for page in (*pages, *below) if not _is_beside(page)), None)
    if whole is None and _SUB_IFDS in first.tags:
        raise ImageError("This TIFF file shows nothing but a preview of its picture: save it anew, or as PNG.")
    return whole or first


def count_pages(file: TiffFile) -> int:
    """How many pictures the file has, previews and masks not counted."""
    return len(file.pages) - sum(isinstance(page, TiffPage) and _is_beside(page) for page in file.pages[:_MOST_PAGES])


def _is_beside(page: TiffPage) -> bool:
    """Whether a page is a smaller version of another one, or its mask."""
    return page.is_reduced or bool(page.subfiletype & _MASK)


def orientation_of(page: TiffPage) -> int:
    """How the picture of a page lies, see `hpinet.images.picture.upright`."""
    return page.tags.valueof(ExifTags.Base.Orientation, default=1)


def decode(page: TiffPage, data: bytes) -> Picture | None:
    """The picture of a page of a file; None if it is one for Pillow. Raises ImageError by name."""
    photometric, compression = int(page.photometric or 0), int(page.compression)
    _check_complete(page, len(data))
    if compression == _OLD_JPEG or photometric == _LAB or (photometric == _YCBCR and compression != _JPEG):
        if int(page.planarconfig or 1) == 2 and page.samplesperpixel > 1:
            raise unusual(page)
        return None
    if photometric not in _CHANNELS:
        raise unusual(page)
    if photometric == _CMYK and page.tags.valueof(_INK_SET, default=_CMYK_INKS) != _CMYK_INKS:
        raise ImageError("This TIFF file has inks other than CMYK: save it as RGB.")
    _check_compression(page, data)
    samples = _planes_last(page)
    channels = _CHANNELS[photometric]
    if samples.shape[2] < channels:
        raise ImageError("This TIFF file has fewer samples a pixel than its kind of colour needs.")
    if photometric == _PALETTE:
        colour = _looked_up(samples[..., 0], page.colormap)
        alpha, kind = None, 0
    else:
        samples = _to_8_or_16_bits(samples, page)
        colour = samples[..., :channels]
        alpha, kind = _alpha(samples, page, channels)
    if photometric == _WHITE_IS_ZERO:
        colour = np.iinfo(colour.dtype).max - colour
    if kind == _PREMULTIPLIED and alpha is not None:
        colour = unmultiplied(colour, alpha)
    profile = page.tags.valueof(_PROFILE)
    if photometric == _CMYK:
        colour, profile = colours.to_srgb(np.ascontiguousarray(colour), profile), None
    elif photometric in (_RGB, _YCBCR):
        profile = profile or _profile_by_tags(page, data)
    picture = from_samples(
        colour if alpha is None else np.dstack((colour, alpha)),
        profile=profile,
        gamma=None,
        orientation=orientation_of(page),
        format="TIFF",
    )
    is_less = samples.shape[2] > channels + (alpha is not None)
    notes = (*picture.notes, *((FURTHER_CHANNELS,) if is_less else ()))
    return replace(picture, notes=notes, metadata=metadata_in(page, data))


def metadata_in(page: TiffPage, data: bytes) -> Metadata:
    """What a file says beside the colour of a page."""
    xmp, iptc = (_bytes_of(page.tags.valueof(tag)) for tag in (_XMP, _IPTC))
    return of_tiff(data, xmp, iptc)


def _bytes_of(value: object) -> bytes:
    return bytes(value) if isinstance(value, (bytes, tuple)) and all(0 <= each < 256 for each in value) else b""


def with_metadata(file: bytes, metadata: Metadata) -> bytes:
    """A TIFF file of one page with more tags: its directory is written anew, at the end."""
    if file[2:4] not in (b"*\0", b"\0*"):  # BigTIFF, of results beyond 4 GB
        return file
    layout, told = read_exif(file, len(file)), read_exif(metadata.exif) if metadata.exif else Exif()
    if told.order != layout.order:
        raise ValueError("the directories have different byte orders")
    main = {entry.tag: entry for entry in (*layout.main, *told.main)}
    main |= {tag: Entry(tag, 1, body) for tag, body in ((_XMP, metadata.xmp), (_IPTC, metadata.iptc)) if body}
    start = len(file) + len(file) % 2
    whole = replace(told, main=tuple(main.values()))
    header = file[:4] + struct.pack(layout.order + "I", start)
    return header + file[8:].ljust(start - 8, b"\0") + whole.directories(start)


def unusual(page: TiffPage) -> ImageError:
    """That a page holds pixels that nobody here can decode."""
    kind = getattr(page.photometric, "name", "unknown").replace("_", " ")
    return ImageError(f"This TIFF file is damaged, or has a layout of {kind} that cannot be opened: save it as RGB.")


def open_tiff(data: bytes) -> TiffFile:
    """The file, of which only the first directory has been read. Raises ValueError if that is larger than any is."""
    return TiffFile(_Rationed(data), _multifile=False)


def check_samples(page: TiffPage) -> None:
    """Refuse, from the header, samples whose meaning is not clear. Raises ImageError."""
    bits, kind = page.bitspersample, int(page.sampleformat or _UNSIGNED)
    usual = bits in {1, 2, 4, 8, 16, 32} or (bits < 16 and int(page.photometric or 0) in {0, 1, 2, _YCBCR})
    if not (usual and kind == _UNSIGNED) and not (kind == _FLOAT and bits in {16, 32, 64}):
        raise ImageError(
            f"This TIFF file has samples of {bits} bits, signed or of mixed depth: save it with 8 or 16 bits, unsigned."
        )
    if page.samplesperpixel > _MOST_SAMPLES:
        raise ImageError(f"This TIFF file has more than {_MOST_SAMPLES} samples a pixel: save it as grey or RGB.")
    unnamed = page.samplesperpixel - 1 - sum(int(kind) in _ALPHAS for kind in page.extrasamples)
    if int(page.photometric or 0) in _GREYS and unnamed > _MOST_UNNAMED:
        raise ImageError(
            f"This TIFF file has {page.samplesperpixel} channels that are not named as colours: save it as RGB."
        )
    if page.imagedepth > 1:
        raise ImageError("This TIFF file is a volume: save its layers as pages of their own.")


def _check_complete(page: TiffPage, size: int) -> None:
    """Refuse strips and tiles that are not there, which the library takes for black ones, and those that are too many.

    Few bytes can be named by all of them, and each reads them anew.
    """
    if len(page.dataoffsets) < _needed(page) or len(page.databytecounts) < _needed(page):
        raise ValueError("strips or tiles are missing")
    if any(not 0 < at < at + length <= size for at, length in _places(page)):
        raise ValueError("strips or tiles lie outside of the file")
    if _needed(page) > _MOST_STRIPS or sum(length for _, length in _places(page)) > _MOST_NAMED * size:
        raise ValueError("more strips or tiles than pictures have")


def _needed(page: TiffPage) -> int:
    """How many strips or tiles the picture has."""
    return int(np.prod(page.chunked)) if page.is_tiled or len(page.dataoffsets) > 1 else 1


def _places(page: TiffPage) -> Iterable[tuple[int, int]]:
    """Start and length of each strip or tile that is decoded; further ones are not."""
    offsets, lengths = (islice(each, _needed(page)) for each in (page.dataoffsets, page.databytecounts))
    return ((int(at), int(length)) for at, length in zip(offsets, lengths, strict=False))


def _check_compression(page: TiffPage, data: bytes) -> None:
    """Refuse methods that are not known, and strips or tiles that would decode to far more than their place."""
    compression = int(page.compression)
    try:
        TIFF.DECOMPRESSORS[compression]
    except KeyError as error:
        raise ImageError(
            f"This TIFF file is compressed by a method ({compression}) that cannot be undone here: save it as PNG."
        ) from error
    if compression not in _PICTURES:
        return
    width, height = page.imagewidth, min(page.rowsperstrip, page.imagelength)
    if page.is_tiled:
        width, height = page.tilewidth, page.tilelength
    if _needed(page) > _MOST_FILES:
        raise ValueError("more strips or tiles than pictures have")
    for start, length in _places(page):
        size = _size_by_header(data[start : start + length])
        if size is None:
            raise ImageError(
                f"This TIFF file is compressed by a method ({compression}) that cannot be undone here: save it as PNG."
            )
        if size[0] > width or size[1] > height:
            raise ValueError("a strip or tile is larger than its place")


def _size_by_header(file: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG, JPEG 2000 or XL, PNG or WebP, the largest that are named; None for other files."""
    if file[:2] == b"\xff\xd8":
        return jpeg.size_of(file)
    if kind_of(file) == "JXL":
        header = jxl.read_header(jxl.apart(file)[1])
        return None if header.is_animated else (header.width, header.height)
    if kind_of(file) == "PNG":
        if png.split(file)[0] != file:  # texts, which libpng unpacks however many there are
            raise ValueError("there is more than pixels in a strip or tile")
        return struct.unpack(">2I", file[16:24])
    ends = [match.end() + 4 for match in islice(re.finditer(_JPEG_2000, file), _MOST_CODES + 1)]  # then two lengths
    if len(ends) > _MOST_CODES:
        raise ValueError("more pictures than one in a strip or tile")
    sizes = [struct.unpack(">4I", file[at : at + 16]) for at in ends if at + 16 <= len(file)]
    if sizes:
        return max(width - left for width, _, left, _ in sizes), max(height - top for _, height, _, top in sizes)
    try:
        with Image.open(BytesIO(file), formats=("WEBP",)) as image:
            return image.size
    except OSError:
        return None


def _planes_last(page: TiffPage) -> np.ndarray:
    """(H, W, samples) as stored."""
    content = page.parent.filehandle._fh
    assert isinstance(content, _Rationed)
    content.left = math.inf  # strips and tiles are counted by `_check_complete`
    stored = page.asarray(squeeze=False, maxworkers=1)  # (planes, depth, H, W, interleaved samples)
    planes, _, height, width, interleaved = stored.shape
    return stored.reshape(planes, height, width, interleaved).transpose(1, 2, 0, 3).reshape(height, width, -1)


def _to_8_or_16_bits(samples: np.ndarray, page: TiffPage) -> np.ndarray:
    """Samples stretched over the full range of 8 bits, or of 16 where there are more than 8."""
    bits = page.bitspersample
    if samples.dtype.kind == "f":
        if (converted := from_unit(samples)) is None:
            raise ImageError("This TIFF file has floating-point samples beyond 0 to 1: save it with 16 bits, unsigned.")
        return converted
    return stretched(samples, bits)


def _alpha(samples: np.ndarray, page: TiffPage, channels: int) -> tuple[np.ndarray | None, int]:
    """The first extra sample that is called alpha, and its kind; extras of no known meaning are left out."""
    for number, kind in enumerate(page.extrasamples):
        if int(kind) in _ALPHAS and channels + number < samples.shape[2]:
            return samples[..., channels + number], int(kind)
    return None, 0


def _looked_up(indices: np.ndarray, table: np.ndarray | None) -> np.ndarray:
    """Colours of a palette, which are of 16 bits; many programs fill only 8 of them."""
    if table is None or int(indices.max()) >= table.shape[1]:
        raise ValueError("colours are missing in the palette")
    eight = table if table.max() < 256 else table >> 8
    return eight.astype(np.uint8).T[indices]


def _profile_by_tags(page: TiffPage, data: bytes) -> bytes | None:
    """The profile of RGB that is named by EXIF data, or by the chromaticities of white and primaries (TIFF 6.0)."""
    numbers = [page.tags.valueof(tag, default=()) for tag in (_WHITE_POINT, _PRIMARIES)]
    if [np.size(each) for each in numbers] == [4, 12]:
        pairs = np.array([*numbers[0], *numbers[1]], np.float64).reshape(8, 2)
        if (pairs[:, 1] > 0).all():
            return colours.profile_by_chromaticities(tuple(pairs[:, 0] / pairs[:, 1]))
    exif = Image.Exif()
    with suppress(Exception):  # a TIFF is laid out like EXIF data, save for BigTIFF
        exif.load(data)
    return profile_by_exif(exif)


def _maker(page: TiffPage, data: bytes) -> str:
    if _DNG_VERSION in page.tags:
        return "DNG"
    make = str(page.tags.valueof("Make", default="") or "").split(" ")[0].title()
    kinds = {"Nikon": "NEF", "Sony": "ARW", "Pentax": "PEF", "Ricoh": "PEF", "Samsung": "SRW", "Canon": "CR2"}
    kinds |= {"Olympus": "ORF", "Panasonic": "RW2", "Fujifilm": "RAF", "Hasselblad": "3FR", "Kodak": "DCR"}
    if data[8:10] == b"CR":
        return "CR2"
    return kinds.get(make) or (f"of {make}" if make.isascii() and make.isprintable() and make else "unprocessed")
