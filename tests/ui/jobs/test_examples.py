"""Results of examples that are kept, and what becomes of them where nothing can be."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpinet.plan import Plan, TargetSize
from hpinet.settings import settings
from hpinet.ui.jobs.enlarge import Outcome, Wanted
from hpinet.ui.jobs.examples import FOLDER, cached, remember

PLAN = Plan((128, 96), (256, 192), (2,))
WANTED = Wanted("T", TargetSize(scale=2))
CAT = FOLDER / "cat.png"


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    (tmp_path / "result.png").write_text("pixels")
    return Outcome(tmp_path / "result.png", PLAN, "hpinet-t-x2", "bundled", "torch on cpu", 1.5, 300.0, 51.0)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HPINET_CACHE", str(tmp_path / "cache"))
    settings.cache_clear()
    yield tmp_path / "cache"
    monkeypatch.undo()
    settings.cache_clear()


def test_a_result_is_kept_once(outcome: Outcome, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "second").mkdir()
    assert cached(CAT, PLAN, WANTED, tmp_path) is None
    remember(CAT, WANTED, outcome)
    remember(CAT, WANTED, outcome)
    kept = cached(CAT, PLAN, WANTED, tmp_path / "second")
    assert kept is not None
    assert kept.picture == tmp_path / "second" / "result.png"
    assert kept.picture.read_text() == "pixels"
    assert (kept.seconds, kept.plan) == (1.5, PLAN)
    assert len(list((cache / "examples").iterdir())) == 1
    assert caplog.records == []


def test_other_pictures_are_not_kept(outcome: Outcome, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_text("mine")
    remember(tmp_path / "mine.png", WANTED, outcome)
    assert not cache.exists()


@pytest.mark.usefixtures("cache")
def test_a_cache_that_cannot_be_written_is_no_error(
    outcome: Outcome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be: nobody can write into that, root neither")
    with caplog.at_level(logging.WARNING):
        remember(CAT, WANTED, outcome)
    assert "cannot be kept" in caplog.text
    assert cached(CAT, PLAN, WANTED, tmp_path) is None
