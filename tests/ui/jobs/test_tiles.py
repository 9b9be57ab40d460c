"""Tiles of results: put together they are the picture, and nobody else gets them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpinet.errors import HPINetError
from hpinet.images import Picture, resize_bicubic
from hpinet.ui.jobs import tiles
from hpinet.ui.jobs.tiles import BICUBIC, LAYERS, NEAREST, RESULT, SIDE, UPLOAD, View, Views


def noise(height: int, width: int, channels: int = 3, kind: type = np.uint8) -> Picture:
    samples = np.random.default_rng(height).integers(0, np.iinfo(kind).max, (height, width, channels), kind, True)
    return Picture.from_array(samples)


def put_together(view: View, layer: str, level: int = 0) -> np.ndarray:
    width, height = tiles.level_size(view.size(layer), level)
    rows = []
    for row in range(-(-height // SIDE)):
        parts = [tiles.tile(view, layer, level, column, row)[0] for column in range(-(-width // SIDE))]
        rows.append(np.hstack([np.atleast_3d(np.asarray(Image.open(io.BytesIO(part)))) for part in parts]))
    return np.vstack(rows)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tiles_are_the_pictures(tmp_path: Path, channels: int) -> None:
    source, result = noise(301, 347, channels), noise(602, 694, channels)
    view = tiles.keep(source, result, tmp_path, upload=tmp_path)
    assert np.array_equal(put_together(view, RESULT), result.samples)
    assert np.array_equal(put_together(view, UPLOAD), source.samples)
    assert np.array_equal(put_together(view, NEAREST), source.samples.repeat(2, 0).repeat(2, 1))
    bicubic = resize_bicubic(source, 694, 602)
    difference = np.abs(put_together(view, BICUBIC).astype(int) - bicubic.samples)
    seen = difference if bicubic.alpha is None else difference[bicubic.alpha > 127]
    assert seen.max() <= 1


@pytest.mark.parametrize("size", [(1500, 700), (1, 1), (513, 512), (3000, 3)])
def test_reductions_show_the_whole_picture(tmp_path: Path, size: tuple[int, int]) -> None:
    source = noise(-(-size[1] // 2), -(-size[0] // 2))
    result = resize_bicubic(source, *size)
    view = tiles.keep(source, result, tmp_path, upload=tmp_path)
    for layer in LAYERS:
        last = tiles.levels(view.size(layer)) - 1
        assert max(tiles.level_size(view.size(layer), last)) <= SIDE
        for level in range(last + 1):
            shown = put_together(view, layer, level)
            assert shown.shape[1::-1] == tiles.level_size(view.size(layer), level)
            expected = np.asarray(result.to_pil().resize(shown.shape[1::-1], Image.Resampling.BOX), float)
            assert abs(shown.mean() - expected.mean()) < 3


def test_16_bits_and_large_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = noise(40, 40, 3, np.uint16)
    view = tiles.keep(noise(20, 20, 3, np.uint16), result, tmp_path, upload=tmp_path)
    assert np.array_equal(put_together(view, RESULT), result.to_8_bit().colour)
    monkeypatch.setattr(tiles, "_EXACT_PIXELS", 100)
    assert tiles.tile(view, RESULT, 0, 0, 0)[1] == "image/jpeg"


def test_colours_are_shown_as_they_were_meant(tmp_path: Path) -> None:
    from hpinet.images.colour import adobe_rgb

    green = np.full((8, 8, 3), (60, 200, 60), np.uint8)
    picture = Picture.from_array(green, icc_profile=adobe_rgb())
    view = tiles.keep(picture, picture, tmp_path, upload=tmp_path)
    assert put_together(view, RESULT)[0, 0, 0] < 10  # more saturated than sRGB can say


def test_the_view_begins_where_there_is_most_to_see(tmp_path: Path) -> None:
    flat = np.full((1200, 2000, 3), 90, np.uint8)
    flat[800:1000, 1500:1800] = noise(200, 300).colour
    view = tiles.keep(noise(600, 1000), Picture.from_array(flat), tmp_path, upload=tmp_path)
    x, y = view.spot[0] * 2000, view.spot[1] * 1200
    assert abs(x - 1650) < 240
    assert abs(y - 900) < 160


@pytest.mark.parametrize(
    ("layer", "level", "column", "row"), [("other", 0, 0, 0), (RESULT, 9, 0, 0), (RESULT, 0, 1, 0), (UPLOAD, 0, 0, 99)]
)
def test_there_are_no_other_tiles(tmp_path: Path, layer: str, level: int, column: int, row: int) -> None:
    view = tiles.keep(noise(4, 4), noise(8, 8), tmp_path, upload=tmp_path)
    with pytest.raises(HPINetError, match="no such"):
        tiles.tile(view, layer, level, column, row)


def test_a_picture_that_is_gone_says_so(tmp_path: Path) -> None:
    view = tiles.keep(noise(4, 4), noise(8, 8), tmp_path, upload=tmp_path)
    for path in view.folder.iterdir():
        path.unlink()
    with pytest.raises(HPINetError, match="gone from the server"):
        tiles.tile(view, BICUBIC, 0, 0, 0)


def test_a_tile_parses_no_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page asks for many tiles at once, and Python 3.11 cannot parse in two threads."""
    view = tiles.keep(noise(40, 30), noise(80, 60), tmp_path, upload=tmp_path)

    def refuse(*_args: object, **_options: object) -> None:
        raise SystemError("AST constructor recursion depth mismatch")

    monkeypatch.setattr("ast.parse", refuse)
    for layer in tiles.LAYERS:
        assert tiles.tile(view, layer, 0, 0, 0)[0]


def test_views_are_of_one_visitor_and_not_endless(tmp_path: Path) -> None:
    view = tiles.keep(noise(4, 4), noise(8, 8), tmp_path, upload=tmp_path)
    views = Views(most=2)
    name = views.open(view, "me")
    assert views.of(name, "me") is view
    assert views.of(name, "you") is None
    assert views.of(name, "") is None
    assert views.of(f"{name}x", "me") is None
    for _ in range(2):
        views.open(view, "me")
    assert views.of(name, "me") is None


def test_many_visitors_do_not_lose_their_views(tmp_path: Path) -> None:
    view = tiles.keep(noise(4, 4), noise(8, 8), tmp_path, upload=tmp_path)
    views = Views()
    name = views.open(view, "me")
    for _ in range(5000):
        views.open(view, "others")
    assert views.of(name, "me") is view
