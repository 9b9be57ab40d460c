"""The process in which one case is measured: reads its request from the command line, prints JSON."""

import json
import resource
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from statistics import median

import numpy as np
import torch

from hpinet.benchmark.cases import Case
from hpinet.benchmark.peers import PEERS
from hpinet.engines import arithmetic, create_engine, use_threads
from hpinet.engines.streaming import Engine
from hpinet.model import HPINet, variant_config
from hpinet.progress import Progress, ignore

Run = Callable[[Progress], object]

MATRIX = 2048  # side of the matrices whose product tells the machine's rate


def main() -> None:
    """Measures what ``sys.argv[1]`` asks for."""
    request = json.loads(sys.argv[1])
    case = Case(**request["case"])
    use_threads()  # peers are timed with as many as engines
    pixels = np.random.default_rng(0).integers(0, 256, (case.height, case.width, 3), np.uint8)
    engine = None if case.engine == "peer" else _engine(case)
    run: Run = (
        PEERS[case.variant](pixels, case.scale)
        if engine is None
        else lambda progress: engine.upscale(pixels, progress=progress)
    )

    run(ignore)
    first = time.time() - request["started"]
    peak = _peak_mb()
    rates, times, etas = [_matmul_rate()], [], []
    with nullcontext({}) if engine is None else engine.breakdown() as parts:
        for _ in range(request["repeats"]):
            eta = _EtaAfterATenth()
            start = time.perf_counter()
            run(eta)
            times.append(time.perf_counter() - start)
            etas.append(eta.error())
            rates.append(_matmul_rate())
    print(
        json.dumps(
            {
                "seconds": median(times),
                "operations": None if engine is None else _operations(engine, case),
                "matmul_rate": median(rates),
                "peak_mb": peak,
                "first_seconds": first,
                "eta_error": None if engine is None else median(error for error in etas if error is not None),
                "parts": {name: seconds / request["repeats"] for name, seconds in parts.items()},
            }
        )
    )


def _peak_mb() -> float:
    """Largest resident memory of this process until now, in MiB."""
    with suppress(OSError, IndexError):  # of Linux alone, where getrusage tells at least what the parent took
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _engine(case: Case) -> Engine:
    torch.manual_seed(0)  # the same weights each time, so that compiled models are found again
    return create_engine(HPINet(variant_config(case.variant, case.scale)), name=case.engine, device="cpu")


def _operations(engine: Engine, case: Case) -> float:
    parts = arithmetic(engine.config, case.height, case.width)
    return parts.total - parts.matching  # which the published figures leave out


def _matmul_rate() -> float:
    a = torch.ones(MATRIX, MATRIX)
    torch.mm(a, a)  # threads wake up
    start = time.perf_counter()
    for _ in range(3):
        torch.mm(a, a)
    return 3 * 2 * MATRIX**3 / (time.perf_counter() - start)


class _EtaAfterATenth:
    """A progress callback that predicts the total time once, when a tenth of the work is done."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._predicted: float | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._predicted is None and done >= total / 10:
            self._predicted = (time.perf_counter() - self._start) * total / done

    def error(self) -> float | None:
        """Relative error of the prediction, now that the work is done."""
        return None if self._predicted is None else self._predicted / (time.perf_counter() - self._start) - 1


if __name__ == "__main__":
    main()
