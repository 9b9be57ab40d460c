"""Picture files and arrays: decoding with limits, colour, alpha, depth, resizing, encoding."""

from hpinet.images.metadata import Metadata, MetadataChoice
from hpinet.images.picture import Picture
from hpinet.images.reading import Limits, open_picture, picture_size
from hpinet.images.resizing import resize_bicubic
from hpinet.images.writing import check_size, encode_picture, format_of, save_picture

__all__ = [
    "Limits",
    "Metadata",
    "MetadataChoice",
    "Picture",
    "check_size",
    "encode_picture",
    "format_of",
    "open_picture",
    "picture_size",
    "resize_bicubic",
    "save_picture",
]
