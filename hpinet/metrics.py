"""PSNR and SSIM by the protocol of the super-resolution literature, so that numbers compare with published tables.

Both compare the luminance of 8-bit pictures and ignore ``scale`` pixels along the borders. A ground truth larger than
the output (its sides were not multiples of the scale) is cropped at the right and bottom.
"""

import math

import numpy as np

from hpinet.images.bands import bands
from hpinet.progress import Progress, ignore

PEAK = 255.0
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Y of BT.601 in studio range (16 to 235), rounded to 8 bits: (H, W, 3) uint8 RGB -> (H, W) uint8."""
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[-1] != 3:
        raise ValueError(f"Metrics compare (H, W, 3) uint8 pictures, not {rgb.shape} {rgb.dtype}.")
    weights = np.array([65.481, 128.553, 24.966]) / PEAK
    height, width, _ = rgb.shape
    y = np.empty((height, width), np.uint8)
    for rows in bands(height, width):
        y[rows] = np.floor(16.0 + rgb[rows] @ weights + 0.5)
    return y


def psnr_y(output: np.ndarray, truth: np.ndarray, *, scale: int) -> float:
    """Peak signal-to-noise ratio of the luminance in dB; infinite for equal pictures.

    ``output`` and ``truth`` are (H, W, 3) uint8 RGB. Raises ValueError if they cannot be compared.
    """
    output, truth = _comparable(output, truth, border=scale)
    height, width = output.shape[:2]
    squares = ((_levels(output[rows]) - _levels(truth[rows])) ** 2 for rows in bands(height, width))
    error = sum(float(band.sum()) for band in squares) / (height * width)
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


def ssim_y(output: np.ndarray, truth: np.ndarray, *, scale: int, progress: Progress = ignore) -> float:
    """Structural similarity of the luminance, at most 1 (Wang et al. 2004).

    Gaussian window of 11x11 pixels (sigma 1.5), population covariance, windows entirely inside the picture.
    Arguments and errors as for `psnr_y`; the windows need 11 pixels a side within the borders. ``progress`` is of rows.
    """
    output, truth = _comparable(output, truth, border=scale)
    height, width = output.shape[:2]
    if min(height, width) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs {SSIM_WINDOW} pixels a side within the borders, not {(height, width)}.")
    total = 0.0
    for rows in bands(height, width, window=SSIM_WINDOW):
        progress(rows.start, height)
        total += float(_similarity(_levels(output[rows]), _levels(truth[rows])).sum())
    progress(height, height)
    return total / ((height - SSIM_WINDOW + 1) * (width - SSIM_WINDOW + 1))


def _comparable(output: np.ndarray, truth: np.ndarray, *, border: int) -> tuple[np.ndarray, np.ndarray]:
    """Both at equal size, borders removed."""
    height, width = output.shape[:2]
    if truth.shape[0] < height or truth.shape[1] < width:
        raise ValueError(f"The ground truth {truth.shape[:2]} is smaller than the output {output.shape[:2]}.")
    if min(height, width) <= 2 * border:
        raise ValueError(f"Nothing of {height}x{width} pixels is left within borders of {border}.")
    inside = slice(border, height - border), slice(border, width - border)
    return output[inside], truth[inside]


def _levels(rgb: np.ndarray) -> np.ndarray:
    """The luminance, to be computed with."""
    return luminance(rgb).astype(np.float64)


def _similarity(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of every window that lies inside ``x`` and ``y``, (H, W) float64."""
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x**2
    variance_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    return ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    )


def _window_mean(x: np.ndarray) -> np.ndarray:
    """Gaussian-weighted mean over every window that lies inside ``x``; separable, so one axis at a time."""
    distance = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    weights = np.exp(-(distance**2) / (2 * SSIM_SIGMA**2))
    weights /= weights.sum()
    for axis in (0, 1):
        x = np.lib.stride_tricks.sliding_window_view(x, SSIM_WINDOW, axis) @ weights
    return x
