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
    kinds: str = "all"  # of its pictures that are read, for people
    read_bits: tuple[int, ...] = (8,)  # a sample; what has more than 8 becomes 16
    written_bits: tuple[int, ...] = ()
    has_alpha: bool = True
    profile: str = "kept"  # for people
    metadata: tuple[str, ...] = ()  # what can be kept of it, or in it if it is written


_EVERYTHING = ("EXIF", "XMP", "IPTC", "dpi")

FORMATS = (
    FileFormat(
        "PNG",
        "PNG",
        (".png", ".apng"),
        rb"\x89PNG\r\n\x1a\n",
        writable=True,
        read_bits=(8, 16),
        written_bits=(8, 16),
        metadata=_EVERYTHING,
    ),
    FileFormat(
        "JPEG",
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        rb"\xff\xd8\xff",
        writable=True,
        longest_side=65_500,  # libjpeg's own limit
        kinds="grey, RGB, CMYK",
        written_bits=(8,),
        has_alpha=False,
        metadata=_EVERYTHING,
    ),
    FileFormat(
        "WEBP",
        "WebP",
        (".webp",),
        rb"RIFF....WEBP",
        writable=True,
        longest_side=16_383,
        written_bits=(8,),
        metadata=("EXIF", "XMP"),
    ),
    FileFormat(
        "TIFF",
        "TIFF",
        (".tif", ".tiff"),
        rb"II[*+]\0|MM\0[*+]|II\0[*+]|MM[*+]\0",
        writable=True,
        in_browsers=False,
        kinds="grey, RGB, CMYK, palette, fax, JPEG; floating point from 0 to 1",
        read_bits=(1, 2, 4, 8, 10, 12, 14, 16, 32),
        written_bits=(8, 16),
        metadata=_EVERYTHING,
    ),
    FileFormat(
        "AVIF",
        "AVIF",
        (".avif",),
        rb"....ftyp(avi[fs]|(mif1|msf1|miaf)....(....){,20}?avi[fs])",
        writable=True,
        longest_side=32_768,
        read_bits=(8, 10, 12),
        written_bits=(8,),
        metadata=("EXIF", "XMP"),
    ),
    FileFormat(
        "HEIF",
        "HEIC",
        (".heic", ".heif", ".hif"),
        rb"....ftyp(he[iv][cmsx]|mif1|msf1|miaf|heif)",
        in_browsers=False,
        read_bits=(8, 10, 12),
        metadata=("EXIF", "XMP"),
    ),
    FileFormat(
        "JXL",
        "JPEG XL",
        (".jxl",),
        rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a",
        in_browsers=False,
        kinds="grey, RGB, packed JPEG; floating point from 0 to 1",
        read_bits=(8, 10, 12, 16, 32),
        profile="kept, if named by numbers or in a packed JPEG",
        metadata=("EXIF", "XMP"),
    ),
    FileFormat("BMP", "BMP", (".bmp", ".dib"), rb"BM", profile="kept, of versions 4 and 5", metadata=("dpi",)),
    FileFormat("GIF", "GIF", (".gif",), rb"GIF8[79]a"),
)
"""Those that can be opened, best known first."""

BY_NAME = {format.name: format for format in FORMATS}
WRITABLE = tuple(format for format in FORMATS if format.writable)
READABLE_SUFFIXES = frozenset(suffix for format in FORMATS for suffix in format.suffixes)
READABLE_LABELS = ", ".join(format.label for format in FORMATS)

_OTHERS = (  # what people try as well, by the first bytes, in order
    (rb"....ftypcrx", "CR3 raw"),
    (rb"....ftyp", "Video"),
    (rb"RIFF....AVI |\x1aE\xdf\xa3", "Video"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
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
    (rb"FUJIFILMCCD-RAW", "RAF raw"),
    (rb"IIR[OS]|MMOR", "ORF raw"),
    (rb"IIU\0", "RW2 raw"),
    (rb"II\x1a\0\0\0HEAPCCDR", "CRW raw"),
    (rb"\0MRM", "MRW raw"),
    (rb"FOVb", "X3F raw"),
    (rb"PK\x03\x04", "ZIP"),
    (rb"(?i)(\xef\xbb\xbf)?\s*(<\?xml.*?|<!--.*?|<!doctype svg.*?)?<svg", "SVG"),
    (rb"(?i)\s*<(!doctype html|html|head|body)", "HTML"),
)


def camera_raw(kind: str) -> str:
    """Why a camera raw is refused; ``kind`` is the suffix of such files, or words that tell whose they are."""
    return f"This is a camera raw ({kind}): develop it first, and save it as TIFF or PNG."


def kind_of(data: bytes) -> str | None:
    """What kind of file this is by its first bytes: the name of one of `FORMATS`, or a word for what it is instead."""
    known = [(format.signature, format.name) for format in FORMATS]
    return next((kind for signature, kind in (*known, *_OTHERS) if re.match(signature, data[:1024], re.DOTALL)), None)
