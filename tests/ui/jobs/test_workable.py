"""What is preselected for a picture can be done, and nothing is preselected that would be refused."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from hpinet.errors import OptionError
from hpinet.images import Picture, encode_picture, open_picture
from hpinet.plan import TargetSize
from hpinet.ui.jobs import models, previews, workable
from hpinet.ui.jobs.enlarge import Wanted
from hpinet.ui.jobs.models import check_memory, choice_of
from hpinet.ui.jobs.workable import format_for, format_wished, lost, obstacle, scale_for, side_for

SCALES = (2, 3, 4, 8, 16)


def up_to(most: int) -> Callable[[TargetSize], bool]:
    return lambda size: (size.scale or 0) <= most and (size.longest_side or 0) <= 1000 * most


@pytest.mark.parametrize(
    ("source", "most", "wish", "scale"),
    [
        ((100, 80), 16, None, 4),  # as usual
        ((100, 80), 16, 8, 8),
        ((100, 80), 3, None, 3),
        ((100, 80), 3, 16, 3),  # the largest below the wish
        ((4000, 3000), 4, None, 2),  # nobody asked for 192 megapixels
        ((4000, 3000), 4, 4, 4),
        ((6016, 4016), 2, None, 2),  # more than comfortable, but there is nothing smaller
        ((8256, 6192), 1, None, None),
    ],
)
def test_the_largest_scale_that_works_and_makes_sense(
    source: tuple[int, int], most: int, wish: int | None, scale: int | None
) -> None:
    assert scale_for(source, SCALES, up_to(most), wish, 4) == scale


@pytest.mark.parametrize(
    ("source", "most", "side"),
    [((800, 600), 2, 1920), ((4000, 3000), 8, 8000), ((20, 20), 0, 40), ((1920, 1080), 16, 3840)],
)
def test_a_size_in_pixels_begins_with_what_works(source: tuple[int, int], most: int, side: int) -> None:
    assert side_for(source, up_to(most), 2) == side


def test_what_cannot_be_done_is_said_in_two_words(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny, large = choice_of("T"), choice_of("L")

    def told(choice: models.Choice, size: tuple[int, int], scale: int = 4, **kept: object) -> str:
        wanted = Wanted(choice.key, TargetSize(scale=scale), treatment=kept.get("treatment", "auto"))  # pyright: ignore[reportArgumentType]
        return obstacle(choice, wanted, size, rounds=1, found=None)

    assert told(tiny, (100, 80)) == ""
    assert told(tiny, (100, 80), 16) == ""
    assert told(tiny, (6016, 4016)) == "too large"
    smaller = Wanted("T", TargetSize(longest_side=100))
    assert obstacle(tiny, smaller, (100, 80), rounds=1, found=None) == workable.TOO_SMALL
    assert told(large, (100, 80), treatment="photo") == "no treatment"
    monkeypatch.setattr(workable, "expected_seconds", lambda *_, **__: 3601)
    assert told(tiny, (100, 80)) == "too long"


def test_memory_bounds_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = choice_of("T")
    plan = Wanted("T", TargetSize(scale=2)).plan((6016, 4016))
    monkeypatch.setattr(models, "settings", lambda: SimpleNamespace(job_mb=0))
    monkeypatch.setattr(models, "memory_allowance", lambda: 8000.0)
    with pytest.raises(OptionError, match=r"takes 7\.4 GB of memory with model T, and this page has 6\.0 GB: take"):
        check_memory(choice, plan)
    monkeypatch.setattr(models, "memory_allowance", lambda: 16_000.0)
    check_memory(choice, plan)


def opened(kind: str, *, deep: bool = False, side: int = 40, height: int = 20) -> Picture:
    samples = np.full((height, side, 3), 1000 if deep else 100, np.uint16 if deep else np.uint8)
    return open_picture(encode_picture(Picture.from_array(samples), kind, quality=90))


def test_the_file_follows_the_picture() -> None:
    assert format_for(opened("JPEG")) == "JPEG"
    assert format_for(opened("PNG")) == "PNG"
    assert format_for(opened("PNG", deep=True)) == "PNG"
    assert format_for(opened("WEBP")) == "WebP"
    assert format_for(opened("WEBP", side=2000)) == "PNG"  # ×16 would be wider than a WebP can be
    assert format_for(opened("JPEG", side=2000)) == "JPEG"
    assert format_for(opened("JPEG", side=4100)) == "PNG"  # so for a JPEG
    assert format_for(opened("JPEG", side=4100, height=3000)) == "JPEG"  # which no result of this page would be
    assert format_for(opened("TIFF")) == "PNG"


def test_a_wish_holds_where_nothing_is_lost() -> None:
    assert format_wished(None, "JPEG", ()) == "JPEG"
    assert format_wished("PNG", "JPEG", ()) == "PNG"
    assert format_wished("JPEG", "PNG", ("transparent",)) == "PNG"
    assert format_wished("WebP", "PNG", ("transparent", "grey")) == "WebP"
    for kind in ("JPEG", "WebP", "AVIF"):
        assert format_wished(kind, "PNG", ("16 bit",)) == "PNG"


@pytest.mark.parametrize("kind", previews.FORMATS)
def test_a_kind_of_file_loses_what_is_said(kind: str) -> None:
    """By the file that is written of a picture with everything that can be lost."""
    samples = np.random.default_rng(0).integers(0, 65536, (16, 16, 4), np.uint16)
    written = open_picture(encode_picture(Picture.from_array(samples), kind, quality=90))
    gone = {"transparent": written.alpha is None, "16 bit": written.depth == 8}
    assert lost(kind, ["grey", *gone]) == [trait for trait, is_gone in gone.items() if is_gone]
