"""TIFF layouts as tifffile writes them: right or refused by name, never wrong."""

from collections import Counter
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
import pytest
import tifffile

from hpinet.errors import ImageError
from hpinet.images import open_picture

RNG = np.random.default_rng(0)


def written(samples: np.ndarray, **options: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, samples, metadata=None, **options)
    return file.getvalue()


def cases(*, depths: tuple[Any, ...], compressions: tuple[Any, ...]) -> Any:
    layouts = product(depths, (1, 2, 3, 4), (1, 2), (None, (16, 16)), compressions, "<>", (False, True))
    for dtype, channels, planes, tile, compression, order, big in layouts:
        if channels == 1 and planes == 2:
            continue
        for extra in ("unassalpha", "assocalpha", "unspecified") if channels in (2, 4) else (None,):
            yield dtype, channels, planes, tile, compression, order, big, extra


def verdict(case: tuple[Any, ...]) -> str:
    """right, refused or wrong."""
    dtype, channels, planes, tile, compression, order, big, extra = case
    top = np.iinfo(dtype).max
    samples = RNG.integers(0, top + 1, (24, 20, channels)).astype(dtype)
    if extra == "assocalpha":
        samples[..., -1] = top  # so that colour is what is stored
    stored = samples[..., 0] if channels == 1 else np.moveaxis(samples, 2, 0) if planes == 2 else samples
    data = written(
        stored,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig=None if channels == 1 else ("contig", "separate")[planes - 1],
        extrasamples=None if extra is None else [extra],
        tile=tile,
        compression=compression,
        byteorder=order,
        bigtiff=big,
    )
    try:
        picture = open_picture(data)
    except ImageError as error:
        return "wrong" if "damaged" in str(error) else "refused"
    expected = samples[..., :-1] if extra == "unspecified" else samples
    return "right" if np.array_equal(picture.samples, expected) else "wrong"


def test_some_layouts() -> None:
    every_so_often = list(cases(depths=(np.uint8, np.uint16), compressions=(None, "lzw", "zlib")))[::7]
    assert {verdict(case) for case in every_so_often} == {"right"}


@pytest.mark.slow
def test_all_layouts(capsys: pytest.CaptureFixture[str]) -> None:
    compressions = (None, "lzw", "zlib", "packbits", "zstd", "lzma")
    counts = Counter(verdict(case) for case in cases(depths=(np.uint8, np.uint16), compressions=compressions))
    with capsys.disabled():
        print(f"\nTIFF layouts: {counts['right']} right, {counts['refused']} refused by name, {counts['wrong']} wrong")
    assert counts["wrong"] == 0


def test_alpha_in_compressed_planes() -> None:
    grey, alpha = RNG.integers(0, 256, (2, 48, 64)).astype(np.uint8)
    alpha[:24], alpha[24:] = 255, 128
    data = written(
        np.stack((grey, alpha)), photometric="minisblack", planarconfig="separate", extrasamples=["unassalpha"],
        compression="lzw",
    )  # fmt: skip
    picture = open_picture(data)
    assert np.array_equal(picture.samples, np.dstack((grey, alpha)))


@pytest.mark.parametrize("bits", [2, 4, 10, 12, 14])
def test_odd_depths(bits: int) -> None:
    values = RNG.integers(0, 2**bits, (9, 16)).astype(np.uint8 if bits <= 8 else np.uint16)
    values[0, :2] = 0, 2**bits - 1
    picture = open_picture(written(values, photometric="minisblack", bitspersample=bits))
    top = 255 if bits <= 8 else 65535
    assert np.array_equal(picture.colour[..., 0], np.rint(values * (top / (2**bits - 1))))


def test_32_bits_and_floating_point() -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    for samples in (values, np.rint(values.astype(float) * (2**32 - 1)).astype(np.uint32)):
        picture = open_picture(written(samples, photometric="minisblack"))
        assert np.array_equal(picture.colour[..., 0], np.rint(values.astype(float) * 65535))
    with pytest.raises(ImageError, match="beyond 0 to 1"):
        open_picture(written(values * 3, photometric="minisblack"))


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_cmyk(planar: str) -> None:
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[..., 0] = 255  # cyan
    stored = np.moveaxis(inks, 2, 0) if planar == "separate" else inks
    picture = open_picture(written(stored, photometric="separated", planarconfig=planar))
    assert picture.colour[0, 0].tolist() == [0, 255, 255]


def test_palette() -> None:
    table = RNG.integers(0, 256, (3, 256)).astype(np.uint16)
    indices = RNG.integers(0, 256, (8, 8)).astype(np.uint8)
    picture = open_picture(written(indices, photometric="palette", colormap=table * 257))
    assert np.array_equal(picture.colour, table.T[indices])


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ([(50706, "B", 4, (1, 4, 0, 0), True)], "DNG"),
        ([("Make", "s", 0, "NIKON CORPORATION", True)], "NEF"),
        ([("Make", "s", 0, "SONY", True)], "ARW"),
    ],
)
def test_camera_raws_are_refused_by_name(tags: list[Any], name: str) -> None:
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        thumbnail = np.zeros((48, 64, 3), np.uint8)
        writer.write(thumbnail, photometric="rgb", subifds=1, subfiletype=1, extratags=tags, metadata=None)
        writer.write(np.zeros((480, 640), np.uint16), photometric="cfa", subfiletype=0, metadata=None,
                     extratags=[(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)])  # fmt: skip
    with pytest.raises(ImageError, match=f"camera raw.*{name}"):
        open_picture(file.getvalue())


def test_a_thumbnail_before_the_picture_is_not_the_picture() -> None:
    samples = RNG.integers(0, 256, (30, 40, 3)).astype(np.uint8)
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(samples[::4, ::4], photometric="rgb", subfiletype=1, metadata=None)
        writer.write(samples, photometric="rgb", metadata=None)
    assert np.array_equal(open_picture(file.getvalue()).colour, samples)


def test_pages_beyond_the_first_are_mentioned() -> None:
    data = written(RNG.integers(0, 256, (3, 16, 16)).astype(np.uint8), photometric="minisblack")
    assert any("3 pages" in note for note in open_picture(data).notes)
