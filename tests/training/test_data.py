from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import picture

from hpinet.errors import ImageError, OptionError
from hpinet.training.data import CELL, CropSampler, bicubic_errors, find_pictures, load_pair, open_store, shrink


def save(path: Path, seed: int, width: int, height: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, width, height).save(path)
    return path


def test_a_plain_folder_is_every_picture_below_it(tmp_path: Path) -> None:
    files = [save(tmp_path / name, 0, 8, 8) for name in ("a.png", "b/c.PNG", "d.jpg")]
    (tmp_path / "notes.txt").write_text("no picture")
    assert [picture.hr for picture in find_pictures(tmp_path, scale=2)] == files
    assert {picture.lr for picture in find_pictures(tmp_path, scale=2)} == {None}


def test_the_layout_of_div2k(tmp_path: Path) -> None:
    hr = [save(tmp_path / f"DIV2K_train_HR/000{number}.png", number, 16, 12) for number in (1, 2)]
    lr = save(tmp_path / "DIV2K_train_LR_bicubic/X4/0001x4.png", 9, 4, 3)
    save(tmp_path / "DIV2K_valid_HR/0801.png", 3, 16, 12)
    for folder in (tmp_path, tmp_path / "DIV2K_train_HR"):
        assert [(pair.hr, pair.lr) for pair in find_pictures(folder, scale=4)] == [(hr[0], lr), (hr[1], None)]
        assert [pair.lr for pair in find_pictures(folder, scale=2)] == [None, None]
    np.testing.assert_array_equal(
        load_pair(find_pictures(tmp_path, scale=4)[0], scale=4)[1], np.asarray(picture(9, 4, 3))
    )


def test_all_parts_but_those_to_be_scored_on(tmp_path: Path) -> None:
    names = ("DIV2K_train_HR", "DIV2K_valid_HR", "Flickr2K_HR", "latest_HR", "Set_test_HR", "validation_HR")
    files = {name: save(tmp_path / name / "1.png", 1, 16, 12) for name in names}
    kept = [files[name] for name in ("DIV2K_train_HR", "Flickr2K_HR", "latest_HR")]
    assert [pair.hr for pair in find_pictures(tmp_path, scale=4)] == kept
    for file in kept:
        file.unlink()
        file.parent.rmdir()
    held_out = [files[name] for name in ("DIV2K_valid_HR", "Set_test_HR", "validation_HR")]
    assert [pair.hr for pair in find_pictures(tmp_path, scale=4)] == held_out


@pytest.mark.parametrize("folder", ["plain", "DIV2K_train_HR"])
def test_what_others_leave_in_folders_is_no_picture(tmp_path: Path, folder: str) -> None:
    file = save(tmp_path / folder / "deep/a.png", 0, 8, 8)
    (file.parent / "._a.png").write_bytes(b"what macOS leaves beside a file")
    save(file.parent / "a_x2_hpinet-t.png", 1, 16, 16)
    save(tmp_path / folder / ".thumbnails/a.png", 2, 8, 8)
    for given in (tmp_path, tmp_path / folder):
        assert [pair.hr for pair in find_pictures(given, scale=2)] == [file]


def test_the_layout_of_the_benchmarks(tmp_path: Path) -> None:
    hr = save(tmp_path / "HR/baby.png", 0, 16, 16)
    lr = save(tmp_path / "LR_bicubic/X2/babyx2.png", 1, 8, 8)
    assert [(pair.hr, pair.lr) for pair in find_pictures(tmp_path, scale=2)] == [(hr, lr)]


def test_lr_agrees_with_the_fields(shared: Path) -> None:
    """The benchmark's LR files come from MATLAB's imresize; below 45 dB apart, training would learn another task."""
    for scale in (2, 3, 4):
        for pair in find_pictures(shared / "data/set5", scale=scale):
            assert pair.lr is not None
            hr, lr = load_pair(pair, scale=scale)
            error = np.mean((shrink(hr, scale=scale).astype(float) - lr) ** 2)
            assert 10 * np.log10(255**2 / error) >= 45, (pair.lr, error)


def test_odd_files_become_8_bit_rgb(tmp_path: Path) -> None:
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray(np.full((9, 9, 4), 7, np.uint8)).save(tmp_path / "alpha.png")
    alpha, deep_file = find_pictures(tmp_path, scale=2)
    np.testing.assert_array_equal(load_pair(deep_file, scale=2)[0], np.dstack([deep // 257] * 3))
    assert load_pair(alpha, scale=2)[0].shape == (8, 8, 3)


def test_bad_data_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no pictures"):
        find_pictures(tmp_path, scale=2)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(ImageError, match=r"broken\.png"):
        open_store([tmp_path], scale=2, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    save(tmp_path / "small/one.png", 0, 1, 5)
    with pytest.raises(ImageError, match=r"one\.png is smaller"):
        open_store([tmp_path / "small"], scale=2, cache=tmp_path / "cache")
    save(tmp_path / "HR/a.png", 0, 8, 8)
    save(tmp_path / "LR_bicubic/X2/ax2.png", 0, 5, 4)
    with pytest.raises(ImageError, match=r"ax2\.png has 5x4 pixels, not 4x4"):
        open_store([tmp_path / "HR"], scale=2, cache=tmp_path / "cache")


def test_the_store_holds_the_pictures_and_is_built_once(pictures: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    store = open_store([pictures], scale=3, cache=tmp_path / "cache", progress=lambda *call: calls.append(call))
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
    open_store([pictures], scale=3, cache=tmp_path / "cache", progress=lambda *call: calls.append(call))
    assert len(calls) == 4
    for number, file in enumerate(find_pictures(pictures, scale=3)):
        for ours, truth in zip(store.pair(number), load_pair(file, scale=3), strict=True):
            np.testing.assert_array_equal(ours, truth)
    save(pictures / "another.png", 5, 30, 30)
    assert len(open_store([pictures], scale=3, cache=tmp_path / "cache")) == 4


def test_two_may_build_a_store_at_once(pictures: Path, tmp_path: Path) -> None:
    def meanwhile(done: int, total: int) -> None:
        if done == total:
            open_store([pictures], scale=2, cache=tmp_path / "cache")

    store = open_store([pictures], scale=2, cache=tmp_path / "cache", progress=meanwhile)
    assert len(store) == 3
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_crops_are_aligned_and_the_same_every_time(pictures: Path, tmp_path: Path) -> None:
    store = open_store([pictures], scale=2, cache=tmp_path / "cache")
    samplers = [CropSampler(store, crop=10, seed=3) for _ in range(2)]
    for index in range(20):
        hr, lr, _ = samplers[0].sample(5, index)
        assert (hr.shape, lr.shape) == ((20, 20, 3), (10, 10, 3))
        inside = slice(3, -3)  # where the kernel sees nothing beyond the crop
        ours = shrink(np.ascontiguousarray(hr), scale=2)
        # Pillow rounds between its two passes, which a quarter turn swaps.
        assert np.abs(ours.astype(int) - lr)[inside, inside].max() <= 1
    whole, part = samplers[0].batch(5, range(4)), samplers[1].batch(5, range(2, 4))
    np.testing.assert_array_equal(whole[0][2:], part[0])
    np.testing.assert_array_equal(whole[1][2:], part[1])
    assert not np.array_equal(samplers[0].batch(6, range(4))[1], whole[1])


def test_every_place_and_turn_is_drawn(tmp_path: Path) -> None:
    """On a picture of distinct pixels, the top left pixel of a crop tells its place, and the next one its turn."""
    side = 6
    numbers = np.arange((2 * side) ** 2, dtype=np.uint8).reshape(2 * side, 2 * side)
    (tmp_path / "in").mkdir()
    Image.fromarray(np.dstack([numbers] * 3)).save(tmp_path / "in/one.png")
    sampler = CropSampler(open_store([tmp_path / "in"], scale=2, cache=tmp_path / "cache"), crop=side - 1, seed=0)
    corners = Counter(tuple(sampler.sample(0, index)[0][0, :2, 0].tolist()) for index in range(3200))
    assert len(corners) == 4 * 8  # places, times flips and turns
    assert min(corners.values()) > 60


def test_crops_are_equally_likely_and_small_pictures_left_out(tmp_path: Path) -> None:
    for value, (width, height) in {10: (40, 40), 20: (40, 80), 30: (12, 200)}.items():
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.new("RGB", (width, height), (value,) * 3).save(tmp_path / f"in/{value}.png")
    store = open_store([tmp_path / "in"], scale=2, cache=tmp_path / "cache")
    sampler = CropSampler(store, crop=8, seed=0)
    crops = [sampler.sample(0, index) for index in range(600)]
    drawn = Counter(int(crop.lr[0, 0, 0]) for crop in crops)
    assert drawn[20] / drawn[10] == pytest.approx(33 / 13, rel=0.25)  # places of the crop along the longer side
    assert drawn[30] == 0
    assert {float(crop.weight) for crop in crops} == {1.0}
    with pytest.raises(OptionError, match="crops of 100 pixels"):
        CropSampler(store, crop=50, seed=0)


def test_detailed_crops_are_drawn_more_often_and_count_for_less(tmp_path: Path) -> None:
    """Half of the picture is flat. Whatever is averaged over crops, its weighted mean is that of even draws."""
    pixels = np.full((128, 256, 3), 90, np.uint8)
    pixels[:, 128:] = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in/one.png")
    store = open_store([tmp_path / "in"], scale=2, cache=tmp_path / "cache")

    def draw(importance: float) -> tuple[np.ndarray, np.ndarray]:
        sampler = CropSampler(store, crop=9, seed=1, importance=importance)
        crops = sampler.batch(0, range(2000))
        return (crops.hr != 90).mean((1, 2, 3)), crops.weight

    even, ones = draw(0.0)
    detail, weights = draw(1.0)
    assert (ones == 1).all()
    assert even.mean() < 0.6
    assert detail.mean() > 0.9
    assert weights[detail == 0].min() > 10 * weights[detail == 1].max()
    assert weights.mean() == pytest.approx(1, rel=0.2)
    assert (weights * detail).mean() == pytest.approx(even.mean(), rel=0.1)


@pytest.mark.parametrize(("height", "width"), [(24, 32), (25, 39), (5, 9)])
def test_errors_are_those_of_bicubic_cell_by_cell(height: int, width: int) -> None:
    hr = np.asarray(picture(1, 3 * width, 3 * height))
    lr = shrink(hr, scale=3)
    errors = bicubic_errors(hr, lr)
    assert errors.shape == (-(-height // CELL), -(-width // CELL))
    enlarged = np.asarray(Image.fromarray(lr).resize((3 * width, 3 * height), Image.Resampling.BICUBIC))
    squares = (enlarged.astype(float) - hr) ** 2
    for (row, column), error in np.ndenumerate(errors):
        top, left = 3 * CELL * row, 3 * CELL * column
        assert error == pytest.approx(squares[top : top + 3 * CELL, left : left + 3 * CELL].mean())
