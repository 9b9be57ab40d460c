"""Whether it pays to pull enlargements of JPEGs into the intervals that the file's coefficients allow.

    python -m scripts.jpeg_projection Set5/HR "Set5/LR_bicubic/X{scale}" [--scale 4]

LR is saved as JPEG and enlarged; the result is reduced to LR size, every coefficient moved into its interval, and the
difference enlarged and added, as often as is said. The last column is the share of coefficients that are the file's.
"""

from io import BytesIO
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from hpinet.evaluation import find_pairs
from hpinet.images import Picture, open_picture
from hpinet.images.coefficients import JpegCoefficients, Plane, dct, read_coefficients
from hpinet.images.compression import BLOCK, dct_basis
from hpinet.metrics import psnr_y
from hpinet.treatment import Treatment
from hpinet.upscaler import Upscaler

QUALITIES = (90, 75, 50, 30)
TREATMENTS: tuple[Treatment, ...] = ("clean", "auto")
# RGB to luminance and the two planes of colour, as JFIF has it; colour without its offset of 128.
_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
_TO_RGB = np.linalg.inv(_TO_YCC)


def main(
    hr: Annotated[Path, typer.Argument(help="Folder of the true pictures.")],
    lr: Annotated[str, typer.Argument(help="Folder of the small ones, with {scale}.")],
    *,
    scale: Annotated[int, typer.Option(help="2, 3 or 4.")] = 4,
    rounds: Annotated[int, typer.Option(help="How often to project.")] = 3,
) -> None:
    """Print a Markdown table of mean PSNR-Y."""
    upscaler = Upscaler.load("T", scale=scale)
    header = ["quality", "treatment", "PSNR-Y", *(f"{number + 1}×" for number in range(rounds)), "explained", "after"]
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for quality in QUALITIES:
        for treatment in TREATMENTS:
            rows = []
            for pair in find_pairs(hr, Path(lr.format(scale=scale)), scale=scale):
                assert pair.lr is not None
                truth, small = open_picture(pair.hr).colour, open_picture(pair.lr).colour
                small, truth = (np.broadcast_to(each, (*each.shape[:2], 3)) for each in (small, truth))
                rows.append(_measure(upscaler, _saved(small, quality), truth, treatment, rounds))
            mean = np.mean(rows, axis=0)
            print(f"| {quality} | {treatment} | {' | '.join(f'{value:.3f}' for value in mean)} |", flush=True)


def _saved(pixels: np.ndarray, quality: int) -> bytes:
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return file.getvalue()


def _measure(upscaler: Upscaler, data: bytes, truth: np.ndarray, treatment: Treatment, rounds: int) -> list[float]:
    """PSNR-Y at first and after each round, then the explained shares at first and at last."""
    coefficients, picture = read_coefficients(data), open_picture(data)
    assert coefficients is not None
    height, width = (side * upscaler.scale for side in (picture.height, picture.width))
    truth = truth[:height, :width]
    deep = Picture(picture.colour.astype(np.uint16) * 257, compression=picture.compression)
    result = upscaler(deep, treatment=treatment).colour.astype(np.float32) / 257
    scores, shares = [], []
    for number in range(rounds + 1):
        if number:
            change = correction(coefficients, _resized(result, picture.height, picture.width))
            result = np.clip(result + _resized(change, height, width), 0, 255)
        eight_bits = np.rint(result).astype(np.uint8)
        scores.append(psnr_y(eight_bits, truth, scale=upscaler.scale))
        small = np.clip(np.rint(_resized(result, picture.height, picture.width)), 0, 255).astype(np.uint8)
        shares.append(coefficients.explained(small) or 0.0)
    return [*scores, shares[0], shares[-1]]


def correction(coefficients: JpegCoefficients, colour: np.ndarray) -> np.ndarray:
    """What to add to (H, W, 3) RGB of 0 to 255 for every coefficient to lie in its interval, by the shortest way."""
    planes = []
    for plane, weights, offset in zip(coefficients.planes, _TO_YCC, (128, 0, 0), strict=True):
        samples = _mean(colour @ weights - offset, plane.factor)
        off = dct(samples) / plane.steps - plane.multiples
        planes.append(_plane(plane, np.clip(off, -0.5, 0.5) - off, colour.shape[0], colour.shape[1]))
    return np.stack(planes, axis=2) @ _TO_RGB.T


def _mean(samples: np.ndarray, factor: int) -> np.ndarray:
    """Means of squares of ``factor`` samples."""
    height, width = (side // factor for side in samples.shape)
    squares = samples[: height * factor, : width * factor].reshape(height, factor, width, factor)
    return squares.mean(axis=(1, 3))


def _plane(plane: Plane, coefficients: np.ndarray, height: int, width: int) -> np.ndarray:
    """Coefficients in steps to (height, width) samples of the picture's size, 0 where there are no whole blocks."""
    blocks = dct_basis().T @ (coefficients * plane.steps) @ dct_basis()
    rows, columns = blocks.shape[:2]
    samples = blocks.swapaxes(1, 2).reshape(rows * BLOCK, columns * BLOCK)
    samples = samples.repeat(plane.factor, axis=0).repeat(plane.factor, axis=1)[:height, :width]
    return np.pad(samples, ((0, height - samples.shape[0]), (0, width - samples.shape[1])))


def _resized(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W, 3) of any range, by bicubic."""
    planes = [Image.fromarray(values[..., channel].astype(np.float32)) for channel in range(3)]
    return np.dstack([np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC)) for plane in planes])


if __name__ == "__main__":
    typer.run(main)
