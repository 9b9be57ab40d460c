"""Pictures: their conversions."""

import numpy as np
import pytest
from PIL import Image

from hpinet.errors import ImageError
from hpinet.images import (
    Picture,
)

from .samples import (
    noise,
)


class TestConversions:
    def test_from_array(self):
        assert Picture.from_array(noise(4, 5)).is_grey
        assert Picture.from_array(noise(4, 5, 2, dtype=np.uint16)).depth == 16
        assert np.array_equal(Picture.from_array(noise(4, 5, 4)).samples, noise(4, 5, 4))
        for bad in (
            noise(4, 5, 5),
            noise(4),
            np.zeros((4, 5, 3)),
            np.zeros((0, 5, 3), np.uint8),
            np.zeros((2, 2), bool),
        ):
            with pytest.raises(ImageError):
                Picture.from_array(bad)

    def test_alpha_must_fit(self):
        with pytest.raises(ImageError):
            Picture(noise(4, 5, 3), noise(4, 4))
        with pytest.raises(ImageError):
            Picture(noise(4, 5, 3), noise(4, 5, dtype=np.uint16))

    @pytest.mark.parametrize(
        "mode", ["1", "L", "P", "LA", "PA", "La", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV"]
    )
    def test_from_pil(self, mode):
        image = Image.fromarray(noise(6, 7, 4), "RGBA").convert("RGB" if mode == "P" else "RGBA")
        via = {"La": "LA", "PA": "P"}.get(mode)
        image = (image.convert(via) if via else image).convert(mode)
        picture = Picture.from_pil(image)
        grey, alpha = mode in {"1", "L", "LA", "La"}, mode[-1] in "Aa"
        assert picture.is_grey == grey
        assert (picture.alpha is not None) == alpha
        target = ("L" if grey else "RGB") + ("A" if alpha else "")
        straight = image.convert(target) if mode != "1" else image.convert("L")
        assert np.array_equal(np.asarray(picture.to_pil()), np.asarray(straight))

    def test_sixteen_bit_grey_of_pillow(self):
        samples = noise(6, 7, dtype=np.uint16)
        assert np.array_equal(Picture.from_pil(Image.fromarray(samples)).colour[..., 0], samples)
        swapped = Image.frombytes("I;16B", (7, 6), samples.astype(">u2").tobytes())
        assert np.array_equal(Picture.from_pil(swapped).colour[..., 0], samples)

    def test_unbounded_samples_are_refused(self):
        for mode in ("F", "I"):
            with pytest.raises(ImageError, match="8 or 16 bits"):
                Picture.from_pil(Image.new(mode, (3, 3)))

    def test_rounding_to_8_bits(self):
        values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
        assert np.array_equal(Picture(values).to_8_bit().colour, np.rint(values / 257).astype(np.uint8))
