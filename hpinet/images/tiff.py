"""TIFF: one decoder for every depth and layout of grey, RGB, CMYK and palette pictures; raws are refused by name."""

import logging
from io import BytesIO

import numpy as np
import tifffile
from PIL import ExifTags
from tifffile import TiffFile, TiffPage

from hpinet.errors import ImageError
from hpinet.images import colour as colours
from hpinet.images.picture import Picture, from_samples

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what is odd about a file is not the terminal's affair

# Values of TIFF tags (TIFF 6.0, TIFF/EP, DNG 1.7)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK = 0, 1, 2, 3, 5  # photometric interpretations
_OF_SENSORS = {32803, 34892}  # colour filter array, linear raw
_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4}
_RAW_COMPRESSIONS = {32767, 34713, 65535}  # Sony, Nikon, Pentax
_LEFT_TO_PILLOW = {2, 3, 4, 6, 7}  # compressions that go with interpretations of their own: fax, JPEG
_UNSIGNED, _FLOAT = 1, 3  # sample formats
_PREMULTIPLIED, _NOT_PREMULTIPLIED = 1, 2  # meanings of an extra sample
_MOST_SAMPLES = 6  # a pixel: CMYK with alpha and one to spare, as in Pillow
_MOST_PAGES = 32  # looked at
_DNG_VERSION, _INK_SET, _CMYK_INKS = 50706, 332, 1


def main_page(file: TiffFile, data: bytes) -> TiffPage:
    """The first page at full resolution. Raises ImageError for camera raws, of which such a page is but a preview."""
    pages = [page for page in file.pages[:_MOST_PAGES] if isinstance(page, TiffPage)]
    first = pages[0]
    below = [sub for page in pages for sub in (page.pages or [])[:_MOST_PAGES] if isinstance(sub, TiffPage)]
    raw = _DNG_VERSION in first.tags or data[8:10] == b"CR" or data[8:12] in (b"IIII", b"MMMM")
    for page in (*pages, *below):
        raw |= int(page.photometric or 0) in _OF_SENSORS or int(page.compression) in _RAW_COMPRESSIONS
    if raw:
        raise ImageError(f"This is a camera raw ({_maker(first, data)}): develop it first, and save it as TIFF or PNG.")
    return next((page for page in (*pages, *below) if not page.is_reduced), first)


def decode(page: TiffPage, size: int) -> Picture | None:
    """The picture of a page of a file of ``size`` bytes; None if it is one for Pillow. Raises ImageError by name."""
    photometric, compression = int(page.photometric or 0), int(page.compression)
    if photometric not in _CHANNELS or compression in _LEFT_TO_PILLOW:
        if int(page.planarconfig or 1) == 2 and page.samplesperpixel > 1:
            raise ImageError("This TIFF file has separate planes of an unusual kind: save it with interleaved samples.")
        return None
    if photometric == _CMYK and page.tags.valueof(_INK_SET, default=_CMYK_INKS) != _CMYK_INKS:
        raise ImageError("This TIFF file has inks other than CMYK: save it as RGB.")
    try:
        tifffile.TIFF.DECOMPRESSORS[compression]
    except KeyError as error:
        raise ImageError(
            f"This TIFF file is compressed by a method ({compression}) that cannot be undone here: save it as PNG."
        ) from error
    _check_complete(page, size)
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
        colour = _unmultiplied(colour, alpha)
    profile = page.tags.valueof(34675)
    if photometric == _CMYK:
        colour, profile = colours.to_srgb(np.ascontiguousarray(colour), profile), None
    return from_samples(
        colour if alpha is None else np.dstack((colour, alpha)),
        profile=profile,
        gamma=None,
        orientation=page.tags.valueof(ExifTags.Base.Orientation, default=1),
        format="TIFF",
    )


def open_tiff(data: bytes) -> TiffFile:
    """The file, of which only the first directory has been read."""
    return TiffFile(BytesIO(data), _multifile=False)


def check_samples(page: TiffPage) -> None:
    """Refuse, from the header, samples whose meaning is not clear. Raises ImageError."""
    bits, kind = page.bitspersample, int(page.sampleformat or _UNSIGNED)
    usual = bits in {1, 2, 4, 8, 16, 32} or (bits < 16 and int(page.photometric or 0) in {0, 1, 2})
    if not (usual and kind == _UNSIGNED) and not (kind == _FLOAT and bits in {16, 32, 64}):
        raise ImageError(
            f"This TIFF file has samples of {bits} bits, signed or of mixed depth: save it with 8 or 16 bits, unsigned."
        )
    if page.samplesperpixel > _MOST_SAMPLES:
        raise ImageError(f"This TIFF file has more than {_MOST_SAMPLES} samples a pixel: save it as grey or RGB.")
    if page.imagedepth > 1:
        raise ImageError("This TIFF file is a volume: save its layers as pages of their own.")


def _check_complete(page: TiffPage, size: int) -> None:
    """The library takes strips and tiles that are not there for black ones."""
    places, lengths = page.dataoffsets, page.databytecounts
    needed = int(np.prod(page.chunked)) if page.is_tiled or len(places) > 1 else 1
    if len(places) < needed or len(lengths) < needed:
        raise ValueError("strips or tiles are missing")
    if any(not 0 < at < at + length <= size for at, length in zip(places, lengths, strict=False)):
        raise ValueError("strips or tiles lie outside of the file")


def _planes_last(page: TiffPage) -> np.ndarray:
    """(H, W, samples) as stored."""
    stored = page.asarray(squeeze=False, maxworkers=1)  # (planes, depth, H, W, interleaved samples)
    planes, _, height, width, interleaved = stored.shape
    return stored.reshape(planes, height, width, interleaved).transpose(1, 2, 0, 3).reshape(height, width, -1)


def _to_8_or_16_bits(samples: np.ndarray, page: TiffPage) -> np.ndarray:
    """Samples stretched over the full range of 8 bits, or of 16 where there are more than 8."""
    bits = page.bitspersample
    if samples.dtype.kind == "f":
        if not (np.isfinite(samples).all() and samples.min() >= 0 and samples.max() <= 1):
            raise ImageError("This TIFF file has floating-point samples beyond 0 to 1: save it with 16 bits, unsigned.")
        return np.rint(samples.astype(np.float64) * 65535).astype(np.uint16)
    dtype, depth = (np.uint8, 8) if bits <= 8 else (np.uint16, 16)
    if bits == depth:
        return samples.astype(dtype)  # in the machine's byte order
    top, most = np.iinfo(dtype).max, 2**bits - 1
    return np.rint(samples.astype(np.float64) * (top / most)).astype(dtype)


def _alpha(samples: np.ndarray, page: TiffPage, channels: int) -> tuple[np.ndarray | None, int]:
    """The first extra sample that is called alpha, and its kind; extras of no known meaning are left out."""
    for number, kind in enumerate(page.extrasamples):
        if int(kind) in (_PREMULTIPLIED, _NOT_PREMULTIPLIED) and channels + number < samples.shape[2]:
            return samples[..., channels + number], int(kind)
    return None, 0


def _looked_up(indices: np.ndarray, table: np.ndarray | None) -> np.ndarray:
    """Colours of a palette, which are of 16 bits; many programs fill only 8 of them."""
    if table is None or int(indices.max()) >= table.shape[1]:
        raise ValueError("colours are missing in the palette")
    eight = table if table.max() < 256 else table >> 8
    return eight.astype(np.uint8).T[indices]


def _unmultiplied(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colour of which `alpha` is no longer part; black where nothing can be seen."""
    top = np.iinfo(colour.dtype).max
    opacity = np.maximum(alpha, 1)[..., None] / np.float32(top)
    return np.clip(np.rint(colour / opacity), 0, top).astype(colour.dtype)


def _maker(page: TiffPage, data: bytes) -> str:
    if _DNG_VERSION in page.tags:
        return "DNG"
    make = str(page.tags.valueof("Make", default="") or "").split(" ")[0].title()
    kinds = {"Nikon": "NEF", "Sony": "ARW", "Pentax": "PEF", "Ricoh": "PEF", "Samsung": "SRW", "Canon": "CR2"}
    if data[8:10] == b"CR":
        return "CR2"
    return kinds.get(make) or (f"of {make}" if make.isascii() and make.isprintable() and make else "unprocessed")
