"""Pictures to files: pixels, the colour profile, and as much of the metadata as is chosen, by default nothing."""

import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from hpinet.atomic import write_atomically
from hpinet.errors import ImageError, OptionError
from hpinet.images import colour as colours
from hpinet.images import jpeg
from hpinet.images.formats import BY_NAME, WRITABLE
from hpinet.images.metadata import NOTHING, Metadata, MetadataChoice, check_choice
from hpinet.images.picture import Picture
from hpinet.images.png import chunk, metadata_chunks

_BY_SUFFIX = {suffix: format for format in WRITABLE for suffix in format.suffixes}
_AVIF_SPEED = 8  # of 10: half the time of the usual 6 for a few per cent more bytes
_PNG_LEVEL = 3  # of 9: half the time of the usual 6 for about a tenth more bytes


def format_of(name: str | Path) -> str:
    """Format that a file name's suffix or a format's own name (in either case) stands for. Raises OptionError."""
    text = str(name).lower()
    format = _BY_SUFFIX.get(Path(text).suffix or f".{text}")
    if format is None:
        raise OptionError(f"{name}: pictures are written as {', '.join(sorted(_BY_SUFFIX))}.")
    return format.name


def check_size(width: int, height: int, format: str) -> None:
    """Raises ImageError if a file of this format cannot hold a picture of this size."""
    known = BY_NAME[format_of(format)]
    if max(width, height) > known.longest_side:
        raise ImageError(
            f"{known.label} holds at most {known.longest_side:,} pixels a side, and this would have {width}×{height}: "
            "choose PNG."
        )


def encode_picture(
    picture: Picture, format: str = "PNG", *, quality: int = 90, metadata: MetadataChoice = "drop"
) -> bytes:
    """The picture as a file's bytes.

    PNG and TIFF keep depth, alpha and grey exactly. JPEG has 8 bits and no alpha: transparency is laid on white.
    WebP and AVIF have 8 bits and no grey; WebP is lossless at quality 100. `quality` (1 to 100) is of JPEG, WebP and
    AVIF alone.
    `metadata` says how much of `picture.metadata` is written, as far as the format has a place for it.
    Raises OptionError for another format, quality or choice, ImageError for a picture too large for the format.
    """
    format = format_of(format)
    if not 1 <= quality <= 100:
        raise OptionError(f"Quality goes from 1 to 100, not {quality}.")
    check_size(picture.width, picture.height, format)
    size = picture.width, picture.height
    kept = picture.metadata.kept(check_choice(metadata), size, is_srgb=picture.icc_profile is None)
    return _ENCODERS[format](picture, quality, kept)


def save_picture(
    picture: Picture,
    path: str | Path,
    *,
    format: str | None = None,
    quality: int = 90,
    metadata: MetadataChoice = "drop",
) -> None:
    """Write the picture to `path`, in the format of its suffix unless another is given; see `encode_picture`.

    The file appears complete or not at all: it is written beside its place under a temporary name, then renamed.
    Raises ImageError when the place cannot be written to.
    """
    path = Path(path)
    data = encode_picture(picture, format or format_of(path), quality=quality, metadata=metadata)
    try:
        write_atomically(path, data)
    except OSError as error:
        raise ImageError(f"{path} cannot be written: {error.strerror or error}.") from error


def _to_png(picture: Picture, quality: int, kept: Metadata) -> bytes:  # noqa: ARG001 (like the others)
    from imagecodecs import png_encode  # noqa: PLC0415 (slow to import)

    profile = picture.icc_profile
    samples = np.ascontiguousarray(picture.samples)
    packed = samples.nbytes + picture.height  # a filter is named before each row
    # Its own guess forgets these; noise and the frames of chunks take a little more than what is packed.
    file = bytes(png_encode(samples, _PNG_LEVEL, out=packed + packed // 256 + 1024))
    # Its colour space named: an iCCP chunk, or sRGB of perceptual intent (PNG 11.3.2).
    colour = chunk(b"sRGB", b"\0") if profile is None else chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))
    after_header = 8 + 12 + 13  # signature, then the IHDR chunk with its frame
    return file[:after_header] + colour + metadata_chunks(kept) + file[after_header:]


def _to_tiff(picture: Picture, quality: int, kept: Metadata) -> bytes:  # noqa: ARG001
    from tifffile import imwrite  # noqa: PLC0415 (slow to import)

    file = BytesIO()
    imwrite(
        file,
        picture.samples if picture.alpha is not None or not picture.is_grey else picture.colour[..., 0],
        photometric="minisblack" if picture.is_grey else "rgb",
        planarconfig="contig" if picture.alpha is not None or not picture.is_grey else None,
        extrasamples=None if picture.alpha is None else ["unassalpha"],
        compression="zlib",
        predictor=True,
        byteorder=">" if kept.exif.startswith(b"MM") else "<",
        iccprofile=picture.icc_profile,
        metadata=None,
        software=False,
    )
    if kept == NOTHING:
        return file.getvalue()
    from hpinet.images.tiff import with_metadata  # noqa: PLC0415

    return with_metadata(file.getvalue(), kept)


def _to_jpeg(picture: Picture, quality: int, kept: Metadata) -> bytes:
    image = picture.on(1.0).to_8_bit().to_pil()  # white
    options: dict[str, object] = {}
    if kept.exif and len(jpeg.EXIF + kept.exif) <= jpeg.MOST_BODY:
        options["exif"] = jpeg.EXIF + kept.exif
    if kept.xmp and len(jpeg.XMP + kept.xmp) <= jpeg.MOST_BODY:
        options["xmp"] = kept.xmp
    if kept.iptc:
        options["extra"] = jpeg.iptc_segment(kept.iptc)
    if kept.dpi and max(kept.dpi) < 65_535:
        options["dpi"] = kept.dpi
    options |= {"quality": quality, "subsampling": "4:4:4" if quality >= 90 else "4:2:0"}
    try:
        return _save(image, "JPEG", optimize=True, **options)
    except OSError:  # for an optimized file Pillow has one buffer of a fixed size, which noise overflows
        return _save(image, "JPEG", **options)


def _to_webp(picture: Picture, quality: int, kept: Metadata) -> bytes:
    image = _in_rgb(picture).to_8_bit().to_pil()
    options = {"exif": kept.exif, "xmp": kept.xmp} if kept.exif or kept.xmp else {}
    if quality == 100:
        return _save(image, "WEBP", lossless=True, exact=True, **options)  # exact: colour under transparency as well
    return _save(image, "WEBP", quality=quality, **options)


def _to_avif(picture: Picture, quality: int, kept: Metadata) -> bytes:
    image = _in_rgb(picture).to_8_bit().to_pil()
    options = {"exif": kept.exif, "xmp": kept.xmp} if kept.exif or kept.xmp else {}
    subsampling = "4:4:4" if quality >= 90 else "4:2:0"
    return _save(image, "AVIF", quality=quality, subsampling=subsampling, speed=_AVIF_SPEED, **options)


def _in_rgb(picture: Picture) -> Picture:
    """For formats that store RGB alone, which a profile of grey does not describe."""
    if not picture.is_grey:
        return picture
    grey = colours.to_srgb(picture.colour, picture.icc_profile)
    return Picture(np.repeat(grey, 3, axis=2), picture.alpha)


def _save(image: Image.Image, format: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, format, icc_profile=image.info.get("icc_profile"), **options)
    return file.getvalue()


_ENCODERS = {"PNG": _to_png, "JPEG": _to_jpeg, "WEBP": _to_webp, "TIFF": _to_tiff, "AVIF": _to_avif}
"""For each format of `hpinet.images.formats.WRITABLE`."""
