"""All cores at work at once, each on pieces of its own.

That is quicker than to share every single operation among the cores: a piece stays in the cache of its core, nobody
waits for the slowest at the end of each operation, and no OpenMP threads, which spin for milliseconds after a shared
operation, stand in OpenVINO's way.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache
from threading import Barrier
from typing import TypeVar

import torch

from hpinet.errors import Cancelled

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class Workers:
    """``count`` threads, on each of which PyTorch uses one core. Workers of the same count are the same threads.

    So does the thread that calls `each`, until it returns: then PyTorch uses ``count`` cores for what is done there.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def use_all_cores(self) -> None:
        """In this thread, whatever other threads have set: new ones would do as the one that is within `each`."""
        if self.count > 1:
            torch.set_num_threads(self.count)

    def each(
        self, pieces: Iterable[Piece], task: Callable[[Piece], Result], then: Callable[[Piece, Result], None]
    ) -> None:
        """``then(piece, task(piece))`` of all pieces: tasks side by side, ``then`` here and in order of the pieces.

        No more results wait than there are workers, and one. What a task or ``then`` raises ends the rest.
        Raises Cancelled while Python shuts down.
        """
        if self.count == 1:
            for piece in pieces:
                then(piece, task(piece))
            return
        pool = _pool(self.count, os.getpid())
        _use_one_core()
        under_way: deque[tuple[Piece, Future[Result]]] = deque()

        def finish_first() -> None:
            piece, result = under_way.popleft()
            then(piece, result.result())

        try:
            for piece in pieces:
                under_way.append((piece, _submit(pool, task, piece)))
                if len(under_way) > self.count:
                    finish_first()
            while under_way:
                finish_first()
        finally:  # tasks use what the caller is about to free
            wait([future for _, future in under_way if not future.cancel()])
            torch.set_num_threads(self.count)


@lru_cache
def _pool(count: int, process: int) -> ThreadPoolExecutor:  # noqa: ARG001 (a forked process has none of the threads)
    pool = ThreadPoolExecutor(count, "hpinet", initializer=_use_one_core)
    everyone = Barrier(count)
    list(pool.map(lambda _: everyone.wait(), range(count)))
    return pool


def _submit(pool: ThreadPoolExecutor, task: Callable[[Piece], Result], piece: Piece) -> Future[Result]:
    try:
        return pool.submit(_in_inference_mode, task, piece)
    except RuntimeError as error:  # no work is taken on any more
        raise Cancelled from error


def _use_one_core() -> None:
    """In this thread; but later ones would begin so too, if the caller of `each` did not set it right in the end."""
    torch.set_num_threads(1)
    torch.get_num_threads()  # takes effect: without it, the first operation would take over what was set last anywhere


def _in_inference_mode(task: Callable[[Piece], Result], piece: Piece) -> Result:
    with torch.inference_mode():  # of each thread its own
        return task(piece)
