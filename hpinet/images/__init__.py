"""Picture files and arrays: decoding with limits, colour, alpha, depth, resizing, encoding."""

from hpinet.images.picture import Picture
from hpinet.images.reading import ACCEPTED_FORMATS, Limits, open_picture
from hpinet.images.resizing import resize_bicubic, resize_nearest
from hpinet.images.writing import encode_picture, format_of, save_picture

__all__ = [
    "ACCEPTED_FORMATS",
    "Limits",
    "Picture",
    "encode_picture",
    "format_of",
    "open_picture",
    "resize_bicubic",
    "resize_nearest",
    "save_picture",
]
