"""Measurements as a table and as a plot."""

import os
import platform
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from hpinet.benchmark.cases import Measurement
from hpinet.engines.machine import cpu_allowance

COLUMNS = ("model", "engine", "input", "seconds", "s/MP", "GFLOP/s", "limit", "ratio", "peak MB", "first s", "ETA")


def machine() -> str:
    """The kind of machine and the day, for the line under a table."""
    return f"{cpu_allowance()} cores of {_processor()}, {platform.system()}, {date.today().isoformat()}"


def rows(measurements: Sequence[Measurement]) -> list[tuple[str, ...]]:
    """Cells of a table under `COLUMNS`: achieved and possible GFLOP/s, their ratio, peak MiB, error of the ETA."""
    return [
        (
            f"{m.case.variant}×{m.case.scale}",
            m.case.engine,
            f"{m.case.width}×{m.case.height}",
            f"{m.seconds:.2f}",
            f"{m.seconds_per_megapixel:.1f}",
            "–" if m.operations is None else f"{m.operations / m.seconds / 1e9:.0f}",
            f"{m.matmul_rate / 1e9:.0f}",
            "–" if m.ratio is None else f"{m.ratio:.2f}",
            f"{m.peak_mb:.0f}",
            f"{m.first_seconds:.1f}",
            "–" if m.eta_error is None else f"{100 * m.eta_error:+.0f} %",
        )
        for m in measurements
    ]


def breakdown_rows(measurements: Sequence[Measurement]) -> list[tuple[str, ...]]:
    """Model, engine, input, then the share of the time that each part of the work takes."""
    shares = []
    for m in (m for m in measurements if m.parts):
        total = sum(m.parts.values())
        label = (f"{m.case.variant}×{m.case.scale}", m.case.engine, f"{m.case.width}×{m.case.height}")
        shares.append((*label, *(f"{100 * seconds / total:.1f} %" for seconds in m.parts.values())))
    return shares


def plot(measurements: Sequence[Measurement], file: Path) -> None:
    """Time and memory against LR megapixels, log-log: a colour for each model, a kind of line for each engine."""
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import FixedLocator, LogLocator, NullLocator  # noqa: PLC0415

    lines: dict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for m in sorted(measurements, key=lambda m: m.case.megapixels):
        lines[f"{m.case.variant}×{m.case.scale}", m.case.engine].append(m)
    models, engines = (list(dict.fromkeys(names)) for names in zip(*lines, strict=True))
    figure = Figure(figsize=(10, 5), layout="constrained")
    for axes, quantity in zip(figure.subplots(1, 2), ("seconds", "peak_mb"), strict=True):
        for (model, engine), line in lines.items():
            axes.loglog(
                [m.case.megapixels for m in line],
                [getattr(m, quantity) for m in line],
                color=f"C{models.index(model)}",
                linestyle=_DASHES[engines.index(engine) % len(_DASHES)],
                marker="o",
                label=f"{model} {engine}",
            )
        axes.set_xlabel("LR megapixels")
        axes.set_ylabel("seconds" if quantity == "seconds" else "peak resident memory, MiB")
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(FixedLocator(sorted({m.case.megapixels for m in measurements})))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(lambda value, _: f"{value:.2g}" if value < 10 else f"{value:.0f}")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(file, dpi=120)


_DASHES = ("-", "--", ":")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or os.name
