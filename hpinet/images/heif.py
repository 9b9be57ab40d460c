"""HEIC and AVIF: pictures of telephones, in containers of boxes (ISO/IEC 23008-12) that say size, depth and colour.

What decoders do not tell is read from the boxes of the primary picture. Damaged boxes say nothing: the decoder judges.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from hpinet.images import colour as colours
from hpinet.images.metadata import Metadata
from hpinet.images.notes import DEPTH_MAP, GAIN_MAP, further_pictures
from hpinet.images.picture import Picture, from_samples, orientation_of, stretched, unmultiplied, upright_size

CheckSize = Callable[[int, int], None]
"""Raises ImageError if an upright picture of this width and height is too large."""

_MOST_BOXES = 4096  # looked at
_THREADS = 2


@dataclass
class Boxes:
    """What a container says of its primary picture."""

    bits: int = 8
    is_grey: bool = False
    codes: tuple[int, int] | None = None  # primaries and transfer, by ITU-T H.273
    profile: bytes | None = None
    beside: list[str] = field(default_factory=list)  # kinds of auxiliary pictures, of any picture in the file
    items: list[str] = field(default_factory=list)  # kinds of pictures


def read_boxes(data: bytes) -> Boxes:
    """The boxes of a HEIF container; defaults where they are damaged."""
    found = Boxes()
    with suppress(ValueError, struct.error, IndexError):
        meta = next(body for kind, body in _boxes(data) if kind == b"meta")[4:]
        inside = dict(_boxes(meta))
        containers = dict(_boxes(inside.get(b"iprp", b"")))
        properties = list(_boxes(containers.get(b"ipco", b"")))
        primary = _primary(inside.get(b"pitm", b""))
        found.beside = [_text(body[4:]) for kind, body in properties if kind == b"auxC"]
        found.items = [body[8:12].decode("latin-1") for _, body in _boxes(inside.get(b"iinf", b"")[6:])]
        own = _associated(containers.get(b"ipma", b""), primary)
        for index in own:
            if 0 < index <= len(properties):
                _note(found, *properties[index - 1])
    return found


def decode_heic(data: bytes, check_size: CheckSize) -> Picture:
    """A HEIC picture, upright. ``check_size`` is asked, with width and height, before any pixel is decoded."""
    import pillow_heif  # noqa: PLC0415 (seldom needed)
    from pillow_heif import options  # noqa: PLC0415

    options.DECODE_THREADS, options.THUMBNAILS = _THREADS, False
    file = pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    image: Any = file[file.primary_index]
    check_size(*image.size)
    boxes = read_boxes(data)
    nclx = image.info.get("nclx_profile")
    codes = (int(nclx["color_primaries"]), int(nclx["transfer_characteristics"])) if nclx else boxes.codes
    profile, gamma = _meant(image.info.get("icc_profile"), codes, is_grey=image.mode.startswith("L"))
    samples = np.asarray(image)
    samples = samples[..., None] if samples.ndim == 2 else samples
    check_size(samples.shape[1], samples.shape[0])
    bits = int(image.mode.partition(";")[2] or 8)
    samples = stretched(samples, bits)
    if image.mode.startswith(("RGBa", "La")):
        samples = np.dstack((unmultiplied(samples[..., :-1], samples[..., -1]), samples[..., -1]))
    if boxes.is_grey and samples.shape[2] > 2:
        samples = samples[..., [0, -1]] if samples.shape[2] == 4 else samples[..., :1]
    exif, xmp = image.info.get("exif") or b"", image.info.get("xmp") or b""
    return _told(
        from_samples(samples, profile=profile, gamma=gamma, orientation=1, format="HEIF"),
        Metadata(exif.removeprefix(b"Exif\0\0"), xmp),
        boxes,
        pictures=len(file),
        has_depth=bool(image.info.get("depth_images")),
    )


def decode_avif(data: bytes, check_size: CheckSize) -> Picture:
    """An AVIF picture, upright; as `decode_heic`."""
    from imagecodecs import avif_decode  # noqa: PLC0415 (slow to import)

    boxes = read_boxes(data)
    with Image.open(BytesIO(data), formats=("AVIF",)) as image:
        orientation = orientation_of(image)
        check_size(*upright_size(image.size, orientation))
        count = getattr(image, "n_frames", 1)
        profile, gamma = _meant(image.info.get("icc_profile"), boxes.codes, is_grey=boxes.is_grey)
        # Not by the number of a picture: given one, imagecodecs writes further frames beyond its buffer.
        samples = _first_frame(image, boxes) if count > 1 else np.asarray(avif_decode(data, numthreads=_THREADS))
        samples = samples[..., None] if samples.ndim == 2 else samples
        check_size(samples.shape[1], samples.shape[0])
        if samples.dtype != np.uint8:
            samples = stretched(samples, boxes.bits if boxes.bits > 8 else 16)
        exif, xmp = image.info.get("exif") or b"", image.info.get("xmp") or b""
        picture = from_samples(samples, profile=profile, gamma=gamma, orientation=orientation, format="AVIF")
    return _told(picture, Metadata(exif.removeprefix(b"Exif\0\0"), xmp), boxes, pictures=count, has_depth=False)


def _first_frame(image: Image.Image, boxes: Boxes) -> np.ndarray:
    """(H, W, 1 to 4) uint8 of an animated AVIF. Raises ValueError if it has more bits."""
    if boxes.bits > 8:
        raise ValueError("Pillow would drop the others")
    alpha = "A" if "A" in image.getbands() else ""
    samples = np.asarray(image.convert(("L" if boxes.is_grey else "RGB") + alpha))
    return samples[..., None] if samples.ndim == 2 else samples


def _meant(profile: bytes | None, codes: tuple[int, int] | None, *, is_grey: bool) -> tuple[bytes | None, float | None]:
    """The profile, or gamma of grey, that a container means: an ICC profile outranks codes, but for HDR."""
    if codes:
        colours.refuse_hdr(codes[1])
    if profile or not codes:
        return profile, None
    return colours.meant_by_codes(*codes, is_grey=is_grey) or (None, None)


def _told(picture: Picture, metadata: Metadata, boxes: Boxes, *, pictures: int, has_depth: bool) -> Picture:
    """The picture with what is to be said of the others in its file."""
    notes = list(picture.notes)
    if "tmap" in boxes.items or any("gainmap" in kind for kind in boxes.beside):
        notes.append(GAIN_MAP)
    if has_depth or any(kind.endswith((":depth", "auxid:2")) for kind in boxes.beside):
        notes.append(DEPTH_MAP)
    if pictures > 1:
        notes.append(further_pictures(pictures))
    return replace(picture, notes=tuple(notes), metadata=metadata)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the boxes in ``data``."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        elif size == 0:  # to the end
            size = len(data) - at
        if size < head or at + size > len(data):
            return
        yield kind, data[at + head : at + size]
        at += size


def _primary(body: bytes) -> int:
    """The number of the primary picture in a pitm box."""
    return int.from_bytes(body[4:6] if body[:1] == b"\0" else body[4:8], "big")


def _associated(body: bytes, item: int) -> list[int]:
    """Which properties an ipma box associates with a picture, counted from 1."""
    wide_items, wide_indices = body[0] >= 1, bool(body[3] & 1)
    at = 8
    for _ in range(min(_MOST_BOXES, int.from_bytes(body[4:8], "big"))):
        size = 4 if wide_items else 2
        number, count = int.from_bytes(body[at : at + size], "big"), body[at + size]
        at += size + 1
        step = 2 if wide_indices else 1
        if number == item:
            places = range(at, at + step * count, step)
            mask = 0x7FFF if wide_indices else 0x7F
            return [int.from_bytes(body[place : place + step], "big") & mask for place in places]
        at += step * count
    return []


def _note(found: Boxes, kind: bytes, body: bytes) -> None:
    """Takes down what a property says of its picture."""
    if kind == b"colr" and body[:4] == b"nclx":
        found.codes = struct.unpack_from(">HH", body, 4)
    elif kind == b"colr" and body[:4] in (b"prof", b"rICC"):
        found.profile = body[4:]
    elif kind == b"pixi":
        channels = body[4]
        found.bits = max(body[5 : 5 + channels], default=8)
        found.is_grey = channels == 1
    elif kind == b"av1C":
        flags = body[2]
        found.bits = max(found.bits, {0x40: 10, 0x60: 12}.get(flags & 0x60, 8))
        found.is_grey |= bool(flags & 0x10)


def _text(body: bytes) -> str:
    return body.split(b"\0", 1)[0].decode("latin-1")
