"""Files to pictures. Whatever bytes come in, a sane `Picture` or an `ImageError` comes out."""

import re
import warnings
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from hpinet.errors import ImageError
from hpinet.images.picture import Picture, from_samples, gamma_of, orientation_of
from hpinet.settings import settings

ACCEPTED_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
_ACCEPTED = "PNG, JPEG, WebP, TIFF, BMP and GIF"

_KINDS = (  # the first bytes of files people try, in order; those that can be opened first
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"RIFF....WEBP", "WEBP"),
    (rb"II[*+]\0|MM\0[*+]", "TIFF"),
    (rb"GIF8[79]a", "GIF"),
    (rb"BM", "BMP"),
    (rb"....ftyp(hei|hev|mif1|msf1)", "HEIC"),
    (rb"....ftypavi[fs]", "AVIF"),
    (rb"....ftypcrx", "Canon raw"),
    (rb"....ftyp", "video"),
    (rb"RIFF....AVI |\x1aE\xdf\xa3", "video"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "JPEG XL"),
    (rb"%PDF", "PDF"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "EPS"),
    (rb"8BPS", "Photoshop"),
    (rb"gimp xcf", "GIMP"),
    (rb"\0\0\x01\0", "icon"),
    (rb"v/1\x01", "OpenEXR"),
    (rb"#\?(RADIANCE|RGBE)", "Radiance HDR"),
    (rb"DDS ", "DDS"),
    (rb"qoif", "QOI"),
    (rb"P[1-7]\s", "PNM"),
    (rb"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (rb"PK\3\4", "ZIP"),
    (rb"(?i)(\xef\xbb\xbf)?\s*(<\?xml.*?|<!--.*?|<!doctype svg.*?)?<svg", "SVG"),
    (rb"(?i)\s*<(!doctype html|html|head|body)", "HTML"),
)


_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2  # photometric interpretations of TIFF
_SEPARATE_PLANES = 2  # planar configuration
_PREMULTIPLIED, _NOT_PREMULTIPLIED = 1, 2  # meanings of an extra sample


@dataclass(frozen=True)
class Limits:
    """The largest picture that is opened."""

    megapixels: float
    megabytes: float
    side: int = 65535  # the longest side of a JPEG file

    @classmethod
    def default(cls) -> "Limits":
        """Those of the settings."""
        return cls(megapixels=settings().max_megapixels, megabytes=settings().max_upload_mb)


def open_picture(source: str | Path | bytes | BinaryIO, *, limits: Limits | None = None) -> Picture:
    """The picture in a file, its bytes or a stream of them: its first frame, upright.

    The content decides the format (see `ACCEPTED_FORMATS`), never the name. Palettes, bilevel, CMYK and the like become
    8-bit RGB or grey; 16-bit stays 16-bit and grey stays grey. Values stay in the space of an RGB or grey profile with
    an ordinary tone curve and become sRGB otherwise; see `hpinet.images.colour`. `limits` are checked before any
    pixel is decoded; Pillow itself refuses more than 179 megapixels, whatever they are.

    Raises ImageError, and nothing else, when the file cannot be read, is of another kind, damaged, or over a limit.
    """
    limits = limits or Limits.default()
    data = _read(source, limits)
    try:
        with _quiet_pillow:
            return _decode(data, limits)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(limits) from error
    except UnidentifiedImageError as error:
        raise ImageError(_why_unidentified(data)) from error
    except Exception as error:  # Pillow promises nothing about what a damaged file makes it raise
        raise ImageError(f"This {_kind(data)} file is damaged or incomplete.") from error


def _read(source: str | Path | bytes | BinaryIO, limits: Limits) -> bytes:
    """All bytes of `source`, and never more than the limit and one."""
    most = int(limits.megabytes * 1e6)
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, (str, Path)):
        try:
            with Path(source).open("rb") as file:
                data = file.read(most + 1)
        except (OSError, ValueError) as error:
            raise ImageError(f"{source} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    else:
        data = source.read(most + 1)
    if len(data) > most:
        raise ImageError(f"The file is larger than {limits.megabytes:g} MB, the most that is accepted.")
    if not data:
        raise ImageError("The file is empty.")
    return data


def _decode(data: bytes, limits: Limits) -> Picture:
    if _kind(data) == "TIFF":
        picture = _decode_16_bit_tiff(data, limits)
        if picture is not None:
            return picture
    with Image.open(BytesIO(data), formats=ACCEPTED_FORMATS) as image:
        _check_size(*image.size, limits)
        if image.format == "PNG" and data[24] == 16 and image.mode != "I;16":  # bits a sample, in the IHDR chunk
            return _decode_16_bit_png(data, image)
        picture = Picture.from_pil(image)
    # What Pillow calls MPO, a JPEG followed by further ones as telephones write, is a JPEG all the same.
    return replace(picture, format="JPEG") if picture.format == "MPO" else picture


def _decode_16_bit_png(data: bytes, image: Image.Image) -> Picture:
    """A colour PNG of 16 bits, of which Pillow would drop 8. libpng adds alpha where a tRNS chunk asks for it."""
    from imagecodecs import png_decode  # noqa: PLC0415 (slow to import, and seldom needed)

    return from_samples(
        png_decode(data),
        profile=image.info.get("icc_profile"),
        gamma=gamma_of(image),
        orientation=orientation_of(image),
        format="PNG",
    )


def _decode_16_bit_tiff(data: bytes, limits: Limits) -> Picture | None:
    """A grey or RGB TIFF of 16 bits, or None for any other. Pillow drops 8 of the bits, or refuses grey with alpha."""
    from imagecodecs import tiff_decode  # noqa: PLC0415 (slow to import, and seldom needed)

    tags = _tiff_tags(data)
    photometric = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION)
    if (
        set(tags.get(TiffImagePlugin.BITSPERSAMPLE, ())) != {16}
        or set(tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))) != {1}
        or photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
    ):
        return None
    width, height = tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH]
    _check_size(width, height, limits)
    samples = tiff_decode(data)
    if tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == _SEPARATE_PLANES and samples.ndim == 3:
        samples = np.moveaxis(samples, 0, 2)
    samples = samples.reshape(height, width, -1)
    channels = 3 if photometric == _RGB else 1
    colour, extra = samples[..., :channels], tags.get(TiffImagePlugin.EXTRASAMPLES, ())
    if photometric == _WHITE_IS_ZERO:
        colour = 65535 - colour
    if extra and extra[0] in (_PREMULTIPLIED, _NOT_PREMULTIPLIED):
        alpha = samples[..., channels]
        colour = _unmultiplied(colour, alpha) if extra[0] == _PREMULTIPLIED else colour
        colour = np.dstack((colour, alpha))
    return from_samples(
        colour,
        profile=tags.get(TiffImagePlugin.ICCPROFILE),
        gamma=None,
        orientation=tags.get(ExifTags.Base.Orientation, 1),
        format="TIFF",
    )


def _tiff_tags(data: bytes) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Tags of the first picture of a TIFF file."""
    file = BytesIO(data)
    tags = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if b"+" in data[2:4] else 8])
    file.seek(tags.next)
    tags.load(file)
    return tags


def _unmultiplied(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colour of which 16-bit `alpha` is no longer part; black where nothing can be seen."""
    opacity = np.maximum(alpha, 1)[..., None] / np.float32(65535)
    return np.clip(np.rint(colour / opacity), 0, 65535).astype(np.uint16)


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.megapixels * 1e6 or max(width, height) > limits.side:
        raise _too_large(limits, f" of {width}×{height}")


def _too_large(limits: Limits, size: str = "") -> ImageError:
    return ImageError(
        f"The picture{size} is too large: at most {limits.megapixels:g} megapixels "
        f"and {limits.side} pixels a side are accepted."
    )


def _why_unidentified(data: bytes) -> str:
    kind = _kind(data)
    if kind in ACCEPTED_FORMATS:
        return f"This {kind} file is damaged or of a variety that cannot be read."
    what = f"This is a file of kind {kind}" if kind else "This is no picture of a known kind"
    return f"{what}: {_ACCEPTED} can be opened."


def _kind(data: bytes) -> str | None:
    """What kind of file this is by its first bytes, in Pillow's words where Pillow is to open it."""
    return next((kind for signature, kind in _KINDS if re.match(signature, data[:1024], re.DOTALL)), None)


class _QuietPillow:
    """While anybody is inside, Pillow's warnings about odd files are not shown.

    `warnings.catch_warnings` changes the whole process and must not overlap between threads, hence the count: the first
    to come changes the filters, the last to leave restores them. Other modules' warnings pass all the while.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_quiet_pillow = _QuietPillow()
