"""What results keep of the metadata of their sources: by choice, and never what is no longer true."""

import struct
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, IptcImagePlugin

from hpinet.errors import OptionError
from hpinet.images import Metadata, Picture, encode_picture, open_picture
from hpinet.images.exif import PLACE, Entry, Exif, read_exif
from hpinet.images.formats import WRITABLE
from hpinet.images.jpeg import iptc_segment

NAME = "Jürgen Müller"
XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"
 tiff:Orientation="6" exif:GPSLatitude="48,8.1N" exif:PixelXDimension="32" photoshop:City="Ulm"
 xmlns:drone="http://www.dji.com/drone-dji/1.0/" xmlns:geo="http://www.w3.org/2003/01/geo/wgs84_pos#"
 drone:GpsLatitude="+48.135" drone:GpsLongtitude="+11.567" drone:AbsoluteAltitude="+512.3" geo:lat="48.135"
 drone:DroneSerialNumber="serial-4" drone:GimbalPitchDegree="-89"
 xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" xmlns:acdsee-rs="http://ns.acdsee.com/regions/"
 xmlns:MP="http://ns.microsoft.com/photo/1.2/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 aux:SerialNumber="serial-1" xmpMM:InstanceID="instance-1" xmp:Rating="5" hdrgm:Version="1.0">
<dc:creator><rdf:Seq><rdf:li>Jürgen Müller</rdf:li></rdf:Seq></dc:creator>
<exif:GPSLongitude>11,34E</exif:GPSLongitude>
<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li mwg-rs:Name="face-1"/></rdf:Bag>
</mwg-rs:RegionList></mwg-rs:Regions>
<acdsee-rs:Regions rdf:parseType="Resource"><acdsee-rs:DLYArea>face-2</acdsee-rs:DLYArea></acdsee-rs:Regions>
<MP:RegionInfo rdf:parseType="Resource"><MP:Regions>face-3</MP:Regions></MP:RegionInfo>
<Iptc4xmpExt:ImageRegion><rdf:Bag><rdf:li>face-4</rdf:li></rdf:Bag></Iptc4xmpExt:ImageRegion></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()


def set_of(kind: int, text: str, record: int = 2) -> bytes:
    data = text.encode()
    return struct.pack(">BBBH", 0x1C, record, kind, len(data)) + data


IPTC = set_of(90, "\x1b%G", 1) + set_of(5, "A title") + set_of(80, NAME) + set_of(90, "Ulm") + set_of(10, "x", 3)


def exif(order: str = "<", orientation: int = 6) -> bytes:
    def number(tag: int, value: int) -> Entry:
        return Entry(tag, 3, struct.pack(order + "H", value))

    def text(tag: int, value: str) -> Entry:
        return Entry(tag, 2, value.encode() + b"\0")

    def ratio(tag: int, *values: int) -> Entry:
        return Entry(tag, 5, b"".join(struct.pack(order + "II", value, 1) for value in values))

    main = (number(274, orientation), text(271, "Maker"), text(315, NAME), ratio(282, 300), ratio(283, 300))
    main += (number(296, 2), Entry(0xC62F, 2, b"serial-2\0"))
    camera = (text(42033, "serial-3"), text(36867, "2024:01:02 03:04:05"), number(40962, 32), number(40963, 24))
    camera += (text(65000, "owner-1"), text(65001, "serial-5"))
    camera += (Entry(37500, 7, b"a maker's note"), ratio(33434, 1), number(40961, 2), text(42036, "Objektiv für alles"))
    place = (text(1, "N"), ratio(2, 48, 8, 6))
    return Exif(order, main, camera, place).to_bytes()


def source(format: str, order: str = "<") -> bytes:
    """A picture of 32×24 that lies on its side, with all there is to say of it."""
    picture = Picture(np.full((24, 32, 3), 99, np.uint8))
    said = exif(order)
    if format == "JPEG":
        file = BytesIO()
        picture.to_pil().save(file, "JPEG", exif=b"Exif\0\0" + said, xmp=XMP, extra=iptc_segment(IPTC), dpi=(300, 300))
        return file.getvalue()
    if format == "WEBP":
        file = BytesIO()
        picture.to_pil().save(file, "WEBP", lossless=True, exif=said, xmp=XMP)
        return file.getvalue()
    if format == "PNG":
        from hpinet.images.png import metadata_chunks

        plain = encode_picture(picture)
        return plain[:33] + metadata_chunks(Metadata(said, XMP, IPTC, (300, 300))) + plain[33:]
    from hpinet.images.tiff import with_metadata

    file = BytesIO()
    tifffile.imwrite(file, picture.colour, photometric="rgb", metadata=None, byteorder=">" if order == ">" else "<")
    return with_metadata(file.getvalue(), Metadata(said, XMP, IPTC, (300, 300)))


FORMATS = [format.name for format in WRITABLE]


def kept(data: bytes, choice: Any, format: str) -> tuple[Picture, bytes]:
    """What is read of a result of twice the size."""
    picture = open_picture(data)
    large = replace(picture, colour=picture.colour.repeat(2, 0).repeat(2, 1))
    written = encode_picture(large, format, quality=95, metadata=choice)
    again = open_picture(written)
    assert (again.width, again.height) == (48, 64)
    return again, written


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("origin", FORMATS)
def test_keep(origin: str, target: str, order: str) -> None:
    picture, written = kept(source(origin, order), "keep", target)
    said = picture.metadata
    found = read_exif(said.exif)
    words = {entry.tag: entry.value for entry in (*found.main, *found.camera)}
    assert words[315].rstrip(b"\0").decode() == NAME
    assert words[42036].rstrip(b"\0").decode() == "Objektiv für alles"
    assert words[36867].startswith(b"2024:01:02")
    assert not set(words) & {274, 0xC62F, 42033, 37500, 65000, 65001}
    assert (found.number(40962), found.number(40963)) == (48, 64)
    assert found.place == ()
    for secret in (
        b"serial-",
        b"owner-",
        b"face-",
        b"maker's note",
        b"48,8.1N",
        b"11,34E",
        b"Ulm",
        b"48.135",
        b"11.567",
        b"512.3",
        b"instance-1",
        b"hdrgm:Version",
    ):
        assert secret not in written
        assert secret not in said.xmp
    assert "Jürgen Müller" in said.xmp.decode()
    assert b'xmp:Rating="5"' in said.xmp
    assert b"GimbalPitchDegree" in said.xmp
    assert b"Orientation" not in said.xmp
    if origin != "WEBP" and target not in ("WEBP", "AVIF"):
        assert said.iptc == set_of(90, "\x1b%G", 1) + set_of(5, "A title") + set_of(80, NAME)
    with Image.open(BytesIO(written)) as image:
        tags = image.getexif()
        assert tags[271] == "Maker"
        assert 274 not in tags
        assert tags.get_ifd(ExifTags.IFD.Exif)[36867] == "2024:01:02 03:04:05"
        assert [round(float(tags[tag])) for tag in (282, 283)] == [600, 600]
        if target in ("JPEG", "PNG", "TIFF"):
            assert np.allclose(image.info["dpi"], 600, atol=0.1)
        if target in ("JPEG", "TIFF") and origin != "WEBP":
            assert (IptcImagePlugin.getiptcinfo(image) or {})[2, 5] == b"A title"


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("origin", FORMATS)
def test_keep_all(origin: str, target: str) -> None:
    picture, _ = kept(source(origin), "keep-all", target)
    found = read_exif(picture.metadata.exif)
    assert {entry.tag for entry in found.camera} >= {42033, 37500, 65000, 65001}
    assert {entry.tag for entry in found.place} == {1, 2}
    assert not {entry.tag for entry in found.main} & {274}
    assert b"Ulm" in picture.metadata.xmp
    assert b"48,8.1N" in picture.metadata.xmp
    assert b"Orientation" not in picture.metadata.xmp
    assert b"face-" not in picture.metadata.xmp
    if picture.metadata.iptc:
        assert b"Ulm" in picture.metadata.iptc


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("origin", FORMATS)
def test_drop_is_the_default_and_leaves_nothing(origin: str, target: str) -> None:
    picture = open_picture(source(origin))
    bare = Picture(picture.colour, None, picture.icc_profile)
    assert encode_picture(picture, target) == encode_picture(bare, target)
    assert encode_picture(picture, target, metadata="drop") == encode_picture(bare, target)


def test_a_print_keeps_its_size() -> None:
    file = BytesIO()
    Image.new("RGB", (30, 20)).save(file, "JPEG", dpi=(150, 75))
    picture = open_picture(file.getvalue())
    large = replace(picture, colour=picture.colour.repeat(4, 0).repeat(4, 1))
    for format in ("PNG", "JPEG", "TIFF"):
        with Image.open(BytesIO(encode_picture(large, format, metadata="keep"))) as image:
            assert np.allclose(np.array(image.info["dpi"], float), (600, 300), rtol=1e-3)


def test_a_picture_on_its_side_swaps_its_resolutions() -> None:
    said = Exif("<", (Entry(274, 3, b"\6\0"),)).to_bytes()
    metadata = Metadata(exif=said, dpi=(100, 200), size=(10, 20))
    assert metadata.kept("keep", (10, 20), is_srgb=True).dpi == (200, 100)


GEOREFERENCES = (33550, 33920, 33922, 34264, 34735, 34736, 34737, 50844)


@pytest.mark.parametrize("choice", ["keep", "keep-all"])
def test_pixels_of_a_result_lie_elsewhere_on_a_map(choice: Any) -> None:
    """GeoTIFF's scale of a pixel and its like, which a result of another size would belie."""
    tags: list[Any] = [(tag, "d", 3, (10.0, 10.0, 0.0), True) for tag in GEOREFERENCES]
    tags.append((42112, "s", 0, "<GDALMetadata/>", True))
    file = BytesIO()
    tifffile.imwrite(file, np.zeros((24, 32, 3), np.uint8), photometric="rgb", metadata=None, extratags=tags)
    picture = open_picture(file.getvalue())
    with tifffile.TiffFile(BytesIO(encode_picture(picture, "TIFF", metadata=choice))) as written:
        kept = {tag.code for tag in written.pages.first.tags}
    assert not kept & set(GEOREFERENCES)
    assert (42112 in kept) == (choice == "keep-all")


@pytest.mark.parametrize("xmp", [b"<", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"<a>" * 20_000, b"\xff\xfe"])
def test_odd_xmp_is_left_out(xmp: bytes) -> None:
    assert Metadata(xmp=xmp).kept("keep", (1, 1), is_srgb=True).xmp == b""


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_exif_is_read_or_not_but_never_more(damage: list[tuple[float, int]]) -> None:
    data = bytearray(exif())
    for place, value in damage:
        data[int(place * len(data))] = value
    said = Metadata(bytes(data), size=(4, 4)).kept("keep-all", (8, 8), is_srgb=True)
    assert len(said.exif) < 3 * len(data) + 200
    picture = Picture(np.zeros((8, 8, 3), np.uint8), metadata=Metadata(bytes(data), size=(4, 4)))
    for format in FORMATS:
        assert open_picture(encode_picture(picture, format, metadata="keep-all")).width == 8


def test_exif_survives_apart_and_together() -> None:
    for order in "<>":
        data = exif(order)
        assert read_exif(data).to_bytes() == data
        assert any(entry.tag == PLACE for entry in read_exif(data).main)


def test_other_choices_are_refused() -> None:
    with pytest.raises(OptionError, match="drop, keep, keep-all"):
        encode_picture(Picture(np.zeros((8, 8, 3), np.uint8)), metadata="some")  # type: ignore[arg-type]


def test_what_does_not_fit_a_jpeg_is_left_out() -> None:
    note = Exif("<", (), (Entry(37500, 7, bytes(70_000)),)).to_bytes()
    picture = Picture(np.zeros((8, 8, 3), np.uint8), metadata=Metadata(note, b"<a>" + b" " * 70_000 + b"</a>"))
    again = open_picture(encode_picture(picture, "JPEG", metadata="keep-all"))
    assert again.metadata.exif == b""
    assert again.metadata.xmp == b""
    assert len(open_picture(encode_picture(picture, "PNG", metadata="keep-all")).metadata.exif) > 70_000


def test_what_is_huge_is_not_remembered() -> None:
    note = Exif("<", (), (Entry(37500, 7, bytes(5_000_000)),)).to_bytes()
    from hpinet.images.png import metadata_chunks

    plain = encode_picture(Picture(np.zeros((8, 8, 3), np.uint8)))
    data = (
        plain[:33] + metadata_chunks(Metadata(note, b"<a>" + b" " * 1_500_000 + b"</a>", b"x" * 1_500_000)) + plain[33:]
    )
    assert open_picture(data).metadata == Metadata(size=(8, 8))


def test_a_large_profile_stays_where_metadata_is_added_to_a_tiff() -> None:
    from .samples import ADOBE_RGB

    profile = (len(ADOBE_RGB) + 5_000_000).to_bytes(4, "big") + ADOBE_RGB[4:] + bytes(5_000_000)
    picture = Picture(np.zeros((8, 8, 3), np.uint8), None, profile, metadata=Metadata(exif()))
    again = open_picture(encode_picture(picture, "TIFF", metadata="keep"))
    assert again.icc_profile == profile
    assert again.metadata.exif
