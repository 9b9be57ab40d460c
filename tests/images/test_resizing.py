"""Resizing."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hpinet.images import Picture, resize_bicubic

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
