"""TIFF layouts as tifffile writes them: right or refused by name, never wrong."""

from collections import Counter
from io import BytesIO
from itertools import product
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from hpinet.errors import ImageError
from hpinet.images import open_picture

RNG = np.random.default_rng(0)


def written(samples: np.ndarray, **options: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, samples, metadata=None, **options)
    return file.getvalue()


def cases(*, depths: tuple[Any, ...], compressions: tuple[Any, ...]) -> Any:
    """Depth, photometric, channels, planes, tile, compression, predictor, byte order, BigTIFF, kind of alpha."""
    layouts = product(depths, ("minisblack", "miniswhite", "rgb"), (1, 2, 3, 4), (1, 2), (None, (16, 16)), compressions)
    for dtype, photometric, channels, planes, tile, compression in layouts:
        colours = 3 if photometric == "rgb" else 1
        if not 0 <= channels - colours <= 1 or (channels == 1 and planes == 2):
            continue
        extras = ("unassalpha", "assocalpha", "unspecified") if channels > colours else (None,)
        predictors = (False, True) if compression in ("lzw", "zlib", "zstd") else (False,)
        orders = "<" if compression in ("png", "jpegxl") else "<>"  # tifffile does not write others
        for extra, order, big, predictor in product(extras, orders, (False, True), predictors):
            yield dtype, photometric, channels, planes, tile, compression, predictor, order, big, extra


def verdict(case: tuple[Any, ...]) -> str:
    """right, refused or wrong; against the samples as tifffile reads them, and what TIFF 6.0 makes of these."""
    dtype, photometric, channels, planes, tile, compression, predictor, order, big, extra = case
    top = np.iinfo(dtype).max
    samples = RNG.integers(0, top + 1, (24, 20, channels)).astype(dtype)
    stored = samples[..., 0] if channels == 1 else np.moveaxis(samples, 2, 0) if planes == 2 else samples
    data = written(
        stored,
        photometric=photometric,
        planarconfig=None if channels == 1 else ("contig", "separate")[planes - 1],
        extrasamples=None if extra is None else [extra],
        tile=tile,
        compression=compression,
        predictor=predictor,
        byteorder=order,
        bigtiff=big,
    )
    assert np.array_equal(tifffile.imread(BytesIO(data)), stored)
    try:
        picture = open_picture(data)
    except ImageError as error:
        return "wrong" if "damaged" in str(error) else "refused"
    colour, alpha = (samples, None) if extra is None else (samples[..., :-1], samples[..., -1])
    colour = top - colour if photometric == "miniswhite" else colour
    if extra == "unspecified":
        alpha = None
    elif extra == "assocalpha" and alpha is not None:
        colour = np.clip(np.rint(colour * (top / np.maximum(alpha, 1.0))[..., None]), 0, top)
    near = np.abs(picture.colour - colour.astype(float)).max() <= (extra == "assocalpha")
    same = picture.alpha is None if alpha is None else picture.alpha is not None and (picture.alpha == alpha).all()
    return "right" if near and same else "wrong"


def test_some_layouts() -> None:
    every_so_often = list(cases(depths=(np.uint8, np.uint16), compressions=(None, "lzw", "zlib")))[::11]
    assert {verdict(case) for case in every_so_often} == {"right"}


@pytest.mark.slow
def test_all_layouts(capsys: pytest.CaptureFixture[str]) -> None:
    compressions = (None, "lzw", "zlib", "packbits", "zstd", "lzma", "png", "jpegxl")
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


def test_cmyk_of_16_bits() -> None:
    inks = np.zeros((8, 8, 4), np.uint16)
    inks[..., 0], inks[..., 3] = 65535, 13107  # cyan, and a fifth of black
    picture = open_picture(written(inks, photometric="separated"))
    assert picture.colour[0, 0].tolist() == [0, 52428, 52428]


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


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "CR3"),
        (b"II\x2a\0\x10\0\0\0CR\2\0", "CR2"),
        (b"IIRO\x08\0\0\0", "ORF"),
        (b"MMOR\0\0\0\x08", "ORF"),
        (b"IIU\0\x18\0\0\0", "RW2"),
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
    ],
)
def test_camera_raws_of_their_own_kind(start: bytes, name: str) -> None:
    if name == "CR2":  # a TIFF with a mark after its header
        plain = written(np.zeros((4, 4, 3), np.uint8), photometric="rgb")
        start += plain[8:]
        start = start[:4] + (len(start)).to_bytes(4, "little") + start[8:] + b"\0\0" + bytes(4)
    with pytest.raises(ImageError, match=f"camera raw .*{name}|damaged" if name == "CR2" else f"camera raw .*{name}"):
        open_picture(start + bytes(100))


@pytest.mark.parametrize("tag", ["PENTAX Corporation", "SAMSUNG", "Canon"])
def test_camera_raws_by_their_maker(tag: str) -> None:
    data = written(np.zeros((48, 64), np.uint16), photometric="cfa", extratags=[("Make", "s", 0, tag, True),
                   (33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)])  # fmt: skip
    with pytest.raises(ImageError, match=r"camera raw \((PEF|SRW|CR2)\)"):
        open_picture(data)


def test_a_preview_alone_is_not_the_picture() -> None:
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8), photometric="rgb", subifds=1, subfiletype=1, metadata=None)
        writer.write(np.zeros((24, 32, 3), np.uint8), photometric="rgb", subfiletype=1, metadata=None)
    with pytest.raises(ImageError, match="preview"):
        open_picture(file.getvalue())


def libtiff(data: bytes) -> np.ndarray:
    """(H, W, 4) as libtiff shows a file without JPEG, alpha premultiplied where it is so in the file."""
    return imagecodecs.tiff_decode(data, asrgb=True)


@pytest.mark.parametrize("photometric", ["miniswhite", "minisblack"])
@pytest.mark.parametrize("extra", ["assocalpha", "unassalpha"])
def test_grey_with_alpha_as_libtiff_has_it(photometric: str, extra: str) -> None:
    samples = RNG.integers(0, 256, (24, 20, 2)).astype(np.uint8)
    data = written(samples, photometric=photometric, planarconfig="contig", extrasamples=[extra])
    shown = libtiff(data).astype(float)
    colour, alpha = shown[..., 0], shown[..., 3]
    if extra == "assocalpha":
        colour = np.clip(np.rint(colour * 255 / np.maximum(alpha, 1)), 0, 255)
    picture = open_picture(data)
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, alpha)
    assert np.abs(picture.colour[..., 0] - colour).max() <= 1


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("photometric", "options"),
    [
        ("rgb", {"compression": "jpeg"}),
        ("ycbcr", {"compression": "jpeg"}),
        ("ycbcr", {"compression": "jpeg", "tile": (16, 16)}),
        ("minisblack", {"compression": "jpeg"}),
        ("miniswhite", {"compression": "jpeg", "tile": (32, 32)}),
        ("separated", {"compression": "jpeg"}),
    ],
)
def test_jpeg_inside(photometric: str, options: dict[str, Any], order: Any, big: bool) -> None:
    y, x = np.mgrid[0:40, 0:48]
    channels = {"minisblack": 1, "miniswhite": 1, "separated": 4}.get(photometric, 3)
    samples = np.dstack([5 * x, 6 * y, 200 - 4 * x, np.zeros_like(x)])[..., :channels].astype(np.uint8)
    data = written(samples.squeeze(), photometric=photometric, byteorder=order, bigtiff=big, **options)
    # Pillow does not know all of these containers; what is compressed in them is the same.
    with Image.open(BytesIO(written(samples.squeeze(), photometric=photometric, **options))) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(open_picture(data).colour - shown).max() <= 1


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_fax(compression: str) -> None:
    bits = RNG.integers(0, 2, (20, 33)).astype(bool)
    file = BytesIO()
    Image.fromarray(bits).save(file, "TIFF", compression=compression)
    assert np.array_equal(open_picture(file.getvalue()).colour[..., 0], bits * 255)


def test_a_strip_larger_than_its_place_is_not_decoded() -> None:
    data = written(np.zeros((16, 16, 3), np.uint8), photometric="rgb", compression="jpeg")
    frame = data.index(b"\xff\xc0\0\x11\x08") + 5
    with pytest.raises(ImageError):
        open_picture(data[:frame] + b"\xff\xdc\xff\xdc" + data[frame + 4 :])


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


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("extras", [["unspecified"] * 2, ["unspecified"] * 3, [*["unspecified"] * 2, "unassalpha"]])
def test_channels_that_may_be_colours_are_not_left_out(photometric: str, extras: list[str]) -> None:
    """As GDAL writes RGB of 16 bits."""
    samples = RNG.integers(0, 65536, (24, 20, 1 + len(extras))).astype(np.uint16)
    data = written(samples, photometric=photometric, planarconfig="contig", extrasamples=extras)
    with pytest.raises(ImageError, match=f"has {1 + len(extras)} channels that are not named as colours"):
        open_picture(data)


@pytest.mark.parametrize(
    ("photometric", "colours", "extras"),
    [
        ("minisblack", 1, ["unspecified"]),
        ("minisblack", 1, ["unspecified", "unassalpha"]),
        ("rgb", 3, ["unspecified"]),
        ("rgb", 3, ["unassalpha", "unspecified"]),
        ("separated", 4, ["unspecified"]),
    ],
)
def test_channels_that_are_left_out_are_told(photometric: str, colours: int, extras: list[str]) -> None:
    samples = RNG.integers(0, 256, (24, 20, colours + len(extras))).astype(np.uint8)
    picture = open_picture(written(samples, photometric=photometric, planarconfig="contig", extrasamples=extras))
    assert picture.notes == ("It has channels beside its colours that were left out.",)
    assert (picture.alpha is not None) == ("unassalpha" in extras)


def test_alpha_is_nothing_left_out() -> None:
    samples = RNG.integers(0, 256, (24, 20, 4)).astype(np.uint8)
    assert open_picture(written(samples, photometric="rgb", extrasamples=["unassalpha"])).notes == ()
