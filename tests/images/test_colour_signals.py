"""Every way a file can name its colours, against arithmetic of our own: right or refused by name, never wrong."""

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import product
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import ExifTags, Image

from hpinet.errors import ImageError
from hpinet.images import Picture, open_picture

from .samples import pillow_file, with_chunk

PIXELS = np.random.default_rng(0).integers(70, 180, (24, 32, 3)).astype(np.uint8)  # inside of every gamut
D65 = (0.3127, 0.329)
PRIMARIES = {  # ITU-T H.273, those with white D65
    1: (0.64, 0.33, 0.3, 0.6, 0.15, 0.06),
    5: (0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
LIKE_SRGB, HDR = (1, 6, 13, 14, 15), (16, 18)
ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
Case = tuple[str, bytes, tuple[float, ...], float | None]


def to_xyz(primaries: tuple[float, ...]) -> np.ndarray:
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in np.reshape(primaries, (3, 2))]).T
    white = np.array([D65[0] / D65[1], 1, (1 - sum(D65)) / D65[1]])
    return columns * np.linalg.solve(columns, white)


def meant(primaries: tuple[float, ...], gamma: float | None) -> np.ndarray:
    """The pixels as sRGB; gamma None: sRGB's curve."""
    stored = PIXELS / 255
    curve = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    light = curve if gamma is None else stored**gamma
    light = np.clip(light @ (np.linalg.inv(to_xyz(PRIMARIES[1])) @ to_xyz(primaries)).T, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def shown(picture: Picture) -> np.ndarray:
    """As a colour-managed viewer shows it."""
    colour = picture.to_8_bit().colour
    if picture.icc_profile is None:
        return colour
    return imagecodecs.cms_transform(
        colour, picture.icc_profile, imagecodecs.cms_profile("srgb"), colorspace="rgb", outcolorspace="rgb", intent=1
    )


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    data = pillow_file(Image.fromarray(PIXELS), "PNG")
    for chunk in reversed(chunks):
        data = with_chunk(data, *chunk)
    return data


def avif(primaries: int, transfer: int) -> bytes:
    codes: dict[str, Any] = {"primaries": primaries, "transfer": transfer, "matrix": 0}
    return bytes(imagecodecs.avif_encode(PIXELS, level=100, pixelformat="444", **codes))


def heic(primaries: int, transfer: int) -> bytes:
    file = BytesIO()
    made = pillow_heif.from_bytes(mode="RGB", size=PIXELS.shape[1::-1], data=PIXELS.tobytes())
    made.save(file, quality=-1, chroma=444, color_primaries=primaries, transfer_characteristics=transfer,
              matrix_coefficients=1)  # fmt: skip
    return file.getvalue()


def by_codes() -> Iterator[Case]:
    writers: dict[str, Callable[[int, int], bytes]] = {
        "PNG cICP": lambda primaries, transfer: png((b"cICP", bytes([primaries, transfer, 0, 1]))),
        "AVIF nclx": avif,
        "HEIC nclx": heic,
    }
    for (name, write), primaries, transfer in product(writers.items(), PRIMARIES, (*LIKE_SRGB, *GAMMAS, *HDR)):
        if name == "HEIC nclx" and primaries == 22:
            continue  # its encoder does not write them
        yield name, write(primaries, transfer), PRIMARIES[primaries], GAMMAS.get(transfer)


def by_chunks() -> Iterator[Case]:
    for primaries, stored in product((1, 9, 12), (None, 45455, 51000, 55556, 100000)):
        values = [round(value * 100_000) for value in (*D65, *PRIMARIES[primaries])]
        gamma = None if stored in (None, 45455, 51000) else 100_000 / stored
        chunks = [(b"cHRM", struct.pack(">8I", *values))] + ([(b"gAMA", struct.pack(">I", stored))] if stored else [])
        yield "PNG cHRM, gAMA", png(*chunks), PRIMARIES[primaries], gamma


def by_exif() -> Iterator[Case]:
    for way, format in product(("R03", "colour space"), ("JPEG", "PNG", "WEBP", "TIFF")):
        if (way, format) == ("R03", "TIFF"):
            continue  # Pillow does not write it
        tags = Image.Exif()
        camera = tags.get_ifd(ExifTags.IFD.Exif)
        camera[ExifTags.Base.ColorSpace] = 0xFFFF if way == "R03" else 2
        if way == "R03":
            camera[ExifTags.IFD.Interop] = {1: "R03"}
        options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
        options |= {"quality": 100, "subsampling": 0} if format == "JPEG" else {}
        data = pillow_file(Image.fromarray(PIXELS), format, exif=tags.tobytes(), **options)
        yield f"EXIF {way}", data, ADOBE, 2 + 51 / 256


def by_profile() -> Iterator[Case]:
    for primaries, gamma in product((1, 9, 12), (1.0, 1.8, 2.2)):
        xy = [*np.insert(np.reshape(PRIMARIES[primaries], (3, 2)), 2, 1, axis=1).flat]
        profile = imagecodecs.cms_profile("rgb", whitepoint=[*D65, 1.0], primaries=xy, gamma=gamma)
        for format in ("PNG", "TIFF", "WEBP", "AVIF"):
            options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
            options |= {"quality": 100, "subsampling": "4:4:4"} if format == "AVIF" else {}
            data = pillow_file(Image.fromarray(PIXELS), format, icc_profile=profile, **options)
            yield f"{format} ICC", data, PRIMARIES[primaries], gamma


def by_tags() -> Iterator[Case]:
    for primaries in (1, 9, 12):
        parts = tuple(part for value in PRIMARIES[primaries] for part in (round(value * 10000), 10000))
        tags = [(318, "2I", 2, (3127, 10000, 3290, 10000), True), (319, "2I", 6, parts, True)]
        file = BytesIO()
        tifffile.imwrite(file, PIXELS, photometric="rgb", metadata=None, extratags=tags)
        yield "TIFF tags", file.getvalue(), PRIMARIES[primaries], None


def cases() -> Iterator[Case]:
    for source in (by_codes, by_chunks, by_exif, by_profile, by_tags):
        yield from source()


def verdict(case: Case) -> str:
    """right, refused or wrong."""
    name, data, primaries, gamma = case
    try:
        picture = open_picture(data)
    except ImageError as error:
        return "refused" if "HDR" in str(error) else "wrong"
    error = np.abs(shown(picture) - meant(primaries, gamma)).mean()
    return "right" if error < (2.0 if name.startswith(("AVIF", "HEIC")) else 1.0) else f"wrong by {error:.1f}"


@pytest.mark.slow
def test_all_signals(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = [(case[0], verdict(case)) for case in cases()]
    counts = Counter(verdicts)
    with capsys.disabled():
        print()
        for name in dict.fromkeys(name for name, _ in verdicts):
            print(f"{name:20}", ", ".join(f"{count} {kind}" for (of, kind), count in counts.items() if of == name))
        total = Counter(kind.split(" ")[0] for _, kind in verdicts)
        print(f"Colour signals: {total['right']} right, {total['refused']} refused by name, {total['wrong']} wrong")
    assert total["wrong"] == 0
    assert total["refused"] == sum(1 for _ in by_codes()) // 10 * 2
