"""Previews, crops, file names and sizes."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hpinet.errors import OptionError
from hpinet.images import Picture, encode_picture, open_picture, resize_bicubic, save_picture
from hpinet.plan import Plan
from hpinet.ui.jobs import previews


def noise(height: int, width: int, channels: int = 3) -> Picture:
    return Picture.from_array(np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8))


@pytest.mark.parametrize(
    ("upload", "plan", "format", "name"),
    [
        ("cat.png", Plan((10, 8), (40, 32), (4,)), "PNG", "cat_x4_hpinet-t.png"),
        ("/tmp/x/my cat (1).jpeg", Plan((10, 8), (80, 64), (2, 4)), "JPEG", "my-cat-1_x8_hpinet-t.jpg"),
        ("кот.webp", Plan((10, 8), (35, 28), (4,)), "WebP", "кот_35x28_hpinet-t.webp"),
        ("...", Plan((1, 1), (2, 2), (2,)), "PNG", "picture_x2_hpinet-t.png"),
        ("a/../..\\<b>.png", Plan((1, 1), (2, 2), (2,)), "PNG", "b_x2_hpinet-t.png"),
    ],
)
def test_names_of_results(upload: str, plan: Plan, format: str, name: str) -> None:
    assert previews.result_name(upload, plan, "hpinet-t-x4", format) == name


def test_names_are_not_endless() -> None:
    assert len(previews.result_name("x" * 300, Plan((1, 1), (4, 4), (4,)), "hpinet-t-x4", "PNG")) < 120
    assert len(previews.result_name("写" * 300, Plan((1, 1), (4, 4), (4,)), "hpinet-t-x4", "PNG").encode()) < 255


@pytest.mark.parametrize(("x", "y"), [(0, 0), (49, 29), (25, 15), (3, 28)])
def test_crops_stay_inside_and_contain_the_spot(x: int, y: int) -> None:
    picture = noise(30, 50, 4)
    picture.colour[y, x] = 77
    crop = previews.around(picture, x, y, 12)
    assert (crop.width, crop.height) == (12, 12)
    assert (crop.colour == 77).all(axis=2).any()
    assert crop.alpha is not None
    assert crop.alpha.shape == (12, 12)


def test_crops_of_pictures_smaller_than_the_crop() -> None:
    crop = previews.around(noise(5, 50), 40, 2, 12)
    assert (crop.width, crop.height) == (12, 5)


@pytest.mark.parametrize("format", list(previews.FORMATS))
def test_expected_size_is_of_the_right_order(format: str) -> None:
    y, x = np.mgrid[:120, :160]
    waves = np.dstack([np.rint(127 + 100 * np.sin(x / step) * np.cos(y / step)) for step in (5, 7, 9)]).astype(np.uint8)
    picture = Picture.from_array(waves)
    plan = Plan((160, 120), (640, 480), (4,))
    real = len(encode_picture(resize_bicubic(picture, 640, 480), format, quality=80))
    assert real / 2 < previews.expected_bytes(previews.sample_of(picture), plan, format, 80) < real * 2


def test_results_too_large_for_a_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    previews.check_result_size(Plan((1000, 1000), (4000, 4000), (4,)))
    with pytest.raises(OptionError, match="goes up to 210"):
        previews.check_result_size(Plan((4000, 4000), (16000, 16000), (4,)))
    monkeypatch.setattr(previews, "settings", lambda: SimpleNamespace(max_result_megapixels=1.5))
    with pytest.raises(OptionError, match=r"goes up to 1\.5:"):
        previews.check_result_size(Plan((1000, 1000), (4000, 4000), (4,)))


def test_what_is_shown_leads_back_to_what_was_chosen(tmp_path: Path) -> None:
    """Also if two handlers ask for it at once: the second finds the stand-in of the first."""
    deep, plain = tmp_path / "deep.tif", tmp_path / "plain.png"
    for path, samples in ((deep, np.full((8, 9, 3), 40_000, np.uint16)), (plain, np.zeros((8, 9, 3), np.uint8))):
        save_picture(Picture.from_array(samples), path)
    shown = previews.shown_instead(deep, open_picture(deep))
    assert shown != deep
    assert previews.shown_instead(deep, open_picture(deep)) == shown
    assert open_picture(shown).format == "JPEG"
    assert previews.original_of(shown) == deep
    nameless = tmp_path / ".shown.jpg"
    nameless.write_bytes(shown.read_bytes())
    for own in (deep, plain, nameless, previews.shown_instead(plain, open_picture(plain))):
        assert previews.original_of(own) == own


def test_a_part_does_not_keep_the_whole() -> None:
    part = previews.sample_of(Picture.from_array(np.zeros((500, 400, 4), np.uint8)))
    assert part.alpha is not None
    assert part.colour.shape[:2] == part.alpha.shape[:2] == (96, 96)
    for samples in (part.colour, part.alpha):
        kept = samples if samples.base is None else samples.base
        assert kept.nbytes == samples.nbytes
