"""Files to pictures. Whatever bytes come in, a sane `Picture` or an `ImageError` comes out."""

import warnings
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image
from PIL import TiffImagePlugin as Tiff

from hpinet.errors import ImageError
from hpinet.images.compression import compression_of_webp
from hpinet.images.formats import BY_NAME, READABLE_LABELS, kind_of
from hpinet.images.picture import Picture, from_samples, gamma_of, orientation_of
from hpinet.settings import settings

# Values of TIFF tags (TIFF 6.0)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2  # photometric interpretations
_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3}
_SEPARATE_PLANES = 2  # planar configuration
_UNSIGNED = 1  # sample format
_PREMULTIPLIED, _NOT_PREMULTIPLIED = 1, 2  # meanings of an extra sample
_MOST_SAMPLES = 6  # a pixel: CMYK with alpha and one to spare, as in Pillow


@dataclass(frozen=True)
class Limits:
    """The largest picture that is opened; by default what the settings say."""

    megapixels: float = field(default_factory=lambda: settings().max_megapixels)
    megabytes: float = field(default_factory=lambda: settings().max_upload_mb)
    side: int = BY_NAME["JPEG"].longest_side


def open_picture(source: str | Path | bytes | BinaryIO, *, limits: Limits | None = None) -> Picture:
    """The picture in a file, its bytes or a stream of them: its first frame, upright.

    The content decides the format (see `hpinet.images.formats`), never the name. Palettes, bilevel, CMYK and the like
    become 8-bit RGB or grey; 16-bit stays 16-bit and grey stays grey. Values stay in the space of an RGB or grey
    profile with an ordinary tone curve and become sRGB otherwise; see `hpinet.images.colour`. `limits` are checked before
    any pixel is decoded; Pillow itself refuses more than 179 megapixels, whatever they are.

    Raises ImageError, and nothing else, when the file cannot be read, is of another kind, damaged, or over a limit.
    """
    limits = limits or Limits()
    data = _read(source, limits)
    try:
        with _quiet_pillow:
            return _decode(data, limits)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(limits) from error
    except Exception as error:  # Pillow promises nothing about what a damaged file makes it raise
        raise ImageError(_refusal(data)) from error


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
    if kind_of(data) == "TIFF":
        tags = _tiff_tags(data)
        _check_tiff(tags, limits)
        if set(tags.get(Tiff.BITSPERSAMPLE, (1,))) == {16} and tags.get(Tiff.PHOTOMETRIC_INTERPRETATION) in _CHANNELS:
            return _decode_16_bit_tiff(data, tags)
    with Image.open(BytesIO(data), formats=list(BY_NAME)) as image:
        _check_size(*image.size, limits)
        if image.format == "PNG":
            return _decode_png(data, image)
        picture = Picture.from_pil(image)
    if picture.format == "WEBP":
        return replace(picture, compression=compression_of_webp(data))
    # What Pillow calls MPO, a JPEG followed by further ones as telephones write, is a JPEG all the same.
    return replace(picture, format="JPEG") if picture.format == "MPO" else picture


def _decode_png(data: bytes, image: Image.Image) -> Picture:
    """A PNG: two kinds of them Pillow does not read as they are meant."""
    depth = data[24]  # bits a sample, in the IHDR chunk, which comes first
    if depth == 16 and image.mode != "I;16":  # of colour, Pillow drops the lower 8 bits
        return from_samples(
            _codecs().png_decode(data),  # with alpha where a tRNS chunk asks for it
            profile=image.info.get("icc_profile"),
            gamma=gamma_of(image),
            orientation=orientation_of(image),
            format="PNG",
        )
    key = image.info.get("transparency")
    if depth in (2, 4) and image.mode == "L" and key is not None:  # Pillow widens the samples, but not the key
        image.info["transparency"] = key * 255 // (2**depth - 1)
    return Picture.from_pil(image)


def _decode_16_bit_tiff(data: bytes, tags: Tiff.ImageFileDirectory_v2) -> Picture:
    """A grey or RGB TIFF of 16 bits: Pillow would drop 8 of them, and refuse grey with alpha."""
    photometric = tags[Tiff.PHOTOMETRIC_INTERPRETATION]
    samples = _codecs().tiff_decode(data)
    if samples.ndim == 2:
        samples = samples[..., None]
    elif tags.get(Tiff.PLANAR_CONFIGURATION) == _SEPARATE_PLANES:
        samples = np.moveaxis(samples, 0, 2)
    channels, extra = _CHANNELS[photometric], tags.get(Tiff.EXTRASAMPLES, ())
    colour = samples[..., :channels]
    if photometric == _WHITE_IS_ZERO:
        colour = 65535 - colour
    if extra and extra[0] in (_PREMULTIPLIED, _NOT_PREMULTIPLIED):
        alpha = samples[..., channels]
        colour = np.dstack((_unmultiplied(colour, alpha) if extra[0] == _PREMULTIPLIED else colour, alpha))
    return from_samples(
        colour,
        profile=tags.get(Tiff.ICCPROFILE),
        gamma=None,
        orientation=tags.get(ExifTags.Base.Orientation, 1),
        format="TIFF",
    )


def _check_tiff(tags: Tiff.ImageFileDirectory_v2, limits: Limits) -> None:
    """Refuse, from the header, what the decoders would take long to fail on or would not decode as it is meant."""
    _check_size(tags[Tiff.IMAGEWIDTH], tags[Tiff.IMAGELENGTH], limits)
    _check_size(tags.get(Tiff.TILEWIDTH, 1), tags.get(Tiff.TILELENGTH, 1), limits)  # a tile can exceed its picture
    bits, formats = tags.get(Tiff.BITSPERSAMPLE, (1,)), tags.get(Tiff.SAMPLEFORMAT, (_UNSIGNED,))
    if not {1, 2, 4, 8, 16}.issuperset(bits) or set(formats) != {_UNSIGNED}:
        raise ImageError(
            f"This TIFF file has samples of {max(bits)} bits, signed or floating: save it with 8 or 16 bits, unsigned."
        )
    if tags.get(Tiff.SAMPLESPERPIXEL, 1) > _MOST_SAMPLES:
        raise ImageError(f"This TIFF file has more than {_MOST_SAMPLES} samples a pixel: save it as grey or RGB.")


def _tiff_tags(data: bytes) -> Tiff.ImageFileDirectory_v2:
    """Tags of the first picture of a TIFF file."""
    file = BytesIO(data)
    tags = Tiff.ImageFileDirectory_v2(data[: 16 if b"+" in data[2:4] else 8])
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


def _refusal(data: bytes) -> str:
    kind = kind_of(data)
    if kind in BY_NAME:
        return f"This {kind} file is damaged, incomplete or of a rare variety that cannot be opened."
    what = f"{kind} files cannot be opened" if kind else "This is not a picture that can be opened"
    return f"{what}: use {' or '.join(READABLE_LABELS.rsplit(', ', 1))}."


def _codecs() -> ModuleType:
    """The library that decodes all 16 bits. It is slow to import and seldom needed."""
    import imagecodecs  # noqa: PLC0415

    return imagecodecs


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
