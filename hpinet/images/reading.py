"""Files to pictures. Whatever bytes come in, a sane `Picture` or an `ImageError` comes out."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import numpy as np
from PIL import Image

from hpinet.errors import ImageError, is_of_memory, telling_of_memory
from hpinet.images import colour as colours
from hpinet.images import gif, heif, jpeg, jxl, png, webp
from hpinet.images.compression import compression_of_webp
from hpinet.images.formats import BY_NAME, READABLE_LABELS, camera_raw, kind_of
from hpinet.images.metadata import Metadata
from hpinet.images.notes import ANIMATED, LEFT_OUT
from hpinet.images.picture import (
    Picture,
    from_samples,
    orientation_in,
    orientation_of,
    profile_by_exif,
    to_samples,
    upright_size,
)
from hpinet.images.pillow import PILLOW_AT_EASE
from hpinet.settings import settings

_JPEG_END = b"\xff\xd9"
_OF_PILLOW = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
_COLOURS = 3  # samples that make a pixel coloured


@dataclass(frozen=True)
class Limits:
    """The largest picture that is opened; by default what the settings say."""

    megapixels: float = field(default_factory=lambda: settings().max_megapixels)
    megabytes: float = field(default_factory=lambda: settings().max_upload_mb)
    side: int = 65_535


def open_picture(source: str | Path | bytes | BinaryIO, *, limits: Limits | None = None) -> Picture:
    """The picture in a file, its bytes or a stream of them: its first frame, upright.

    The content decides the format (see `hpinet.images.formats`), never the name. Palettes, bilevel, CMYK and the like
    become 8-bit RGB or grey; 16-bit stays 16-bit and grey stays grey. Values stay in the space of an RGB or grey
    profile with an ordinary tone curve and become sRGB otherwise; see `hpinet.images.colour`. `limits` are checked
    before any pixel is decoded, and Pillow's own limit of 179 megapixels does not count.

    Raises ImageError when the file cannot be read, is of another kind, damaged, or over a limit, MemoryShortageError
    where the machine refuses memory; and nothing else but what a stream raises that cannot be read.
    """
    limits = limits or Limits()
    with telling_of_memory():
        data = _read(source, limits)
        try:
            with PILLOW_AT_EASE:
                picture = _decode(data, limits)
            return replace(picture, metadata=picture.metadata.of((picture.width, picture.height)))
        except ImageError:
            raise
        except Exception as error:  # Pillow promises nothing about what a damaged file makes it raise
            if is_of_memory(error):
                raise MemoryError from error  # of any class until here
            raise ImageError(_refusal(data)) from error


def picture_size(source: str | Path | bytes | BinaryIO, *, limits: Limits | None = None) -> tuple[int, int]:
    """(width, height) that `open_picture` would give the picture, as its header tells; no pixel is decoded.

    Raises what `open_picture` does; ImageError for what a header shows: no picture, a kind that is refused, too large.
    """
    limits = limits or Limits()
    try:
        picture = open_picture(source, limits=_Looking(limits.megapixels, limits.megabytes))
    except _Looked as looked:
        _check_size(*looked.size, limits)
        return looked.size
    return picture.width, picture.height


class _Looking(Limits):
    """Limits that no size passes: every decoder asks for them as soon as it knows the size of the upright picture."""


class _Looked(BaseException):  # not an Exception, which decoders turn into refusals
    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size


def _read(source: str | Path | bytes | BinaryIO, limits: Limits) -> bytes:
    """All bytes of `source`, and never more than the limit and one."""
    most = int(limits.megabytes * 1e6)
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, (str, Path)):
        try:
            with Path(source).open("rb") as file:
                data = file.read(most + 1)
        except (OSError, ValueError) as error:  # ValueError: a null character in the name
            raise ImageError(f"{source} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    else:
        data = source.read(most + 1)
    if len(data) > most:
        raise ImageError(f"The file is larger than {limits.megabytes:g} MB, the most that is accepted.")
    if not data:
        raise ImageError("The file is empty.")
    return data


def _decode(data: bytes, limits: Limits) -> Picture:
    decoders = {
        "TIFF": _decode_tiff,
        "PNG": _decode_png,
        "WEBP": _decode_webp,
        "JPEG": _decode_jpeg,
        "HEIF": _decode_heic,
        "AVIF": _decode_avif,
        "JXL": _decode_jxl,
        "GIF": _decode_gif,
    }
    return decoders.get(kind_of(data) or "", _decode_by_pillow)(data, limits)


def _decode_by_pillow(data: bytes, limits: Limits) -> Picture:
    with Image.open(BytesIO(data), formats=_OF_PILLOW) as image:
        # Of a TIFF it was asked before: Pillow turns that while loading, and must find it as it was.
        _check_size(*upright_size(image.size, 1 if image.format == "TIFF" else orientation_of(image)), limits)
        if image.format == "BMP" and image.mode != "P":
            image.info["icc_profile"] = colours.profile_of_bmp(data)
        picture = replace(Picture.from_pil(image), metadata=Metadata(dpi=_dpi_of(image)))
    # What Pillow calls MPO, a JPEG followed by further ones as telephones write, is a JPEG all the same.
    return replace(picture, format="JPEG") if picture.format == "MPO" else picture


def _decode_gif(data: bytes, limits: Limits) -> Picture:
    """A GIF: Pillow gets nothing but the first picture."""
    bare, is_animated = gif.first_picture(data)
    with Image.open(BytesIO(bare), formats=("GIF",)) as image:
        _check_size(*image.size, limits)
        image.info["icc_profile"] = colours.profile_of_gif(data)
        picture = Picture.from_pil(image)
    return replace(picture, notes=(*picture.notes, *((ANIMATED,) if is_animated else ())))


def _dpi_of(image: Image.Image) -> tuple[float, float] | None:
    dpi = image.info.get("dpi", (0, 0))
    return (float(dpi[0]), float(dpi[1])) if min(dpi) > 0 else None


def _decode_webp(data: bytes, limits: Limits) -> Picture:
    """A WebP: Pillow gets nothing but the pixels, and what is said beside them afterwards."""
    bare, side, damaged = webp.split(data)
    with Image.open(BytesIO(bare), formats=("WEBP",)) as image:
        image.info |= {"icc_profile": side.profile, "exif": side.exif}
        _check_size(*upright_size(image.size, orientation_of(image)), limits)
        is_animated = getattr(image, "is_animated", False)
        picture = Picture.from_pil(image)
    return replace(
        picture,
        compression=compression_of_webp(bare),
        notes=(*picture.notes, *((ANIMATED,) if is_animated else ()), *((LEFT_OUT,) if damaged else ())),
        metadata=Metadata(side.exif or b"", side.xmp or b""),
    )


def _decode_heic(data: bytes, limits: Limits) -> Picture:
    return heif.decode_heic(data, partial(_check_size, limits=limits))


def _decode_avif(data: bytes, limits: Limits) -> Picture:
    return heif.decode_avif(data, partial(_check_size, limits=limits))


def _decode_jxl(data: bytes, limits: Limits) -> Picture:
    return jxl.decode_jxl(data, partial(_check_size, limits=limits), partial(_decode_jpeg, limits=limits))


def _decode_jpeg(data: bytes, limits: Limits) -> Picture:
    """A JPEG; if need be, without what is said beside its pixels, or with the end that it lacks."""
    jpeg.check_effort(data)
    picture = _decode_jpeg_somehow(data, limits)
    return replace(picture, notes=(*picture.notes, *jpeg.beside(data)), metadata=jpeg.metadata_in(data))


def _decode_jpeg_somehow(data: bytes, limits: Limits) -> Picture:
    try:
        return _decode_by_pillow(data, limits)
    except ImageError:
        raise
    except Exception as error:
        if is_of_memory(error):
            raise
        for other_way in (_decode_bare_jpeg, _decode_jpeg_without_end):
            with suppress(OSError, ValueError, SyntaxError):
                return other_way(data, limits)
        raise error from None


def _decode_bare_jpeg(data: bytes, limits: Limits) -> Picture:
    """A JPEG of which a segment beside the pixels is damaged: such segments are tried one by one."""
    dropped: list[jpeg.Segment] = []
    for segment in jpeg.segments(data):
        if segment.is_beside:
            with suppress(Exception), Image.open(BytesIO(jpeg.alone(segment, data)), formats=("JPEG",)):
                continue
            dropped.append(segment)
    if not dropped:
        raise ValueError("nothing beside the pixels is damaged")
    picture = _decode_by_pillow(jpeg.without(data, dropped), limits)
    return replace(picture, notes=(*picture.notes, LEFT_OUT))


def _decode_jpeg_without_end(data: bytes, limits: Limits) -> Picture:
    """A JPEG that lacks its end marker and no pixels: what follows the data then has no influence on them."""
    data = data.removesuffix(_JPEG_END[:1])
    first, second = (_decode_by_pillow(data + tail + _JPEG_END, limits) for tail in (b"", b"\x5a\xa5" * 512))
    if not np.array_equal(first.colour, second.colour):
        raise ImageError(_refusal(data))
    return replace(first, notes=(*first.notes, "The end of the file is missing, but none of its pixels."))


def _decode_png(data: bytes, limits: Limits) -> Picture:
    """A PNG: Pillow gets nothing but the pixels, and two kinds of these it does not read as they are meant."""
    bare, side, damaged = png.split(data)
    exif = Image.Exif()
    if side.exif:
        with suppress(Exception):  # damaged EXIF data is no reason to refuse a picture
            exif.load(side.exif)
    orientation = orientation_in(exif)
    with Image.open(BytesIO(bare), formats=("PNG",)) as image:
        _check_size(*upright_size(image.size, orientation), limits)
        depth = data[24]  # bits a sample, in the IHDR chunk, which comes first
        key = image.info.get("transparency")
        if depth == 16 and image.mode != "I;16":  # of colour, Pillow drops the lower 8 bits
            samples = _codecs().png_decode(bare)  # with alpha where a tRNS chunk asks for it
        else:
            if depth in (2, 4) and image.mode == "L" and key is not None:  # Pillow widens the samples, but not the key
                image.info["transparency"] = key * 255 // (2**depth - 1)
            image.load()
            samples = to_samples(image)
    profile, gamma = colours.meant_by_png(side, is_grey=samples.shape[2] < _COLOURS)
    picture = from_samples(
        samples,
        profile=profile or (None if side.is_srgb or side.gamma or side.cicp else profile_by_exif(exif)),
        gamma=gamma,
        orientation=orientation,
        format="PNG",
    )
    notes = (*((ANIMATED,) if png.is_animated(data) else ()), *((LEFT_OUT,) if damaged else ()))
    said = Metadata(side.exif or b"", side.xmp, side.iptc, side.dpi)
    return replace(picture, notes=(*picture.notes, *notes), metadata=said)


def _decode_tiff(data: bytes, limits: Limits) -> Picture:
    """A TIFF by our own decoder, or what Pillow makes of kinds that it knows better."""
    from hpinet.images import tiff  # noqa: PLC0415 (its library is slow to import)

    with tiff.open_tiff(data) as file:
        page = tiff.main_page(file, data)
        _check_size(*upright_size((page.imagewidth, page.imagelength), tiff.orientation_of(page)), limits)
        _check_size(page.tilewidth, page.tilelength, limits)  # a tile can exceed its picture
        tiff.check_samples(page)
        pages = tiff.count_pages(file)
        picture = tiff.decode(page, data)
        if picture is None and page.index != 0:
            raise ImageError("This TIFF file holds a preview first and its picture in a rare variety: save it as PNG.")
    if picture is None:
        try:
            picture = replace(_decode_by_pillow(data, limits), metadata=tiff.metadata_in(page, data))
        except OSError as error:
            if is_of_memory(error):
                raise
            raise tiff.unusual(page) from error
    notes = (f"It has {pages} pages: the first was taken.",) if pages > 1 else ()
    return replace(picture, notes=(*picture.notes, *notes))


def _check_size(width: int, height: int, limits: Limits) -> None:
    if isinstance(limits, _Looking):
        raise _Looked((width, height))
    if width * height > limits.megapixels * 1e6 or max(width, height) > limits.side:
        raise ImageError(
            f"The picture of {width}×{height} is too large: at most {limits.megapixels:g} megapixels "
            f"and {limits.side} pixels a side are accepted."
        )


def _refusal(data: bytes) -> str:
    kind = kind_of(data)
    if kind in BY_NAME:
        return f"This {BY_NAME[kind].label} file is damaged, incomplete or of a rare variety that cannot be opened."
    if kind and kind.endswith(" raw"):
        return camera_raw(kind.removesuffix(" raw"))
    what = f"{kind} files cannot be opened" if kind else "This is not a picture that can be opened"
    return f"{what}: use {' or '.join(READABLE_LABELS.rsplit(', ', 1))}."


def _codecs() -> ModuleType:
    """The library that decodes all 16 bits. It is slow to import and seldom needed."""
    import imagecodecs  # noqa: PLC0415

    return imagecodecs
