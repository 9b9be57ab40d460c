"""Results as files of other formats: at once where that is quick, else as jobs that are counted."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hpinet.errors import Cancelled, OptionError
from hpinet.images import Metadata, MetadataChoice, Picture, open_picture, save_picture
from hpinet.images.metadata import NOTHING
from hpinet.settings import settings
from hpinet.ui.jobs import formats
from hpinet.ui.jobs.formats import ResultFile, save_in_turn
from hpinet.ui.jobs.running import StopFlag, turns
from hpinet.ui.jobs.turns import BusyError, Load, Visitor


@pytest.fixture
def result(tmp_path: Path) -> Callable[..., ResultFile]:
    """Describes a file to be made of a small result, which may be said to be larger."""
    picture = Picture.from_array(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
    save_picture(picture, tmp_path / "result.png")

    def file(
        format: str,
        *,
        metadata: MetadataChoice = "drop",
        said: Metadata = NOTHING,
        size: tuple[int, int] = (8, 8),
        name: str = "named",
    ) -> ResultFile:
        return ResultFile(tmp_path / "result.png", size, tmp_path / format / name, format, 90, metadata, said)

    return file


@pytest.fixture
def flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StopFlag:
    """Of one visitor."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return StopFlag.of(None, "file")


@pytest.fixture
def under_way(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The jobs that wait and are under way whenever a file is encoded."""
    seen, save = list[tuple[int, int]](), save_picture

    def watched(*arguments: object, **options: object) -> None:
        seen.append(turns().counts)
        save(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(formats, "save_picture", watched)
    return seen


def test_another_format_keeps_the_result(result: Callable[..., ResultFile]) -> None:
    png, jpeg = result("PNG"), result("JPEG")
    for file in (png, jpeg):
        file.save()
    assert png.path.read_bytes() == png.result.read_bytes()
    assert open_picture(jpeg.path).format == "JPEG"
    before = jpeg.path.stat().st_mtime_ns
    jpeg.save()
    assert jpeg.path.stat().st_mtime_ns == before


@pytest.mark.parametrize("format", ["PNG", "WebP"])
def test_metadata_of_the_source(result: Callable[..., ResultFile], format: str) -> None:
    file = result(format, metadata="keep", said=Metadata(xmp=b"<a/>", dpi=(100, 100), size=(2, 2)))
    file.save()
    kept = open_picture(file.path).metadata
    assert kept.xmp == b"<a/>"
    assert format != "PNG" or (kept.dpi is not None and round(kept.dpi[0]) == 400)


def test_what_is_large_is_made_by_a_job(
    result: Callable[..., ResultFile], flag: StopFlag, under_way: list[tuple[int, int]]
) -> None:
    large = 3000, 2000
    for file in (result("JPEG"), result("AVIF", size=large), result("JPEG", size=large, name="other")):
        save_in_turn(file, flag)
        assert open_picture(file.path).width == 8
    assert under_way == [(0, 0), (0, 1), (0, 1)]
    under_way.clear()
    save_in_turn(result("PNG", size=large), flag)  # a link
    save_in_turn(result("AVIF", size=large), flag)  # there already
    assert under_way == []
    assert turns().counts == (0, 0)


def test_others_work_while_a_large_one_is_made(
    result: Callable[..., ResultFile], flag: StopFlag, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(*_: object, **__: object) -> None:
        with turns().job(Load(Visitor("another"), 1, 1), stopped=lambda: pytest.fail("gets no turn")):
            pass

    monkeypatch.setattr(formats, "save_picture", encode)
    save_in_turn(result("AVIF", size=(3000, 2000)), flag)


def test_a_visitor_has_no_more_of_them_than_jobs(
    result: Callable[..., ResultFile], flag: StopFlag, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(*_: object, **__: object) -> None:
        save_in_turn(result("AVIF", size=(3000, 2000)), flag)  # another one meanwhile, and so on

    monkeypatch.setattr(formats, "save_picture", encode)
    with pytest.raises(BusyError, match=rf"as you may \({settings().jobs_per_session}\)"):
        encode()


def test_what_takes_too_much_memory_is_refused(
    result: Callable[..., ResultFile], flag: StopFlag, monkeypatch: pytest.MonkeyPatch, settings_of_this_test: None
) -> None:
    monkeypatch.setenv("HPINET_JOB_MB", "200")
    with pytest.raises(OptionError, match=r"as AVIF takes 0\.3 GB of memory, and this page has 0\.2 GB"):
        save_in_turn(result("AVIF", size=(3000, 2000)), flag)
    save_in_turn(result("JPEG", size=(3000, 2000)), flag)


def test_nothing_is_made_for_a_visitor_who_is_gone(result: Callable[..., ResultFile], flag: StopFlag) -> None:
    flag.raise_it()
    file = result("AVIF", size=(3000, 2000))
    with pytest.raises(Cancelled):
        save_in_turn(file, flag)
    assert not file.path.exists()
