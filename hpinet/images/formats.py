"""The picture formats there are, in one table: whoever reads, writes, finds or names files asks here."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class FileFormat:
    """What is known of a picture format."""

    name: str  # Pillow's
    label: str  # for people
    suffixes: tuple[str, ...]  # the first one is given to results
    signature: bytes  # regular expression of a file's first bytes
    writable: bool = False
    longest_side: int = 2**31 - 1  # pixels that a file can have along a side
    in_browsers: bool = True  # whether they show it


FORMATS = (
    FileFormat("PNG", "PNG", (".png", ".apng"), rb"\x89PNG\r\n\x1a\n", writable=True),
    FileFormat(
        "JPEG", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), rb"\xff\xd8\xff", writable=True, longest_side=65_535
    ),
    FileFormat("WEBP", "WebP", (".webp",), rb"RIFF....WEBP", writable=True, longest_side=16_383),
    FileFormat(
        "TIFF", "TIFF", (".tif", ".tiff"), rb"II[*+]\0|MM\0[*+]|II\0[*+]|MM[*+]\0", writable=True, in_browsers=False
    ),
    FileFormat("BMP", "BMP", (".bmp", ".dib"), rb"BM"),
    FileFormat("GIF", "GIF", (".gif",), rb"GIF8[79]a"),
)
"""Those that can be opened, best known first."""

BY_NAME = {format.name: format for format in FORMATS}
WRITABLE = tuple(format for format in FORMATS if format.writable)
READABLE_SUFFIXES = frozenset(suffix for format in FORMATS for suffix in format.suffixes)
READABLE_LABELS = ", ".join(format.label for format in FORMATS)

_OTHERS = (  # what people try as well, by the first bytes, in order
    (rb"....ftyp(hei|hev|mif1|msf1)", "HEIC"),
    (rb"....ftypavi[fs]", "AVIF"),
    (rb"....ftypcrx", "Canon raw"),
    (rb"....ftyp", "Video"),
    (rb"RIFF....AVI |\x1aE\xdf\xa3", "Video"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "JPEG XL"),
    (rb"%PDF", "PDF"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "EPS"),
    (rb"8BPS", "Photoshop"),
    (rb"gimp xcf", "GIMP"),
    (rb"\0\0\x01\0", "Icon"),
    (rb"v/1\x01", "OpenEXR"),
    (rb"#\?(RADIANCE|RGBE)", "Radiance HDR"),
    (rb"DDS ", "DDS"),
    (rb"qoif", "QOI"),
    (rb"P[1-7]\s", "PNM"),
    (rb"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (rb"IIR[OS]|MMOR", "Olympus raw"),
    (rb"IIU\0", "Panasonic raw"),
    (rb"II\x1a\0\0\0HEAPCCDR", "Canon raw"),
    (rb"\0MRM", "Minolta raw"),
    (rb"FOVb", "Sigma raw"),
    (rb"PK\x03\x04", "ZIP"),
    (rb"(?i)(\xef\xbb\xbf)?\s*(<\?xml.*?|<!--.*?|<!doctype svg.*?)?<svg", "SVG"),
    (rb"(?i)\s*<(!doctype html|html|head|body)", "HTML"),
)


def kind_of(data: bytes) -> str | None:
    """What kind of file this is by its first bytes: the name of one of `FORMATS`, or a word for what it is instead."""
    known = [(format.signature, format.name) for format in FORMATS]
    return next((kind for signature, kind in (*known, *_OTHERS) if re.match(signature, data[:1024], re.DOTALL)), None)
