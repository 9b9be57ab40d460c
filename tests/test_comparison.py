"""Comparing restorations of one picture, and the consistency of an enlargement."""

import csv
import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpinet.comparison import (
    BICUBIC,
    Comparison,
    Restored,
    compare,
    consistency,
    explained,
    to_csv,
    to_markdown,
)
from hpinet.errors import ImageError
from hpinet.images import Picture, open_picture, resize_bicubic, save_picture
from hpinet.images.degradations import degrade
from hpinet.metrics import psnr_y, ssim_y
from hpinet.progress import Progress, ignore
from hpinet.treatment import Treatment


class Oracle:
    """Restores perfectly, having seen the truth, but for one spoilt square."""

    def __init__(self, truth: Picture, spoilt: tuple[slice, slice] | None = None) -> None:
        colour = truth.colour.copy()
        if spoilt is not None:
            colour[spoilt] = 255 - colour[spoilt]
        self.result = Picture(colour)

    def __call__(self, image: Picture, *, treatment: Treatment = "clean", progress: Progress = ignore) -> Picture:
        progress(0, 1)
        progress(1, 1)
        return self.result


@pytest.fixture
def truth() -> Picture:
    rng = np.random.default_rng(3)
    smooth = rng.integers(0, 256, (16, 20, 3), np.uint8).repeat(6, 0).repeat(6, 1)
    return Picture.from_array(smooth)  # 96 x 120


def test_scores_are_those_of_the_metrics(truth: Picture) -> None:
    result = compare(truth, 4, {"perfect": Oracle(truth)})
    bicubic, perfect = result.restored
    assert (bicubic.name, perfect.name) == (BICUBIC, "perfect")
    small = resize_bicubic(truth, 30, 24)
    expected = resize_bicubic(small, 120, 96).colour
    assert np.array_equal(result.small, small.colour)
    assert np.array_equal(bicubic.pixels, expected)
    assert bicubic.psnr_y == psnr_y(expected, truth.colour, scale=4)
    assert bicubic.ssim_y == ssim_y(expected, truth.colour, scale=4)
    assert bicubic.seconds is None
    assert perfect.psnr_y == math.inf
    assert perfect.ssim_y == pytest.approx(1)
    assert perfect.seconds is not None


def test_borders_that_are_no_multiple_are_cropped(truth: Picture) -> None:
    odd = Picture(truth.colour[:95, :118])
    result = compare(odd, 4, {})
    assert result.truth.shape == (92, 116, 3)
    assert result.small.shape == (23, 29, 3)


def test_grey_deep_transparent_pictures_are_compared_in_8_bit_colour() -> None:
    rng = np.random.default_rng(1)
    deep = rng.integers(0, 65536, (60, 60, 1), np.uint16)
    picture = Picture(deep, rng.integers(0, 65536, (60, 60), np.uint16))
    assert compare(picture, 2, {}).truth.shape == (60, 60, 3)


def test_errors_show_where_they_are(truth: Picture) -> None:
    spoilt = slice(40, 60), slice(70, 100)
    result = compare(truth, 4, {"spoilt": Oracle(truth, spoilt), "perfect": Oracle(truth)})
    _, spoilt_map, perfect_map = result.error_maps()
    assert perfect_map.max() == 0
    assert spoilt_map[spoilt].mean() > 20
    assert spoilt_map[:38].max() == 0
    (x, y), *_ = result.telling_spots(count=3, side=24)
    assert x + 24 > 70
    assert x < 100
    assert y + 24 > 40
    assert y < 60


def test_telling_spots_never_overlap_or_leave_the_picture(truth: Picture) -> None:
    spots = compare(truth, 4, {"perfect": Oracle(truth)}).telling_spots(count=50, side=40)
    assert 2 <= len(spots) < 50
    for number, (x, y) in enumerate(spots):
        assert 0 <= x <= 120 - 40
        assert 0 <= y <= 96 - 40
        assert all(abs(x - other_x) >= 40 or abs(y - other_y) >= 40 for other_x, other_y in spots[:number])


def test_spots_are_where_attempts_differ_most() -> None:
    """In steps of an eighth of a side; the sizes are no multiples of those."""
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 256, (93, 117, 3), dtype=np.uint8)
    other = truth.copy()
    other[30:53, 70:93] = 255 - other[30:53, 70:93]
    restored = tuple(Restored(name, pixels, 30.0, 0.9, None) for name, pixels in (("a", truth), ("b", other)))
    [(x, y)] = Comparison(truth, truth[::4, ::4], 4, restored).telling_spots(count=1, side=23)
    assert abs(x - 70) < 2
    assert abs(y - 30) < 2


def test_errors_are_averaged_over_their_neighbours() -> None:
    truth = np.full((20, 24, 3), 60, np.uint8)
    spot = truth.copy()
    spot[7, 9], spot[0, 0] = 120, 0  # errors of either sign
    result = Comparison(truth, truth[::4, ::4], 4, (Restored("a", spot, 30.0, 0.9, None),))
    [errors] = result.error_maps()
    assert errors.dtype == np.float32
    inside, corner = errors[6:9, 8:11], errors[0, 0]
    assert np.allclose(inside, inside[1, 1])
    assert inside[1, 1] == pytest.approx(52 / 9, rel=0.02)  # 60 grey levels are 52 of luminance
    assert corner == pytest.approx(4 * 52 / 9, rel=0.02)  # its own values go on beyond the edge
    assert np.count_nonzero(errors) == 9 + 4


def test_little_memory_is_taken_beside_the_pictures() -> None:
    rng = np.random.default_rng(2)
    height, width = 900, 1000
    pixels = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(4)]
    restored = tuple(Restored(str(number), each, 30.0, 0.9, None) for number, each in enumerate(pixels))
    result = Comparison(pixels[0], pixels[0][::4, ::4], 4, restored)
    tracemalloc.start()
    try:
        result.telling_spots(count=3, side=64)
        assert tracemalloc.get_traced_memory()[1] < height * width
        tracemalloc.reset_peak()
        for _ in result.error_maps():
            pass
        assert tracemalloc.get_traced_memory()[1] < 20 * height * width
    finally:
        tracemalloc.stop()


def test_progress_runs_over_all_models(truth: Picture) -> None:
    told: list[tuple[int, int]] = []
    compare(truth, 4, {"a": Oracle(truth), "b": Oracle(truth)}, progress=lambda *step: told.append(step))
    assert told == [(0, 2000), (1000, 2000), (1000, 2000), (2000, 2000)]


def test_too_small_to_score() -> None:
    with pytest.raises(ImageError, match="at least 23 pixels"):
        compare(Picture.from_array(np.zeros((16, 40, 3), np.uint8)), 4, {})


def test_tables(truth: Picture) -> None:
    result = compare(truth, 4, {"perfect": Oracle(truth)})
    markdown = to_markdown(result).splitlines()
    assert markdown[0] == "| model | PSNR-Y (dB) | SSIM-Y | seconds |"
    assert markdown[2].startswith(f"| bicubic | {result.restored[0].psnr_y:.2f} |")
    assert to_csv(result).splitlines()[2].startswith("perfect,inf,1.0000,")


def test_a_name_with_a_comma_is_one_value(truth: Picture) -> None:
    result = compare(truth, 4, {"hpinet-t-x4, treated": Oracle(truth)})
    rows = list(csv.reader(to_csv(result).splitlines()))
    assert [row[0] for row in rows] == ["model", "bicubic", "hpinet-t-x4, treated"]
    assert {len(row) for row in rows} == {4}


def test_consistency_is_high_for_what_reduces_to_the_source() -> None:
    y, x = np.mgrid[:40, :50]
    waves = 127 + 60 * np.sin(x / 5) + 60 * np.cos(y / 7)
    source = Picture.from_array(np.rint(waves).astype(np.uint8))
    enlarged = resize_bicubic(source, 200, 160)
    assert consistency(enlarged, source) > 45
    assert consistency(Picture(255 - enlarged.colour), source) < 15


def test_consistency_is_of_what_shows() -> None:
    """Hidden colours may change; what shows may not."""
    y, x = np.mgrid[:40, :50]
    colour = np.repeat((127 + 60 * np.sin(x / 5) + 60 * np.cos(y / 7)).astype(np.uint8)[..., None], 3, axis=2)
    alpha = np.where(x < 25, 0, 255).astype(np.uint8)
    source = Picture(colour, alpha)
    enlarged = resize_bicubic(source, 200, 160)
    assert enlarged.alpha is not None
    hidden = np.where(enlarged.alpha[..., None] == 0, 255 - enlarged.colour, enlarged.colour)
    assert consistency(Picture(hidden, enlarged.alpha), source) > 40
    shown = np.where(enlarged.alpha[..., None] == 0, enlarged.colour, 255 - enlarged.colour)
    assert consistency(Picture(shown, enlarged.alpha), source) < 20


def test_consistency_of_a_single_pixel() -> None:
    dot = Picture.from_array(np.full((1, 1, 3), 7, np.uint8))
    assert consistency(resize_bicubic(dot, 4, 4), dot) == math.inf


def test_what_is_restored_may_have_been_saved_as_a_jpeg(truth: Picture) -> None:
    seen: list[Picture] = []

    def spy(image: Picture, /, *, treatment: Treatment = "clean", progress: Progress = ignore) -> Picture:
        seen.append(image)
        return Oracle(truth)(image, progress=progress)

    result = compare(truth, 4, {"spy": spy}, degradation="jpeg-40")
    (image,) = seen
    assert image.compression is not None
    assert image.compression.quality == 40
    expected = degrade(resize_bicubic(truth, 30, 24).colour, "jpeg-40").colour
    np.testing.assert_array_equal(image.colour, expected)
    np.testing.assert_array_equal(result.small, expected)


def test_what_a_result_explains_of_a_jpeg(tmp_path: Path) -> None:
    y, x = np.mgrid[:80, :96]
    waves = [127 + 100 * np.sin(x / 9 + channel) * np.cos(y / 7) for channel in range(3)]
    source = Picture(np.stack(waves, axis=2).astype(np.uint8))
    file = tmp_path / "source.jpg"
    save_picture(source, file, quality=60)
    decoded = open_picture(file)
    same = explained(resize_bicubic(decoded, 192, 160), file)
    off = explained(resize_bicubic(Picture(255 - decoded.colour), 192, 160), file)
    assert same is not None
    assert off is not None
    assert off < 0.95
    assert same > 0.98
    assert explained(replace(decoded, icc_profile=b"another"), file) is None
    save_picture(source, tmp_path / "source.png")
    assert explained(source, tmp_path / "source.png") is None
    with pytest.raises(ImageError, match="cannot be read") as refused:
        explained(source, tmp_path / "none.jpg")
    assert isinstance(refused.value.__cause__, FileNotFoundError)
    file.write_bytes(file.read_bytes()[:-2])  # without the end marker, which does not hinder
    assert explained(open_picture(file), file) is None
