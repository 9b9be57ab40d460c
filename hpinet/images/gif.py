"""GIF files apart: the first picture, without what is said beside it."""

from collections.abc import Iterator

_HEADER = 13  # bytes before the colours
_EXTENSION, _PICTURE, _END, _COMMENT = 0x21, 0x2C, 0x3B, 0xFE


def first_picture(data: bytes) -> tuple[bytes, bool]:
    """The file with its first picture alone and no comments, and whether there is another picture.

    Decoders join comments, of which a file can have hundreds of thousands, and may look at all pictures.
    """
    start = _HEADER + _colours(data[10:11])
    kept, pictures = [data[:start]], 0
    for kind, begin, end in _blocks(data, start):
        pictures += kind == _PICTURE
        if pictures == 2:
            break
        if kind != _COMMENT:
            kept.append(data[begin:end])
    return b"".join((*kept, bytes([_END]))), pictures == 2


def _colours(flags: bytes) -> int:
    """Bytes of the table of colours that such flags announce."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _blocks(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Kind, first byte and end of pictures and extensions; a comment has a kind of its own."""
    while at < len(data):
        begin, kind = at, data[at]
        at += 1
        if kind == _END:
            return
        if kind == _EXTENSION:
            kind = _COMMENT if data[at : at + 1] == bytes([_COMMENT]) else kind
            at += 1
        elif kind == _PICTURE:
            at += 9 + _colours(data[at + 8 : at + 9]) + 1  # its place, its colours, how its codes begin
        else:
            continue  # decoders pass over bytes that are none of these
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
        yield kind, begin, min(at, len(data))
