"""Bounds of the README's table hold as they are set.

Those of files, batches and time have tests beside what keeps them: `test_endpoints`, `server/test_storage`, and in
`jobs` `test_batch`, `test_models`, `test_workable` and `test_previews`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

from hpinet.errors import ImageError
from hpinet.images import open_picture
from hpinet.settings import settings
from hpinet.ui.jobs import running
from hpinet.ui.jobs.turns import BusyError, Load, Visitor


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Sets a bound by its variable, for one test."""

    def forget() -> None:
        settings.cache_clear()
        running.turns.cache_clear()

    def bound(name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        forget()

    yield bound
    monkeypatch.undo()
    forget()


def test_largest_picture(bounded: Callable[[str, str], None], tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (200, 101)).save(path)
    bounded("HPINET_MAX_MEGAPIXELS", "0.02")
    with pytest.raises(ImageError, match="megapixel"):
        open_picture(path)
    bounded("HPINET_MAX_MEGAPIXELS", "0.03")
    assert open_picture(path).width == 200


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HPINET_JOBS", "Too many people"),
        ("HPINET_JOBS_PER_SESSION", r"as you may \(2\)"),
        ("HPINET_JOBS_PER_ADDRESS", r"as you may \(2\)"),
    ],
)
def test_jobs_at_once(name: str, words: str, bounded: Callable[[str, str], None]) -> None:
    bounded(name, "2")
    same = {"HPINET_JOBS": ("abc", "xyz"), "HPINET_JOBS_PER_SESSION": ("aaa", "xyz")}.get(name, ("abc", "xxx"))
    with ExitStack() as under_way:
        for number, (session, address) in enumerate(zip(*same, strict=True)):
            job = running.turns().job(Load(Visitor(session, address), 1, 1), stopped=lambda: True)
            if number < 2:
                under_way.enter_context(job)
            else:
                with pytest.raises(BusyError, match=words):
                    under_way.enter_context(job)


def test_memory_of_jobs(bounded: Callable[[str, str], None]) -> None:
    bounded("HPINET_JOBS_MB", "100")
    waited: list[int] = []

    def stopped() -> bool:  # gives up as soon as it was told to wait
        return bool(waited)

    order = running.turns()
    with order.job(Load(Visitor("a"), 60, 1), stopped=stopped):
        assert not waited
        with order.job(Load(Visitor("b"), 60, 1), stopped=stopped, waiting=lambda place: waited.append(place.number)):
            assert waited == [1]
