"""Colour management: which profiles a picture keeps, and the conversion to sRGB of everything else.

The network knows pixels as cameras and screens encode them: RGB with a tone curve near that of sRGB. Such values
go through it as they are, whatever their primaries, and the profile travels along to the enlarged file: nothing is
lost to a smaller gamut or to rounding. Values of any other kind (CMYK, L*a*b*, linear light, HDR curves) become sRGB
first. A profile that is damaged or belongs to another kind of pixels says nothing, so the values are taken for sRGB.
"""

import struct
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from hpinet.errors import ImageError
from hpinet.images.png import SideData

_SPACES = {b"GRAY": "gray", b"RGB ": "rgb", b"CMYK": "cmyk"}  # signatures in an ICC header and imagecodecs' names
_CHANNELS = {"gray": 1, "rgb": 3, "cmyk": 4}


def settle(colour: np.ndarray, profile: bytes | None) -> tuple[np.ndarray, bytes | None, bool]:
    """The values the network should see, the profile that describes them (None: sRGB), and whether one made no sense.

    `colour` is (H, W, 1) grey or (H, W, 3) RGB, uint8 or uint16, in the space of `profile`. Raises ImageError for HDR.
    """
    if profile is None:
        return colour, None, False
    refuse_hdr(_transfer_of(profile))
    if _has_usual_tone_curve(profile, colour.shape[2]):
        return colour, profile, False
    converted = _convert(colour, profile)
    return (colour, None, True) if converted is None else (converted, None, False)


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


def meant_by_png(side: SideData, *, is_grey: bool) -> tuple[bytes | None, float | None]:
    """The profile that a PNG's chunks mean (None: sRGB), and the gamma where that alone is named.

    The order is that of PNG 3: cICP, iCCP, sRGB, then cHRM with gAMA. The curves of BT.709 and BT.601 in cICP, and
    gammas from 0.5 to 0.53, which ffmpeg writes for them, are taken for sRGB's: so browsers and players show them.
    Raises ImageError for HDR curves, which no picture of 8 or 16 bits for ordinary screens can keep.
    """
    if side.cicp is not None:
        primaries, transfer, matrix, is_full = side.cicp
        refuse_hdr(transfer)
        if not is_full:
            raise ImageError("This PNG has samples of video range: save it with full range.")
        if matrix == 0 and (meant := meant_by_codes(primaries, transfer, is_grey=is_grey)) is not None:
            return meant
    if side.profile is not None:
        return side.profile, None
    if side.is_srgb:
        return None, None
    gamma = side.gamma
    if gamma is not None and 0.5 <= gamma <= 0.53:
        gamma = None
    usual = gamma is None or gamma <= 0 or abs(gamma * 2.2 - 1) < 0.05
    if side.chromaticities is not None and not is_grey:
        curve = None if usual or gamma is None else 1 / gamma
        if (profile := profile_by_chromaticities(side.chromaticities, curve)) is not None:
            return profile, None
    return None, gamma


def meant_by_codes(primaries: int, transfer: int, *, is_grey: bool) -> tuple[bytes | None, float | None] | None:
    """The profile, or for grey the gamma, that codes of ITU-T H.273 mean (None: that of sRGB); None if not known.

    Raises ImageError for HDR curves.
    """
    refuse_hdr(transfer)
    if primaries not in _PRIMARIES or transfer not in _CURVES:
        return None
    like_srgb = transfer in _LIKE_SRGB
    if is_grey or (primaries == 1 and like_srgb):
        return None, (None if like_srgb else 1 / _CURVES[transfer])
    return rgb_profile(_PRIMARIES[primaries], None if like_srgb else _CURVES[transfer]), None


def refuse_hdr(transfer: int | None) -> None:
    """Raises ImageError for HDR curves, by their codes of ITU-T H.273."""
    if transfer in _HDR_CURVES:
        raise ImageError(f"This is an HDR picture ({_HDR_CURVES[transfer]}): save it as SDR, in sRGB or Display P3.")


def profile_of_bmp(data: bytes) -> bytes | None:
    """The profile that a BMP file of version 4 or 5 holds, or means by its chromaticities."""
    size = int.from_bytes(data[14:18], "little")
    if size < _BMP_4 or len(data) < 14 + size:
        return None
    space = data[70:74]
    if space == b"DEBM" and size >= _BMP_5:
        start, length = struct.unpack_from("<II", data, 126)
        return data[14 + start : 14 + start + length] or None
    if space != bytes(4):
        return None
    numbers = np.array(struct.unpack_from("<12I", data, 74), np.float64)
    tristimuli, gammas = numbers[:9].reshape(3, 3) / 2**30, numbers[9:] / 2**16
    tristimuli = np.vstack((tristimuli.sum(axis=0), tristimuli))  # white is red, green and blue together
    totals = tristimuli.sum(axis=1, keepdims=True)
    if (totals == 0).any():  # many programs leave them empty
        return None
    gamma = float(gammas.mean())
    usual = abs(gamma - 2.2) < 0.1 or not 1 <= gamma <= 4
    return profile_by_chromaticities(tuple((tristimuli / totals)[:, :2].flat), None if usual else gamma)


def profile_of_gif(data: bytes) -> bytes | None:
    """The profile in an extension of a GIF file."""
    at = data.find(b"\x21\xff\x0bICCRGBG1012") + 14
    blocks = list[bytes]()
    while at >= 14 and at < len(data) and data[at]:
        blocks.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return b"".join(blocks) or None


def profile_by_chromaticities(named: tuple[float, ...], gamma: float | None = None) -> bytes | None:
    """The profile that x and y of white, red, green and blue mean; None if they are sRGB's, or make no sense.

    None as ``gamma`` is the curve of sRGB.
    """
    if not _is_plausible(named) or np.allclose(named, _PRIMARIES[1], atol=0.005):
        return None
    return rgb_profile(named, gamma)


@lru_cache(maxsize=8)
def rgb_profile(chromaticities: tuple[float, ...], gamma: float | None) -> bytes:
    """An ICC profile of RGB with x and y of white, red, green and blue, and a gamma; None: the curve of sRGB."""
    from imagecodecs import cms_profile  # noqa: PLC0415

    white, primaries = chromaticities[:2], np.reshape(chromaticities[2:], (3, 2))
    stored = np.arange(1024) / 1023
    light = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    curve: dict[str, Any] = (
        {"transferfunction": np.rint(light * 65535).astype(np.uint16)} if gamma is None else {"gamma": gamma}
    )
    made = cms_profile("rgb", whitepoint=[*white, 1.0], primaries=[*np.insert(primaries, 2, 1, axis=1).flat], **curve)
    return _undated(made)


@lru_cache(maxsize=1)
def adobe_rgb() -> bytes:
    """The profile of Adobe RGB (1998)."""
    from imagecodecs import cms_profile  # noqa: PLC0415

    return _undated(cms_profile("adobergb"))


def _undated(profile: bytes) -> bytes:
    """A profile without the time when it was made, so that the same picture gives the same file."""
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]


def _is_plausible(chromaticities: tuple[float, ...]) -> bool:
    """Whether white lies in a triangle of the primaries that is worth the name; else a chunk says nothing."""
    white, red, green, blue = np.reshape(chromaticities, (4, 2))
    if white[1] <= 0 or (np.abs(chromaticities) > 1).any():
        return False
    try:
        shares = np.linalg.solve(np.vstack((np.transpose((red, green, blue)), np.ones(3))), (*white, 1))
    except np.linalg.LinAlgError:
        return False
    return bool((shares > 0.01).all())


_BMP_4, _BMP_5 = 108, 124  # bytes of their headers

# ITU-T H.273: x and y of white, red, green and blue
_D65, _C = (0.3127, 0.329), (0.31, 0.316)
_PRIMARIES = {
    1: (*_D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06),  # BT.709, sRGB
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # BT.470 M
    5: (*_D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),  # BT.601, 625 lines
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),  # BT.601, 525 lines
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),  # SMPTE ST 240
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),  # film
    9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),  # BT.2020
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # DCI-P3
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # Display P3
    22: (*_D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),  # EBU Tech 3213
}
_LIKE_SRGB = (1, 6, 7, 11, 12, 13, 14, 15)
_CURVES = {**dict.fromkeys(_LIKE_SRGB, 2.2), 4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}  # transfers by their gamma
_HDR_CURVES = {16: "PQ", 18: "HLG"}


def _transfer_of(profile: bytes) -> int | None:
    """The transfer that the cicp tag of an ICC profile (4.4) names."""
    for entry in range(132, min(len(profile) - 12, 132 + 12 * int.from_bytes(profile[128:132], "big")), 12):
        sign, start, _ = struct.unpack_from(">4sII", profile, entry)
        if sign == b"cicp" and profile[start : start + 4] == b"cicp" and start + 12 <= len(profile):
            return profile[start + 9]
    return None


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
    if inks.dtype == np.uint8:
        return np.asarray(Image.fromarray(inks, "CMYK").convert("RGB"))
    paper = (np.iinfo(inks.dtype).max - inks).astype(np.float32)
    return np.rint(paper[..., :3] * (paper[..., 3:] / np.iinfo(inks.dtype).max)).astype(inks.dtype)


def _space_of(profile: bytes) -> str | None:
    """Colour space that an ICC profile describes, from its header; None when it is no profile or of none we know."""
    return _SPACES.get(profile[16:20]) if profile[36:40] == b"acsp" else None


@lru_cache(maxsize=1)
def _srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
