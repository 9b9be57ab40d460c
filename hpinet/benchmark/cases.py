"""What is measured, each case in a process of its own so that its peak memory is its own too."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from hpinet.errors import HPINetError
from hpinet.progress import Progress, ignore


class BenchmarkError(HPINetError):
    """A case could not be measured."""


@dataclass(frozen=True)
class Case:
    """One thing to time: a model's engine on one size of picture. Weights are random: they do not change the time."""

    variant: str  # T, S, M, L, or the name of a peer
    scale: int
    height: int  # LR pixels
    width: int
    engine: str  # torch or openvino; "peer" for other people's networks

    @property
    def megapixels(self) -> float:
        """LR megapixels (10⁶ pixels)."""
        return self.height * self.width / 1e6

    @property
    def label(self) -> str:
        """Such as ``M×4 openvino 512×512``."""
        return f"{self.variant}×{self.scale} {self.engine} {self.width}×{self.height}"


@dataclass(frozen=True)
class Measurement:
    """What came out. Times are medians over the repeats."""

    case: Case
    seconds: float  # one picture
    operations: (
        float | None
    )  # floating-point operations by `hpinet.engines.arithmetic`, matching left out; None for peers
    matmul_rate: float  # operations a second of a large float32 matrix product, measured between the repeats
    peak_mb: float  # largest resident memory of the process, MiB: Python, libraries, weights and all
    first_seconds: float  # from the start of the process to its first result at this size
    eta_error: float | None  # of the total time, predicted after a tenth of the work: 0.1 is 10 % too long
    parts: dict[str, float]  # seconds by part of the work

    @property
    def seconds_per_megapixel(self) -> float:
        """Seconds per LR megapixel."""
        return self.seconds / self.case.megapixels

    @property
    def ratio(self) -> float | None:
        """Time over the time all operations would take at the matrix-product rate: 1 is perfect. None for peers."""
        return None if self.operations is None else self.seconds * self.matmul_rate / self.operations

    def to_dict(self) -> dict[str, Any]:
        """For JSON, derived figures included."""
        derived = {"seconds_per_megapixel": self.seconds_per_megapixel, "ratio": self.ratio}
        return {**asdict(self.case), **asdict(self), **derived} | {"case": self.case.label}


def benchmark(
    cases: Iterable[Case], *, repeats: int = 3, progress: Progress = ignore, left_out: Callable[[str], None] = print
) -> list[Measurement]:
    """Measures the cases one after the other; ``progress`` counts them.

    One that cannot be measured is left out, and ``left_out`` told why.
    """
    cases = list(cases)
    measured = []
    for number, case in enumerate(cases):
        progress(number, len(cases))
        try:
            measured.append(_measure_in_process(case, repeats))
        except BenchmarkError as error:
            left_out(str(error))
    progress(len(cases), len(cases))
    return measured


def _measure_in_process(case: Case, repeats: int) -> Measurement:
    request = json.dumps({"case": asdict(case), "repeats": repeats, "started": time.time()})
    command = [sys.executable, "-W", "ignore", "-m", "hpinet.benchmark.worker", request]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or "it was killed").splitlines()[-1]
        raise BenchmarkError(f"{case.label} could not be measured: {reason}")
    return Measurement(case=case, **json.loads(done.stdout.splitlines()[-1]))
