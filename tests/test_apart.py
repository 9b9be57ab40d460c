"""Enlarging in another process: the same pixels, progress, Stop, errors as they were, and no end that is felt twice."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import psutil
import pytest

from hpinet.apart import Apart, ApartError, Request, ask, carry_out, serve
from hpinet.checkpoints.registry import find
from hpinet.errors import Cancelled, CheckpointError
from hpinet.images import Picture
from hpinet.plan import TargetSize, make_plan, run_plan
from hpinet.progress import Progress, ignore
from hpinet.upscaler import Upscaler


def request_for(seed: int, folder: Path | None = None) -> Request:
    pixels = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)
    info = find("T", scale=2)
    assert info.path is not None
    plan = make_plan((40, 30), TargetSize(scale=2), natives={2})
    return Request({2: folder or info.path}, Picture.from_array(pixels), plan, "clean")


@pytest.mark.parametrize(
    ("progress", "load", "error"),
    [
        (ignore, None, None),
        ("stop", None, Cancelled),
        (ignore, KeyError, RuntimeError),
        (ignore, MemoryError, MemoryError),
    ],
)
def test_both_ends_in_this_process(
    progress: Progress | str, load: type[Exception] | None, error: type[BaseException] | None
) -> None:
    """What is sent and answered, without a process: a defect there arrives as one, whatever it is."""

    def stop(_done: int, _total: int) -> None:
        raise Cancelled

    def broken(_checkpoint: Path, _scale: int) -> Upscaler:
        assert load is not None
        raise load("no such thing")

    request, (here, there) = request_for(1), Pipe()
    serving = threading.Thread(target=serve, args=(there, broken if load else None), daemon=True)
    serving.start()
    with here, pytest.raises(error) if error else nullcontext():
        answer = ask(here, request, stop if isinstance(progress, str) else progress)
        assert answer.result.width == 80
    serving.join(10)
    assert not serving.is_alive()


def test_waiting_for_turns_is_none_of_the_seconds() -> None:
    request, waits = request_for(1), []

    def wait(_done: int, _total: int) -> None:
        waits.append(0.2)
        time.sleep(0.2)

    def upscaler(scale: int) -> Upscaler:
        return Upscaler.load(request.checkpoints[scale], scale=scale, device="cpu")

    carry_out(request.picture, request.plan, upscaler, "clean", ignore)  # which prepares the engine
    began = time.perf_counter()
    answer = carry_out(request.picture, request.plan, upscaler, "clean", wait)
    assert 0 < answer.seconds <= time.perf_counter() - began - sum(waits)


@pytest.mark.slow
def test_all_of_it(tmp_path: Path) -> None:
    apart, calls = Apart(), []
    work = [request_for(seed) for seed in range(3)]
    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(lambda each: apart.run(each, lambda *call: calls.append(call)), work))
    ours = Upscaler.load("T", scale=2)
    for each, answer in zip(work, answers, strict=True):
        expected = run_plan(each.picture, each.plan, lambda _scale: ours)
        assert np.array_equal(answer.result.samples, expected.samples)
    assert answers[0].engine.endswith("CPU")
    assert sum(done == total for done, total in calls) == 3

    def stop(_done: int, _total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        apart.run(work[0], stop)
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        apart.run(request_for(0, tmp_path), ignore)

    def kill(_done: int, _total: int) -> None:
        apart.close()

    with pytest.raises(ApartError, match="The work was ended"):
        apart.run(work[0], kill)
    assert apart.run(work[0], ignore).seconds > 0  # in a new process
    apart.close()


@pytest.mark.slow
def test_it_leaves_with_its_parent() -> None:
    code = (
        "import os, time; from hpinet.apart import Apart; apart = Apart(); apart._ready();"
        "print(apart._process.pid, flush=True); os.fork() or time.sleep(30); os._exit(0)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        child.wait(10)
