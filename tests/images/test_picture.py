"""Pictures: their conversions."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from hpinet.errors import ImageError
from hpinet.images import Picture

from .samples import noise


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

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_pixels_of_all_kinds(self, channels, dtype):
        picture = Picture.from_array(noise(4, 5, channels, dtype=dtype))
        pixels = picture.to_8_bit_rgb()
        assert (pixels.shape, pixels.dtype) == ((4, 5, 3), np.uint8)
        assert np.array_equal(pixels, np.broadcast_to(picture.to_8_bit().colour, (4, 5, 3)))

    @pytest.mark.parametrize("shade", [0.0, 0.3, 1.0])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_laid_on_a_shade(self, dtype, shade):
        top = np.iinfo(dtype).max
        steps = np.linspace(0, top, 256).round().astype(dtype)
        colour, alpha = np.repeat(np.tile(steps, (256, 1))[..., None], 3, axis=2), np.tile(steps[:, None], (1, 256))
        laid = Picture(colour, alpha).on(shade)
        share = alpha[..., None] / np.float32(top)
        assert laid.alpha is None
        assert laid.colour.dtype == dtype
        assert np.array_equal(laid.colour, np.rint(colour * share + shade * top * (1 - share)))
        opaque = Picture(colour)
        assert opaque.on(shade) is opaque

    @pytest.mark.parametrize(
        "convert",
        [lambda picture: picture.on(1.0), Picture.to_8_bit, lambda picture: Picture(picture.to_8_bit_rgb())],
        ids=["on", "to_8_bit", "to_8_bit_rgb"],
    )
    def test_conversions_take_little_more_than_their_result(self, convert):
        """They come after the network, when a large result is all there is room for."""
        picture = Picture(noise(400, 500, 3, dtype=np.uint16), noise(400, 500, dtype=np.uint16))
        tracemalloc.start()
        try:
            converted = convert(picture)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        size = converted.colour.nbytes + (0 if converted.alpha is None else converted.alpha.nbytes)
        assert peak < 1.2 * size
