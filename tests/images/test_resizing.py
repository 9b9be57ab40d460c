"""Resizing."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hpinet.images import Picture, bands, resize_bicubic

from .samples import ADOBE_RGB, noise, smooth


class TestResizing:
    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from([1, 3]), *[st.integers(1, 30)] * 4)
    def test_opaque_8_bit_is_pillows(self, channels, height, width, new_height, new_width):
        samples = noise(height, width, channels)
        image = Image.fromarray(samples[..., 0] if channels == 1 else samples)
        expected = np.asarray(image.resize((new_width, new_height), Image.Resampling.BICUBIC))
        resized = resize_bicubic(Picture(samples, None, None, "GIF"), new_width, new_height)
        assert np.array_equal(resized.colour.squeeze(), expected.squeeze())
        assert resized.colour.shape == (new_height, new_width, channels)
        assert resized.format == "GIF"
        opaque = resize_bicubic(Picture(samples, np.full((height, width), 255, np.uint8)), new_width, new_height)
        assert np.array_equal(opaque.colour, resized.colour)
        assert opaque.alpha is not None
        assert (opaque.alpha == 255).all()

    @pytest.mark.parametrize("size", [(7, 5), (40, 60)])
    def test_16_bit_agrees_with_8_bit(self, size):
        samples = smooth(20, 30, 3)  # steep edges overshoot, which Pillow clips between its two passes over 8 bits
        wide = resize_bicubic(Picture(samples.astype(np.uint16) * 257), *size)
        narrow = resize_bicubic(Picture(samples), *size)
        assert wide.depth == 16
        assert np.abs(wide.colour / 257 - narrow.colour).max() <= 1

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    @pytest.mark.parametrize("size", [(48, 48), (5, 5)])
    def test_hidden_colour_does_not_bleed(self, dtype, size):
        top = np.iinfo(dtype).max
        colour = np.full((12, 12, 3), top, dtype)
        colour[:, 6:] = 0  # black, but nowhere to be seen
        alpha = np.full((12, 12), top, dtype)
        alpha[:, 6:] = 0
        resized = resize_bicubic(Picture(colour, alpha), *size)
        assert resized.alpha is not None
        assert (resized.colour[resized.alpha > top // 50] > top * 0.98).all()
        assert resized.alpha[:, 0].min() == top
        assert resized.alpha[:, -1].max() == 0

    def test_profile_is_kept(self):
        assert resize_bicubic(Picture(noise(4, 4, 3), noise(4, 4), ADOBE_RGB), 8, 8).icc_profile == ADOBE_RGB


Part = tuple[float, float, float, float] | None


def by_whole_channels(picture: Picture, size: tuple[int, int], part: Part) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour and alpha by Pillow's arithmetic on whole channels in floating point."""

    def resized(channel: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BICUBIC, part))

    top = np.float32(np.iinfo(picture.colour.dtype).max)
    opacity = np.ones((picture.height, picture.width), np.float32)
    if picture.alpha is not None:
        opacity = picture.alpha / top
    shown = np.dstack([resized(channel * opacity) for channel in np.moveaxis(picture.colour, 2, 0)])
    seen = resized(opacity)
    if picture.alpha is not None:
        shown = np.divide(shown, seen[..., None], out=np.zeros_like(shown), where=seen[..., None] > 0.5 / top)
    colour, alpha = (np.rint(values).clip(0, top).astype(picture.colour.dtype) for values in (shown, seen * top))
    return colour, alpha if picture.alpha is not None else None


@pytest.mark.parametrize(("bits", "channels"), [(8, 2), (8, 4), (16, 1), (16, 2), (16, 3), (16, 4)])
@pytest.mark.parametrize("part", [None, (0, 0, 30, 20), (2.25, 3.5, 28.125, 17.75), (4, 0, 9, 20)])
@pytest.mark.parametrize("size", [(30, 20), (29, 20), (30, 19), (7, 5), (61, 43), (1, 1)])
def test_strips_are_what_the_whole_would_be(
    monkeypatch: pytest.MonkeyPatch, bits: int, channels: int, part: Part, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(bands, "PIXELS", 100)
    samples = noise(20, 30, channels, dtype=np.uint8 if bits == 8 else np.uint16)
    if channels % 2 == 0:
        samples[noise(20, 30, seed=1) < 100, -1] = 0
    picture = Picture.from_array(samples)
    expected = by_whole_channels(picture, size, part)
    result = resize_bicubic(picture, *size, part=part)
    assert np.array_equal(result.colour, expected[0])
    assert (result.alpha is None) == (expected[1] is None)
    assert result.alpha is None or np.array_equal(result.alpha, expected[1])  # pyright: ignore[reportArgumentType]


def test_a_reduction_takes_little_beside_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result, its opacity, and a channel half way, whatever alpha there is: no floating-point copy of all of it."""
    monkeypatch.setattr(bands, "PIXELS", 1 << 12)
    picture = Picture(noise(400, 500, 3), noise(400, 500))
    tracemalloc.start()
    resize_bicubic(picture, 499, 399)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 14 * 400 * 500
