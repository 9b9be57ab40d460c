"""Pieces of work side by side: in order, in bounded number, and over when they are over."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from networks import forward, network, picture, small_config

from hpinet.engines import create_engine, workers
from hpinet.engines.workers import Workers
from hpinet.errors import Cancelled
from hpinet.settings import settings

counts = pytest.mark.parametrize("count", [1, 2, 5])


def collect(workers: Workers, pieces: Iterator[int], task: Callable[[int], object]) -> list[tuple[int, object]]:
    results: list[tuple[int, object]] = []
    workers.each(pieces, task, lambda piece, result: results.append((piece, result)))
    return results


@counts
def test_results_come_in_order_however_long_each_takes(count: int) -> None:
    def task(piece: int) -> int:
        time.sleep(0.01 * (piece % 3))
        return piece**2

    assert collect(Workers(count), iter(range(10)), task) == [(piece, piece**2) for piece in range(10)]
    assert collect(Workers(count), iter([]), task) == []


def test_as_many_at_once_as_there_are_workers() -> None:
    everyone = threading.Barrier(3, timeout=10)
    assert len(collect(Workers(3), iter(range(6)), lambda _: everyone.wait())) == 6


def test_few_results_wait() -> None:
    """Pieces are begun no faster than results are taken."""
    begun: list[int] = []
    waiting: list[int] = []

    def then(piece: int, _: None) -> None:
        time.sleep(0.02)  # time enough to begin everything
        waiting.append(len(begun) - piece)

    Workers(2).each(range(12), begun.append, then)
    assert max(waiting) <= 3


@counts
def test_an_error_ends_the_rest_once_nothing_is_under_way(count: int) -> None:
    running: set[int] = set()
    ended: list[int] = []

    def task(piece: int) -> None:
        running.add(piece)
        if piece == 1:
            raise ValueError("piece 1")
        time.sleep(0.05)
        running.discard(piece)
        ended.append(piece)

    with pytest.raises(ValueError, match="piece 1"):
        collect(Workers(count), iter(range(100)), task)
    assert running == {1}
    assert len(ended) < 10


@counts
def test_whoever_takes_the_results_may_stop(count: int) -> None:
    ended: list[int] = []

    def stop(_piece: int, _: None) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        Workers(count).each(range(100), ended.append, stop)
    now = len(ended)
    assert now <= count + 1
    time.sleep(0.05)
    assert len(ended) == now


def test_shutting_down_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ThreadPoolExecutor(2)
    pool.shutdown()
    monkeypatch.setattr(workers, "_pool", lambda _count, _process: pool)
    with pytest.raises(Cancelled):
        Workers(2).each(range(3), str, lambda _piece, _result: None)


def test_a_worker_has_one_core_and_others_have_all() -> None:
    usual = torch.get_num_threads()
    try:
        assert collect(Workers(4), iter([0]), lambda _: torch.get_num_threads()) == [(0, 1)]
        assert torch.get_num_threads() == 4
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert later == [4]
    finally:
        torch.set_num_threads(usual)


@pytest.fixture
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    usual = torch.get_num_threads()
    monkeypatch.setenv("HPINET_THREADS", str(request.param))
    settings.cache_clear()
    yield request.param
    monkeypatch.undo()
    settings.cache_clear()
    torch.set_num_threads(usual)


@pytest.mark.parametrize("threads", [2, 3], indirect=True)
@pytest.mark.parametrize("name", ["torch", "openvino"])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (31, 47), (70, 64)])
@pytest.mark.usefixtures("threads")
def test_engines_give_the_same_with_any_number_of_threads(name: str, size: tuple[int, int]) -> None:
    """As the network does, and the same bits every time: sums are added up in one order."""
    model, pixels = network(small_config(2)), picture(*size)
    engine = create_engine(model, name=name, device="cpu", memory_mb=1)
    result = engine.upscale(pixels)
    np.testing.assert_allclose(result, forward(model, pixels), rtol=0, atol=1e-5)
    for _ in range(3):
        np.testing.assert_array_equal(engine.upscale(pixels), result)


@pytest.mark.parametrize("threads", [2], indirect=True)
@pytest.mark.parametrize("name", ["torch", "openvino"])
@pytest.mark.usefixtures("threads")
def test_one_engine_takes_several_pictures_at_once(name: str) -> None:
    engine = create_engine(network(small_config(2)), name=name, device="cpu", memory_mb=1)
    pictures = [picture(40, 30 + number, seed=number) for number in range(4)]
    expected = [engine.upscale(pixels) for pixels in pictures]
    results: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda number=number: results.update({number: engine.upscale(pictures[number])}))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        np.testing.assert_array_equal(results[number], expected[number])
