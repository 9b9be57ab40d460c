"""`Picture`: what the rest of the package means by a picture, and its way from and to Pillow and NumPy."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import ExifTags, Image, ImageCms

from hpinet.errors import ImageError
from hpinet.images import colour as colours
from hpinet.images.compression import Compression, compression_of
from hpinet.images.metadata import NOTHING, Metadata
from hpinet.images.notes import ODD_PROFILE

_PLAIN_MODES = {  # Pillow's modes that convert to samples without loss, by what they become
    "1": "L",
    "L": "L",
    "La": "LA",
    "LA": "LA",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBX": "RGB",
    "RGBa": "RGBA",
    "RGBA": "RGBA",
    "YCbCr": "RGB",
    "HSV": "RGB",
}
_NOT_CAMERAS = {"CMYK", "LAB", "1", "L", "LA", "I;16", "P"}  # modes that no camera writes Adobe RGB in
_ADOBE_RGB = 2  # EXIF colour space
_GREY_16_MODES = {"I;16", "I;16L", "I;16B", "I;16N"}


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels with all that is needed to write them back as they were meant."""

    colour: np.ndarray  # (H, W, 3) RGB or (H, W, 1) grey, uint8 or uint16
    alpha: np.ndarray | None = None  # (H, W), same dtype, not premultiplied; None means opaque
    icc_profile: bytes | None = None  # the space the values are in; None means sRGB, or grey with sRGB's tone curve
    format: str = "PNG"  # of the file it came from, by Pillow's name
    notes: tuple[str, ...] = ()  # what was left out or taken for something on opening, in sentences
    compression: Compression | None = None  # what that file says of its losses
    metadata: Metadata = NOTHING  # what else it says

    def __post_init__(self) -> None:
        if self.colour.ndim != 3 or self.colour.shape[2] not in (1, 3) or 0 in self.colour.shape:
            raise ImageError(f"A picture is (height, width, 1 or 3), not {self.colour.shape}.")
        if self.colour.dtype not in (np.uint8, np.uint16):
            raise ImageError(f"A picture has 8- or 16-bit unsigned samples, not {self.colour.dtype}.")
        if self.alpha is not None and (self.alpha.shape, self.alpha.dtype) != (
            self.colour.shape[:2],
            self.colour.dtype,
        ):
            raise ImageError("The alpha channel must have the picture's size and depth.")

    @property
    def height(self) -> int:
        """Rows."""
        return self.colour.shape[0]

    @property
    def width(self) -> int:
        """Columns."""
        return self.colour.shape[1]

    @property
    def depth(self) -> int:
        """Bits a sample: 8 or 16."""
        return self.colour.dtype.itemsize * 8

    @property
    def is_grey(self) -> bool:
        """Whether there is one channel of colour rather than three."""
        return self.colour.shape[2] == 1

    @property
    def samples(self) -> np.ndarray:
        """(H, W, C): colour followed by alpha, if any. C is 1 grey, 2 grey and alpha, 3 RGB or 4 RGB and alpha."""
        return self.colour if self.alpha is None else np.dstack((self.colour, self.alpha))

    @classmethod
    def from_array(cls, array: np.ndarray, *, icc_profile: bytes | None = None) -> "Picture":
        """A picture of (H, W) or (H, W, C) uint8 or uint16 samples, C as in `samples`. Raises ImageError otherwise."""
        samples = array[..., None] if array.ndim == 2 else array
        if samples.ndim != 3 or not 1 <= samples.shape[2] <= 4:
            raise ImageError(f"A picture is (height, width) or (height, width, 1 to 4), not {array.shape}.")
        opaque = samples.shape[2] % 2
        colour = samples if opaque else samples[..., :-1]
        alpha = None if opaque else np.ascontiguousarray(samples[..., -1])
        return cls(np.ascontiguousarray(colour), alpha, icc_profile)

    @classmethod
    def from_pil(cls, image: Image.Image) -> "Picture":
        """The picture in a Pillow image of any mode with 8- or 16-bit samples, upright, its profile settled.

        Raises ImageError for floating-point and 32-bit samples, whose range nobody can know.
        """
        xmp = image.info.pop("xmp", None)  # by which Pillow would turn a TIFF that names no orientation itself
        image.load()
        if xmp is not None:
            image.info["xmp"] = xmp
        profile = image.info.get("icc_profile")
        if image.mode == "CMYK":
            samples, profile = colours.to_srgb(np.asarray(image), profile), None
        elif image.mode == "LAB":
            samples, profile = _from_lab(image), None
        else:
            samples = to_samples(image)
        picture = from_samples(
            samples,
            profile=profile or (profile_of_exif(image) if image.mode not in _NOT_CAMERAS else None),
            gamma=gamma_of(image),
            orientation=orientation_of(image),
            format=image.format or "PNG",
        )
        return replace(picture, compression=compression_of(image))

    def to_pil(self) -> Image.Image:
        """Pillow's image of mode L, LA, RGB, RGBA or I;16, its profile in `info`.

        Pillow has no other 16-bit modes: colour and grey with alpha are rounded to 8 bits.
        """
        picture = self if self.depth == 8 or (self.is_grey and self.alpha is None) else self.to_8_bit()
        samples = picture.samples
        image = Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)
        if self.icc_profile:
            image.info["icc_profile"] = self.icc_profile
        return image

    def to_8_bit(self) -> "Picture":
        """The same picture with 8 bits a sample, rounded to nearest."""
        if self.depth == 8:
            return self
        alpha = None if self.alpha is None else _round_to_8_bit(self.alpha)
        return replace(self, colour=_round_to_8_bit(self.colour), alpha=alpha)

    def to_8_bit_rgb(self) -> np.ndarray:
        """(H, W, 3) uint8: rounded to nearest, grey three times over, alpha left out. It may be `colour` itself."""
        colour = self.colour if self.depth == 8 else _round_to_8_bit(self.colour)
        return np.repeat(colour, 3, axis=2) if self.is_grey else colour

    def on(self, shade: float) -> "Picture":
        """Opaque, laid on an even ``shade`` from 0 (black) to 1 (white) where it is transparent."""
        if self.alpha is None:
            return self
        top = np.iinfo(self.colour.dtype).max
        colour = np.empty_like(self.colour)
        for laid, row, alpha in zip(colour, self.colour, self.alpha, strict=True):  # by rows, like `_by_rows`
            opacity = alpha[:, None] / np.float32(top)
            laid[:] = np.rint(row * opacity + shade * top * (1 - opacity))
        return replace(self, colour=colour, alpha=None)


def from_samples(
    samples: np.ndarray, *, profile: bytes | None, gamma: float | None, orientation: int, format: str
) -> Picture:
    """A picture of samples as a file stores them: colour settled, and turned upright by EXIF orientation."""
    stored = Picture.from_array(samples)
    colour, profile, was_odd = colours.settle(stored.colour, profile)
    if gamma is not None:
        colour = colours.gamma_to_srgb(colour, gamma)
    alpha = None if stored.alpha is None else upright(stored.alpha, orientation)
    notes = (ODD_PROFILE,) if was_odd else ()
    return Picture(upright(colour, orientation), alpha, profile, format, notes)


def stretched(samples: np.ndarray, bits: int) -> np.ndarray:
    """Unsigned samples of so many bits over the full range of 8 bits, or of 16 where there are more than 8."""
    dtype, depth = (np.uint8, 8) if bits <= 8 else (np.uint16, 16)
    if bits == depth:
        return samples.astype(dtype)  # in the machine's byte order
    top, most = np.iinfo(dtype).max, 2**bits - 1
    wide = np.uint32 if bits <= 16 else np.uint64
    return _by_rows(lambda row: (row.astype(wide) * top + most // 2) // most, samples, dtype)


def from_unit(samples: np.ndarray) -> np.ndarray | None:
    """Floating-point samples from 0 to 1 as 16 bits; None if any is beyond."""
    if not (np.isfinite(samples).all() and samples.min() >= 0 and samples.max() <= 1):
        return None
    return _by_rows(lambda row: np.rint(row.astype(np.float64) * 65535), samples, np.uint16)


def unmultiplied(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colour of which `alpha` is no longer part; black where nothing can be seen."""
    top = np.iinfo(colour.dtype).max

    def divided(row: np.ndarray) -> np.ndarray:
        opacity = np.maximum(row[:, -1:], 1) / np.float32(top)
        return np.clip(np.rint(row[:, :-1] / opacity), 0, top)

    return _by_rows(divided, np.dstack((colour, alpha)), colour.dtype, channels=colour.shape[2])


def _by_rows(
    convert: Callable[[np.ndarray], np.ndarray],
    samples: np.ndarray,
    dtype: type | np.dtype,
    channels: int | None = None,
) -> np.ndarray:
    """(H, W, C) or (H, W) samples converted a row at a time: a wider copy of them would be the largest array."""
    result = np.empty((*samples.shape[:2], channels) if channels else samples.shape, dtype)
    for number, row in enumerate(samples):
        result[number] = convert(row)
    return result


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation that is still to be applied. Damaged EXIF data is no reason to refuse a picture.

    What `image.getexif()` names may be XMP's, by which nobody else turns a picture. A TIFF has none here: Pillow turns
    it while loading.
    """
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif") or b"")
        return orientation_in(exif)
    except Exception:
        return 1


def orientation_in(exif: Image.Exif) -> int:
    """The orientation that EXIF data name, 1 to 8; 1 if none, or something that is none."""
    named: object = exif.get(ExifTags.Base.Orientation)
    return named if isinstance(named, int) and 1 <= named <= 8 else 1


def profile_of_exif(image: Image.Image) -> bytes | None:
    """The profile that a picture's EXIF data name, see `profile_by_exif`."""
    try:
        return profile_by_exif(image.getexif())
    except Exception:
        return None


def profile_by_exif(exif: Image.Exif) -> bytes | None:
    """Adobe RGB, where cameras say so without a profile: interoperability index R03, or colour space 2 (DCF 2.0)."""
    try:
        camera = exif.get_ifd(ExifTags.IFD.Exif)
        has_index = ExifTags.IFD.Interop in camera
        index = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex) if has_index else None
        space = camera.get(ExifTags.Base.ColorSpace)
    except Exception:
        return None
    return colours.adobe_rgb() if str(index or "").rstrip("\0 ") == "R03" or space == _ADOBE_RGB else None


def gamma_of(image: Image.Image) -> float | None:
    """What the gAMA chunk of a PNG says, unless a profile or the sRGB chunk outranks it."""
    if image.info.get("icc_profile") or "srgb" in image.info:
        return None
    return image.info.get("gamma")


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Rows and columns as they should be seen: orientations 5 to 8 lie on their side, the others are flips alone.

    Anything but 2 to 8 is upright already.
    """
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.require(array[::rows, ::columns], requirements=["C", "W"])


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height of what `upright` makes of a picture with that width and height."""
    return (size[1], size[0]) if orientation in (5, 6, 7, 8) else size


def stored(array: np.ndarray, orientation: int) -> np.ndarray:
    """The inverse of `upright`: the two quarter turns are each other's, the rest are their own."""
    return upright(array, {6: 8, 8: 6}.get(orientation, orientation))


def to_samples(image: Image.Image) -> np.ndarray:
    """(H, W, C) samples of an image in any mode but CMYK and LAB."""
    if image.mode in _GREY_16_MODES:
        return _with_key(np.asarray(image).astype(np.uint16)[..., None], image.info.get("transparency"))
    if image.mode == "P":
        return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    if image.mode not in _PLAIN_MODES:
        raise ImageError(
            f"Pictures of Pillow's mode {image.mode} cannot be enlarged: save it with 8 or 16 bits a channel."
        )
    samples = np.asarray(image if image.mode == _PLAIN_MODES[image.mode] else image.convert(_PLAIN_MODES[image.mode]))
    return _with_key(samples[..., None] if samples.ndim == 2 else samples, image.info.get("transparency"))


def _with_key(samples: np.ndarray, key: int | tuple[int, ...] | None) -> np.ndarray:
    """Samples with alpha added: 0 where the colour is `key` (the tRNS chunk of PNG), opaque elsewhere."""
    if key is None or samples.shape[2] not in (1, 3):
        return samples
    top = np.iinfo(samples.dtype).max
    opaque = (samples != np.bitwise_and(key, top)).any(axis=2)  # PNG 11.3.1: only the lower bits of a key count
    return np.dstack((samples, np.where(opaque, top, 0).astype(samples.dtype)))


def _from_lab(image: Image.Image) -> np.ndarray:
    rgb = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    return np.asarray(rgb)


def _round_to_8_bit(values: np.ndarray) -> np.ndarray:
    return _by_rows(lambda row: (row.astype(np.uint32) + 128) // 257, values, np.uint8)
