"""What a file says of its picture beside colour: EXIF, XMP, IPTC, resolution; and what of it a result keeps.

Whatever the choice, nothing is written that would not be true of the result: orientation, size, thumbnail, positions
in the picture, as of faces, places of its pixels on a map, and what belongs to further pictures of the file. The
resolution is scaled, so that a print keeps its size.
"""

import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args
from xml.dom import minidom

from hpinet.errors import OptionError
from hpinet.images.exif import INTEROPERABILITY, LONG, MOST_BYTES, RATIONAL, SHORT, Entry, Exif, read_exif

MetadataChoice = Literal["drop", "keep", "keep-all"]
"""``drop``: nothing is kept. ``keep``: all but places, serial numbers and makers' notes. ``keep-all``: these too."""

CHOICES = cast(tuple[MetadataChoice, ...], get_args(MetadataChoice))

_MOST_XMP = 1_000_000  # bytes that are looked through
_X_RESOLUTION, _Y_RESOLUTION, _UNIT, _INCH, _CENTIMETRE = 282, 283, 296, 2, 3
_COLOUR_SPACE, _SRGB, _UNCALIBRATED = 40961, 1, 65535
_WIDTH, _HEIGHT = 40962, 40963
_ORIENTATION, _LYING = 274, {5, 6, 7, 8}

# Of EXIF: what was true of the file alone. Tags of TIFF's layout of pixels, embedded data that have places of their own
_LAYOUT = {*range(254, 269), *range(273, 285), *range(288, 294), 296, 297, 301, *range(317, 348), *range(512, 534)}
_LAYOUT |= {700, 33421, 33422, 33723, 34377, 34675, 37724, 50341}
# and what places pixels on a map (GeoTIFF, and older or other ways): scales, tie points, keys, polynomials
_LAYOUT |= {33550, 33920, 33922, 34264, *range(34735, 34738), 50844}
_OF_PIXELS = {INTEROPERABILITY, _COLOUR_SPACE, _WIDTH, _HEIGHT, 37122, 37396, 41486, 41487, 41488, 41492}
# and what `keep` leaves out: maker's note, unique number, serial numbers of body and lens, private tags but for words
_PERSONAL = {37500, 42016, 42033, 42037}
_PRIVATE, _WORDS = 32768, {33432, 36867, *range(40091, 40096)}
_PRIVATE_OF_CAMERA = 0xEA1C  # beyond all that EXIF names; Adobe has a raw's owner and serial number at 65000 and 65001

# Of XMP: namespaces and names
_NAMES = "http://www.w3.org/2000/xmlns/"  # of declarations
_BESIDE = ("/xap/1.0/mm/", "/xmp/note/", "/gainmap/", "hdr-gain-map", "HDRGainMap", "/photos/1.0/", "/hdrp/")
_PLACES = {"City", "State", "Country", "Location", "CountryCode", "LocationShown", "LocationCreated", "Sublocation"}
_PLACES |= {"LocationName", "ProvinceState", "CountryName", "WorldRegion"}
_PLACES |= {"shotLocation"}
# Makers have words of their own, in whatever case and spelling: a drone's GpsLongtitude, DroneSerialNumber
_PERSONAL_WORDS = ("gps", "latitude", "longitude", "longtitude", "altitude", "serialnumber", "uniqueid", "wgs84_pos")
_OUTDATED = {"Orientation", "ImageWidth", "ImageLength", "PixelXDimension", "PixelYDimension", "Thumbnails"}
_OUTDATED |= {"XResolution", "YResolution", "ResolutionUnit", "BitsPerSample", "Compression", "SubjectArea"}
_OUTDATED |= {"PhotometricInterpretation", "SamplesPerPixel", "PlanarConfiguration", "ColorSpace", "SubjectLocation"}
_OUTDATED |= {"FocalPlaneXResolution", "FocalPlaneYResolution", "FocalPlaneResolutionUnit", "ICCProfile", "ColorMode"}
_OUTDATED |= {"CompressedBitsPerPixel", "NativeDigest"}
_OUTDATED |= {"Regions", "RegionInfo", "ImageRegion"}  # faces and the like: of MWG and ACDSee, Microsoft, IPTC

# Of IPTC: the record about the picture, and in it places, orientation, previews
_ABOUT, _IPTC_PLACES, _IPTC_OUTDATED = 2, {26, 27, 90, 92, 95, 100, 101}, {130, 131, 200, 201, 202}


@dataclass(frozen=True)
class Metadata:
    """What a file said of its picture; all of it empty where it said nothing."""

    exif: bytes = b""  # with a TIFF header
    xmp: bytes = b""
    iptc: bytes = b""  # IIM data sets
    dpi: tuple[float, float] | None = None  # pixels an inch, across and down, of the picture as the file stores it
    size: tuple[int, int] | None = None  # width and height of the upright picture

    def of(self, size: tuple[int, int]) -> "Metadata":
        """The same of a picture of that size, without what is so large that it would burden who remembers it."""
        exif = self.exif if len(self.exif) <= MOST_BYTES else b""
        xmp = self.xmp if len(self.xmp) <= _MOST_XMP else b""
        return replace(self, exif=exif, xmp=xmp, iptc=self.iptc if len(self.iptc) <= _MOST_XMP else b"", size=size)

    def kept(self, choice: MetadataChoice, size: tuple[int, int], *, is_srgb: bool) -> "Metadata":
        """What of it is written with a result of ``size``: ``exif`` and ``dpi`` say how large the result is."""
        if choice == "drop":
            return NOTHING
        exif = _read(self.exif)
        dpi = self.dpi or _resolution(exif)
        if dpi and exif.number(_ORIENTATION) in _LYING:
            dpi = dpi[1], dpi[0]
        if dpi and self.size:
            dpi = dpi[0] * size[0] / self.size[0], dpi[1] * size[1] / self.size[1]
        is_all = choice == "keep-all"
        exif = _true_of(_without_persons(exif, is_all=is_all), size, dpi, is_srgb=is_srgb)
        return Metadata(
            exif.to_bytes() if exif.main or exif.camera else b"",
            _kept_xmp(self.xmp, is_all=is_all),
            _kept_iptc(self.iptc, is_all=is_all),
            dpi,
            size,
        )


NOTHING = Metadata()


def of_tiff(data: bytes, xmp: bytes, iptc: bytes) -> Metadata:
    """What a TIFF file says: its first directory is laid out as EXIF data are, and holds more."""
    exif = _read(data)
    main = tuple(entry for entry in exif.main if entry.tag not in _LAYOUT or entry.tag == _ORIENTATION)
    exif = replace(exif, main=main, camera=exif.camera)
    return Metadata(exif.to_bytes(), xmp, iptc, _resolution(_read(data)))


def check_choice(name: object) -> MetadataChoice:
    """The choice of that name. Raises OptionError if there is none."""
    if not isinstance(name, str) or name not in CHOICES:
        raise OptionError(f"The metadata must be one of {', '.join(CHOICES)}, not {str(name)[:40]!r}.")
    return cast(MetadataChoice, name)


def _read(exif: bytes) -> Exif:
    with suppress(ValueError, struct.error):
        return read_exif(exif)
    return Exif()


def _resolution(exif: Exif) -> tuple[float, float] | None:
    """Pixels an inch that EXIF data name, if they do."""
    across, down = exif.number(_X_RESOLUTION), exif.number(_Y_RESOLUTION)
    factor = {_INCH: 1.0, _CENTIMETRE: 2.54}.get(round(exif.number(_UNIT, _INCH)))
    return (across * factor, down * factor) if factor and across > 0 and down > 0 else None


def _without_persons(exif: Exif, *, is_all: bool) -> Exif:
    main = [entry for entry in exif.main if entry.tag not in _LAYOUT]
    camera = [entry for entry in exif.camera if entry.tag not in _OF_PIXELS]
    if is_all:
        return replace(exif, main=tuple(main), camera=tuple(camera))
    return replace(
        exif,
        main=tuple(entry for entry in main if entry.tag < _PRIVATE or entry.tag in _WORDS),
        camera=tuple(entry for entry in camera if entry.tag < _PRIVATE_OF_CAMERA and entry.tag not in _PERSONAL),
        place=(),
    )


def _true_of(exif: Exif, size: tuple[int, int], dpi: tuple[float, float] | None, *, is_srgb: bool) -> Exif:
    """The data with what they say of the result's size, resolution and colour."""
    main, camera = list[Entry](exif.main), list[Entry](exif.camera)
    if dpi:
        main += [exif.entry(_X_RESOLUTION, RATIONAL, min(dpi[0], 4_000_000))]
        main += [exif.entry(_Y_RESOLUTION, RATIONAL, min(dpi[1], 4_000_000)), exif.entry(_UNIT, SHORT, _INCH)]
    if camera:
        camera += [exif.entry(_COLOUR_SPACE, SHORT, _SRGB if is_srgb else _UNCALIBRATED)]
        camera += [exif.entry(_WIDTH, LONG, size[0]), exif.entry(_HEIGHT, LONG, size[1])]
    return replace(exif, main=tuple(main), camera=tuple(camera))


def _kept_xmp(xmp: bytes, *, is_all: bool) -> bytes:
    """XMP without what shall not be kept; nothing of data that are damaged, huge, or define words of their own."""
    if not xmp or len(xmp) > _MOST_XMP or b"<!DOCTYPE" in xmp or b"<!ENTITY" in xmp:
        return b""
    try:
        document = minidom.parseString(xmp.strip(b"\0 \r\n\t"))
        _prune(document.documentElement, is_all=is_all)
        return "".join(node.toxml() for node in document.childNodes).encode()
    except Exception:  # whatever is wrong with it
        return b""


def _prune(element: minidom.Element | None, *, is_all: bool) -> None:
    if element is None:
        return
    attributes = element.attributes
    for attribute in [cast(minidom.Attr, attributes.item(number)) for number in range(attributes.length)]:
        is_name = attribute.namespaceURI == _NAMES
        if _is_beside(attribute.value) if is_name else _is_dropped(attribute, is_all=is_all):
            element.removeAttributeNode(attribute)
    for child in list(element.childNodes):
        if isinstance(child, minidom.Element):
            if _is_dropped(child, is_all=is_all):
                element.removeChild(child)
            else:
                _prune(child, is_all=is_all)


def _is_dropped(node: minidom.Attr | minidom.Element, *, is_all: bool) -> bool:
    space, name = node.namespaceURI or "", node.localName or ""
    if name in _OUTDATED or _is_beside(space):
        return True
    return not is_all and (name in _PLACES or any(word in f"{space} {name}".lower() for word in _PERSONAL_WORDS))


def _is_beside(namespace: str) -> bool:
    """Whether it is one of words about further pictures, or about the file."""
    return any(part in namespace for part in _BESIDE)


def _kept_iptc(iptc: bytes, *, is_all: bool) -> bytes:
    """The data sets about the picture that are kept, and those before, which say how they are written."""
    kept, at = list[bytes](), 0
    while at + 5 <= len(iptc) and iptc[at] == 0x1C:
        record, kind, length = iptc[at + 1], iptc[at + 2], int.from_bytes(iptc[at + 3 : at + 5], "big")
        end = at + 5 + length
        if length >= 0x8000 or end > len(iptc):  # no such text is as long
            break
        outdated = record > _ABOUT or (record == _ABOUT and kind in _IPTC_OUTDATED)
        if not outdated and (is_all or record != _ABOUT or kind not in _IPTC_PLACES):
            kept.append(iptc[at:end])
        at = end
    return b"".join(kept)
