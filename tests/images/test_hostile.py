"""Files cut, flipped and stuffed: none makes a foreign error, takes long or much memory."""

import io
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import suppress

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from hpinet.errors import ImageError
from hpinet.images import open_picture, picture_size
from hpinet.images.png import chunk
from scripts import hostile

from .samples import pillow_file, smooth
from .test_jxl import contained, jxl

JPEG, PNG = (pillow_file(Image.fromarray(smooth(64, 64, 3)), format) for format in ("JPEG", "PNG"))


def test_all_specimens_open() -> None:
    assert {name: hostile.judge(data).kind for name, data in hostile.specimens().items()} == dict.fromkeys(
        hostile.specimens(), "opened"
    )


@pytest.mark.slow
def test_damaged_files(capsys: pytest.CaptureFixture[str]) -> None:
    counts, wrong, slowest, peak = hostile.run(40)
    opened, refused = (sum(counts[key] for key in counts if key[1] == kind) for kind in ("opened", "refused"))
    with capsys.disabled():
        print(
            f"\nDamaged files: {opened} opened, {refused} refused, {len(wrong)} wrong; {slowest:.1f} s, {peak:.0f} MB"
        )
    assert wrong == []
    assert opened > 100
    assert refused > 100


def seconds(look: Callable[[bytes], object], data: bytes) -> float:
    """Of this process, in which a file is opened or refused."""
    began = time.process_time()
    with suppress(ImageError):
        look(data)
    return time.process_time() - began


@pytest.mark.parametrize("look", [open_picture, picture_size])
@pytest.mark.parametrize("filling", [b"\xff\xff", b"\xff\xd0", b"\xff\xd9", b"\xff\xf0", b"\xff\0"])
def test_what_belongs_to_no_segment_of_a_jpeg_takes_no_time(look: Callable[[bytes], object], filling: bytes) -> None:
    assert seconds(look, JPEG[:2] + filling * 4_000_000 + JPEG[2:]) < 1


def test_segments_behind_the_pixels_of_a_jpeg_take_no_time() -> None:
    assert seconds(open_picture, JPEG[:-2] + b"\xff\xe0\0\2" * 4_000_000 + JPEG[-2:]) < 1


def test_a_jpeg_with_a_little_filling_opens() -> None:
    assert open_picture(JPEG[:2] + b"\xff" * 100_000 + JPEG[2:]).notes == ()


def packed_box(kind: bytes, size: int) -> tuple[bytes, bytes]:
    """A box of JPEG XL that is tiny until it is unpacked."""
    return b"brob", kind + bytes(imagecodecs.brotli_encode(bytes(size)))


@pytest.mark.parametrize("look", [open_picture, picture_size])
@pytest.mark.parametrize(
    "boxes",
    [
        [packed_box(b"xml ", 2_000_000)] * 500,
        [packed_box(b"xml ", 2_000_001)] * 500,  # which is too large, and so it is not kept
        [packed_box(b"%4d" % number, 2_000_000) for number in range(500)],
        [(b"jxlp", bytes(5_000_000)), *[(b"jxlp", bytes(5))] * 20_000],
    ],
    ids=["the same", "too large", "others", "parts of the code"],
)
def test_boxes_of_a_jpeg_xl_take_no_time(look: Callable[[bytes], object], boxes: list[tuple[bytes, bytes]]) -> None:
    assert seconds(look, contained(jxl(smooth(64, 64, 3)), *boxes)) < 1


@pytest.mark.parametrize("look", [open_picture, picture_size])
@pytest.mark.parametrize(
    "chunks",
    [
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(31_000_000))) * 40,
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(33_000_000))) * 40,  # which is too large
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(1_900_000))) * 500,
        chunk(b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(bytes(1_900_000))) * 500,
        chunk(b"tEXt", b"") * 3_000_000,
    ],
    ids=["profiles", "large profiles", "XMP", "IPTC", "empty"],
)
def test_chunks_of_a_png_take_no_time(look: Callable[[bytes], object], chunks: bytes) -> None:
    assert seconds(look, PNG[:33] + chunks + PNG[33:]) < 1


def directory(*entries: tuple[int, int, int, int]) -> bytes:
    """Of tags: number, kind, count and value or place. Where the next one is, has to follow."""
    return struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))


def tiff(compression: int, strip: bytes, count: int) -> bytes:
    """Grey, 64×8 a strip, all of which are the same bytes."""
    start = 8 + 2 + 12 * 9 + 4
    tables = struct.pack("<I", start + 8 * count) * count + struct.pack("<I", len(strip)) * count
    short = {256: 64, 257: 8 * count, 258: 8, 259: compression, 262: 1, 277: 1, 278: 8}
    entries = [(tag, 3, 1, value) for tag, value in short.items()]
    if count == 1:  # without tables
        entries += [(273, 4, 1, start + 8), (279, 4, 1, len(strip))]
    else:
        entries += [(273, 4, count, start), (279, 4, count, start + 4 * count)]
    return b"II*\0\x08\0\0\0" + directory(*entries) + bytes(4) + tables + strip


STRIP = np.zeros((8, 64), np.uint8)


@pytest.mark.parametrize(
    ("compression", "strip", "count"),
    [
        (1, bytes(10_000_000), 4000),
        (8, zlib.compress(bytes(512)) + bytes(10_000_000), 4000),
        (7, b"\xff\xd8" + b"\xff\xe0\0\2" * 50_000 + bytes(imagecodecs.jpeg_encode(STRIP))[2:], 100),
        (7, b"\xff\xd8" + b"\xff\xe0\0\2" * 4_000_000 + bytes(imagecodecs.jpeg_encode(STRIP))[2:], 1),
        (34712, b"\xff\x4f\xff\x51" * 4_000_000, 1),
    ],
    ids=["plain", "Deflate", "JPEG", "one JPEG", "JPEG 2000"],
)
def test_strips_of_a_tiff_take_no_time(compression: int, strip: bytes, count: int) -> None:
    assert seconds(open_picture, tiff(compression, strip, count)) < 1


def test_some_strips_of_a_tiff_may_be_the_same() -> None:
    picture = open_picture(tiff(1, STRIP.tobytes(), 2))
    assert picture.colour.shape == (16, 64, 1)
    with pytest.raises(ImageError, match="rare variety"):
        open_picture(tiff(1, STRIP.tobytes(), 8))


def test_a_png_in_a_tiff_says_nothing_beside_its_pixels() -> None:
    """Texts would be unpacked, for every strip."""
    strip = bytes(imagecodecs.png_encode(STRIP))
    assert not open_picture(tiff(34933, strip, 1)).colour.any()
    with pytest.raises(ImageError, match="rare variety"):
        open_picture(tiff(34933, strip[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000))) + strip[33:], 1))


@pytest.mark.parametrize("look", [open_picture, picture_size])
def test_tags_of_a_tiff_take_no_time(look: Callable[[bytes], object]) -> None:
    """Whose values are all the same bytes."""
    data = tiff(1, STRIP.tobytes(), 1) + bytes(8_000_000)
    size = ((256, 3, 1, 64), (257, 3, 1, 8))
    longer = directory(*size, *[(273, 4, 2_000_000, 122)] * 100) + bytes(4)
    assert seconds(look, b"II*\0" + struct.pack("<I", len(data)) + data[8:] + longer) < 0.5


def test_pages_of_a_tiff_take_no_time() -> None:
    page = directory((256, 3, 1, 64))
    data = tiff(1, STRIP.tobytes(), 1)
    ends = range(len(data), len(data) + 2_000_000 * (len(page) + 4), len(page) + 4)
    data = data[:118] + struct.pack("<I", len(data)) + data[122:]
    assert seconds(open_picture, data + b"".join(page + struct.pack("<I", end + len(page) + 4) for end in ends)) < 1


def test_a_tiff_with_many_pages_opens() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for _ in range(3000):
            writer.write(STRIP, photometric="minisblack", metadata=None)
    assert any("3000 pages" in note for note in open_picture(file.getvalue()).notes)


def app(body: bytes) -> bytes:
    """EXIF data in as many segments of a JPEG as they need."""
    parts = [b"Exif\0\0" + body[at : at + 65_000] for at in range(0, len(body), 65_000)]
    return b"".join(b"\xff\xe1" + struct.pack(">H", 2 + len(part)) + part for part in parts)


REPEATED = directory(*[(60_000, 7, 2_000_000, 8)] * 20_000)
EXIF = {
    "values": b"II*\0" + struct.pack("<I", 8 + 2_000_000) + bytes(2_000_000) + REPEATED + bytes(4),
    "prefixes": b"Exif\0\0" * 250_000,
}


@pytest.mark.parametrize("look", [open_picture, picture_size])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("kind", EXIF)
def test_exif_takes_no_time(look: Callable[[bytes], object], format: str, kind: str) -> None:
    exif = EXIF[kind]
    if format == "PNG":
        data = PNG[:33] + chunk(b"eXIf", exif) + PNG[33:]
    elif format == "JPEG":
        data = JPEG[:2] + app(exif) + JPEG[2:]
    else:
        data = pillow_file(Image.fromarray(smooth(64, 64, 3)), format, exif=exif)
    assert seconds(look, data) < 1
