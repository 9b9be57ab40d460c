"""Colour management: which profiles a picture keeps, and the conversion to sRGB of everything else.

The network knows pixels as cameras and screens encode them: RGB with a tone curve near that of sRGB. Such values
go through it as they are, whatever their primaries, and the profile travels along to the enlarged file: nothing is
lost to a smaller gamut or to rounding. Values of any other kind (CMYK, L*a*b*, linear light, HDR curves) become sRGB
first. A profile that is damaged or belongs to another kind of pixels says nothing, so the values are taken for sRGB.
"""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_SPACES = {b"GRAY": "gray", b"RGB ": "rgb", b"CMYK": "cmyk"}  # signatures in an ICC header and imagecodecs' names
_CHANNELS = {"gray": 1, "rgb": 3, "cmyk": 4}


def settle(colour: np.ndarray, profile: bytes | None) -> tuple[np.ndarray, bytes | None]:
    """The values the network should see, and the profile that describes them (None: sRGB).

    `colour` is (H, W, 1) grey or (H, W, 3) RGB, uint8 or uint16, in the space of `profile`.
    """
    if profile is None:
        return colour, None
    if _has_usual_tone_curve(profile, colour.shape[2]):
        return colour, profile
    return to_srgb(colour, profile), None


def to_srgb(values: np.ndarray, profile: bytes | None) -> np.ndarray:
    """(H, W, C) values in the space of `profile` as sRGB of the same depth; grey stays grey.

    Grey and RGB come back unchanged when the profile is None or says nothing about them. CMYK, which cannot, becomes
    RGB by the plain subtraction that software without colour management does.
    """
    converted = None if profile is None else _convert(values, profile)
    if converted is not None:
        return converted
    return _inks_to_rgb(values) if values.shape[2] == 4 else values


def gamma_to_srgb(colour: np.ndarray, gamma: float) -> np.ndarray:
    """Values of a PNG whose gAMA chunk says ``stored = light ** gamma``, as sRGB; unchanged when that is about 1/2.2.

    Five per cent is what libpng, too, calls the same.
    """
    if gamma <= 0 or abs(gamma * 2.2 - 1) < 0.05:
        return colour
    top = np.iinfo(colour.dtype).max
    light = (np.arange(top + 1) / top) ** (1 / gamma)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)  # IEC 61966-2-1
    return np.rint(srgb * top).astype(colour.dtype)[colour]


def _has_usual_tone_curve(profile: bytes, channels: int) -> bool:
    """Whether mid greys mean about the same as in sRGB: true of gammas from 1.6 to 2.8 and of L*, not of linear light.

    Asking little CMS what becomes of three greys covers curves, tables and matrices alike.
    """
    greys = np.array([64, 128, 192], np.uint8)
    seen = _convert(np.repeat(greys[:, None, None], channels, axis=2), profile)
    return seen is not None and bool(np.abs(seen[:, 0].mean(axis=1) - greys).max() < 28)


def _convert(values: np.ndarray, profile: bytes) -> np.ndarray | None:
    """Values as sRGB, or None when the profile is damaged or describes pixels of other channels."""
    from imagecodecs import cms_transform  # noqa: PLC0415 (a third of a second to import, and seldom needed)

    space = _space_of(profile)
    if space is None or _CHANNELS[space] != values.shape[2]:
        return None
    try:
        rgb = cms_transform(
            np.ascontiguousarray(values[..., 0] if space == "gray" else values),
            profile,
            _srgb_profile(),
            colorspace=space,
            outcolorspace="rgb",
            intent=int(ImageCms.Intent.RELATIVE_COLORIMETRIC),
            flags=int(ImageCms.Flags.BLACKPOINTCOMPENSATION),
        )
    except Exception:  # whatever little CMS has against the profile
        return None
    return rgb[..., 1:2] if space == "gray" else rgb


def _inks_to_rgb(inks: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(inks, "CMYK").convert("RGB"))


def _space_of(profile: bytes) -> str | None:
    """Colour space that an ICC profile describes, from its header; None when it is no profile or of none we know."""
    return _SPACES.get(profile[16:20]) if profile[36:40] == b"acsp" else None


@lru_cache(maxsize=1)
def _srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
