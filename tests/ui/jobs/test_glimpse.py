"""Which piece of a picture is shown before a long run, and when."""

import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpinet.errors import Cancelled, OptionError
from hpinet.images import Picture, open_picture
from hpinet.plan import TargetSize
from hpinet.treatment import examine
from hpinet.ui.jobs import glimpse, previews, tiles
from hpinet.ui.jobs.enlarge import Wanted
from hpinet.ui.jobs.models import SHELF, choice_of
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.server import values


def side_for(size: tuple[int, int], wanted: Wanted, monkeypatch: pytest.MonkeyPatch, pace: float) -> int | None:
    """On a machine that takes ``pace`` microseconds for a pixel of what goes in."""
    monkeypatch.setattr(
        glimpse, "expected_seconds", lambda _, plan, rounds: rounds * 1e-6 * pace * plan.source[0] * plan.source[1]
    )
    choice = choice_of(wanted.model)
    return glimpse.side_of(choice, wanted, wanted.plan(size, choice), rounds=1)


def test_only_long_runs_have_one_and_slow_machines_a_smaller_one(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Wanted("T", TargetSize(scale=2))
    assert side_for((1000, 900), wanted, monkeypatch, 5) is None  # 4.5 s
    assert side_for((4000, 3000), wanted, monkeypatch, 5) == 384
    assert side_for((4000, 3000), wanted, monkeypatch, 50) == 128
    assert side_for((4000, 3000), wanted, monkeypatch, 5000) is None  # even the smallest takes 5 s
    assert side_for((1_500_000 // 40, 40), wanted, monkeypatch, 50) == 32  # within the picture


def test_a_piece_is_enlarged_as_the_whole() -> None:
    for size in (TargetSize(scale=2), TargetSize(longest_side=2000), TargetSize(width=2000)):
        wanted = Wanted("T", size, "JPEG")
        piece = glimpse.of_piece(wanted, wanted.plan((1000, 800)), 64)
        assert piece.plan((64, 64)).target == (128, 128)
        assert piece.format == "PNG"


@pytest.mark.parametrize("shape", [(700, 900), (2500, 3100), (64, 65)])
def test_it_is_the_most_detailed_square_on_the_grid_of_jpeg_blocks(shape: tuple[int, int]) -> None:
    height, width = shape
    samples = np.full((height, width, 3), 128, np.uint8)
    detail = slice(height - 60, height), slice(width // 2, width // 2 + 60)
    samples[detail] = np.random.default_rng(1).integers(0, 256, samples[detail].shape)
    left, top = glimpse.corner_of(Picture.from_array(samples), 64)
    assert left % 16 == top % 16 == 0
    assert 0 <= left <= width - 64
    assert 0 <= top <= height - 64
    seen = samples[top : top + 64, left : left + 64]
    assert (seen != 128).mean() > 0.4


@pytest.mark.parametrize("index", [None, [], [0, 0, 5], [0, 0, 0, 5], [5, 0, 4, 9], ["0", 0, 4, 9], [0, 0, 4, 1e9]])
def test_a_part_that_is_none_is_refused(index: object) -> None:
    with pytest.raises(OptionError):
        values.frame({"index": index})
    assert values.frame({"index": [1, 2, 3, 4]}) == (1, 2, 3, 4)


def test_the_whole_picture_is_let_go_while_the_piece_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture, there = tmp_path / "picture.png", list[bool]()
    Image.new("RGB", (200, 150)).save(picture)
    opened = list[weakref.ref[Picture]]()

    def open_sent(path: Path) -> Picture:
        found = open_picture(path)
        opened.append(weakref.ref(found))
        return found

    def enlarge(_piece: Path, *_: object, show: Callable[[object], None], **__: object) -> None:
        there.append(opened[0]() is not None)
        raise Cancelled

    monkeypatch.setattr(glimpse.previews, "open_sent", open_sent)
    monkeypatch.setattr(glimpse, "enlarge", enlarge)
    wanted = Wanted("T", TargetSize(scale=2))
    with pytest.raises(Cancelled):
        glimpse.glimpse(
            picture,
            wanted,
            wanted.plan((200, 150)),
            64,
            found=None,
            stop=StopFlag.of(None, "x"),
            new_folder=lambda: tmp_path,
        )
    assert there == [False]


def test_a_piece_is_treated_as_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the piece tells nothing of losses, and so few pixels little."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    picture, made = tmp_path / "picture.webp", list[Picture]()
    noise = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    Image.fromarray(noise).resize((96, 80)).save(picture, quality=70)
    keep = tiles.keep

    def kept(source: Picture, result: Picture, folder: Path, *, upload: Path) -> tiles.View:
        made.append(result)
        return keep(source, result, folder, upload=upload)

    monkeypatch.setattr(glimpse.tiles, "keep", kept)
    whole = open_picture(picture)
    wanted = Wanted("T", TargetSize(scale=2), treatment="auto")
    found = glimpse.glimpse(
        picture,
        wanted,
        wanted.plan((96, 80)),
        48,
        found=examine(whole),
        stop=StopFlag.of(None, "x"),
        new_folder=lambda: tmp_path,
    )
    piece = previews.cropped(whole, *found.corner, 48, 48)
    treated, untouched = (
        SHELF.upscaler("T", 2)(replace(piece, compression=losses), treatment="auto")
        for losses in (whole.compression, None)
    )
    assert np.array_equal(made[0].colour, treated.colour)
    assert not np.array_equal(treated.colour, untouched.colour)
