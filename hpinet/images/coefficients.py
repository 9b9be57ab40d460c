"""What a JPEG file really says of its picture: for every frequency of every block, the multiple of a step.

An encoder rounds each DCT coefficient; a decoder shows the multiples, blocks and ringing included. Any picture whose
coefficients round to the same multiples would have given the same file. So this is what an enlargement can honestly be
held to, rather than to the decoded pixels.
"""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, JpegImagePlugin

from hpinet.errors import ImageError
from hpinet.images.compression import BLOCK, dct_basis
from hpinet.images.formats import kind_of
from hpinet.images.picture import orientation_of, stored
from hpinet.images.pillow import PILLOW_AT_EASE

_SUBSAMPLING = {1: "4:4:4", 2: "4:2:0"}
LEAST_STEP = 2  # coefficients with smaller ones are lost in the rounding of decoded pixels


@dataclass(frozen=True, eq=False)
class Plane:
    """Luminance or one of two planes of colour, in whole blocks: what is left over at the right and bottom is not."""

    multiples: np.ndarray  # (rows, columns, 8, 8) int16: the file's coefficients in steps
    steps: np.ndarray  # (8, 8) float32
    factor: int  # how many pixels of the picture a sample spans, down and across: 1 or 2


@dataclass(frozen=True, eq=False)
class JpegCoefficients:
    """The coefficients of a JPEG file. Build with `read_coefficients`."""

    height: int  # of the picture upright
    width: int
    planes: tuple[Plane, ...]  # one if grey, else three
    orientation: int  # by EXIF, from the stored picture to the upright one
    tables: list[list[int]]  # of each plane, whatever number it has in the file: encoders want 0, 1, 2
    icc_profile: bytes | None

    def explained(self, colour: np.ndarray) -> float | None:
        """The share, 0 to 1, of coefficients that would be the file's if this picture were saved with its tables.

        Args:
            colour: (height, width, 3) uint8 RGB, upright.

        None if all steps are too small for a difference to be seen (`LEAST_STEP`), as from quality 98 on.
        """
        file = BytesIO()
        image = Image.fromarray(stored(colour, self.orientation))
        image = image.convert("L") if len(self.planes) == 1 else image
        image.save(file, "JPEG", qtables=self.tables, subsampling=_SUBSAMPLING[self.planes[-1].factor])
        again = read_coefficients(file.getvalue())
        assert again is not None  # it was saved as a kind that can be read
        same = [
            (ours.multiples == theirs.multiples)[..., ours.steps >= LEAST_STEP].ravel()
            for ours, theirs in zip(self.planes, again.planes, strict=True)
        ]
        counted = np.concatenate(same)
        return float(counted.mean()) if counted.size else None


@PILLOW_AT_EASE
def read_coefficients(data: bytes) -> JpegCoefficients | None:
    """The coefficients of a JPEG file in grey or in YCbCr of 4:4:4 or 4:2:0; None for any other picture.

    They are those of the decoded planes, to the nearest multiple. Libjpeg decodes colour at half the size of the
    picture without any filter, if asked for half the size in all. Raises ImageError if a JPEG is damaged, even if so
    little that `hpinet.images.open_picture` opens it.
    """
    if kind_of(data) != "JPEG":
        return None
    try:
        with Image.open(BytesIO(data), formats=["JPEG"]) as image:
            assert isinstance(image, JpegImagePlugin.JpegImageFile)
            size, layers = image.size, image.layer
            tables = [image.quantization[layer[3]] for layer in layers]
            profile = image.info.get("icc_profile")
            full_colour = all(layer[1:3] == layers[0][1:3] for layer in layers)
            halved = [layer[1:3] for layer in layers] == [(2, 2), (1, 1), (1, 1)]
            in_rgb = image.info.get("adobe_transform") == 0 or [layer[0] for layer in layers] == [82, 71, 66]
            if image.mode not in ("L", "RGB") or in_rgb or not (full_colour or halved) or min(size) < 2 * BLOCK:
                return None
        whole, orientation = _decoded(data, None)
        colours = _decoded(data, (size[0] // 2, size[1] // 2))[0] if halved else whole
    except Exception as error:  # as in `hpinet.images.open_picture`: Pillow promises nothing
        raise ImageError("The JPEG file is damaged.") from error
    planes = []
    for number, table in enumerate(tables):
        steps = np.array(table, np.float32).reshape(BLOCK, BLOCK)
        samples = (colours if number else whole)[..., number].astype(np.float32) - 128
        multiples = np.rint(dct(samples) / steps).astype(np.int16)
        planes.append(Plane(multiples, steps, 2 if halved and number else 1))
    width, height = size if orientation < 5 else size[::-1]
    return JpegCoefficients(height, width, tuple(planes), orientation, tables, profile)


def _decoded(data: bytes, size: tuple[int, int] | None) -> tuple[np.ndarray, int]:
    """(H, W, 1 or 3) samples as they are in the file, at or above a size, and the orientation."""
    with Image.open(BytesIO(data), formats=["JPEG"]) as image:
        if image.mode == "RGB":
            image.draft("YCbCr", size)
        samples = np.asarray(image)
        return samples.reshape(*samples.shape[:2], -1), orientation_of(image)


def dct(samples: np.ndarray) -> np.ndarray:
    """(H, W) -> (rows, columns, 8, 8): the coefficients of all whole blocks."""
    rows, columns = (side // BLOCK for side in samples.shape)
    blocks = samples[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    basis = dct_basis()
    return basis @ blocks @ basis.T
