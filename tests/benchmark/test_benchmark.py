"""The benchmark: its figures add up, its cases are checked, one is measured for real."""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hpinet import markdown
from hpinet.benchmark import cases, peers, report, worker
from hpinet.benchmark.cases import BenchmarkError, Case, Measurement
from hpinet.benchmark.cli import benchmark_app
from hpinet.engines import arithmetic
from hpinet.errors import OptionError
from hpinet.model import variant_config
from hpinet.progress import ignore
from hpinet.settings import settings

MEASURED = Measurement(
    case=Case("M", 4, 500, 1000, "openvino"),
    seconds=40.0,
    operations=2e12,
    matmul_rate=1e11,
    peak_mb=700.0,
    first_seconds=45.0,
    eta_error=-0.034,
    parts={"transformer": 30.0, "upsampler": 10.0},
)


def test_derived_figures() -> None:
    assert MEASURED.seconds_per_megapixel == pytest.approx(80)
    assert MEASURED.ratio == pytest.approx(2.0)  # 2 TFLOP at 0.1 TFLOP/s would take 20 s


def test_rows_say_what_was_measured() -> None:
    assert report.rows([MEASURED]) == [
        ("M×4", "openvino", "1000×500", "40.00", "80.0", "50", "100", "2.00", "700", "45.0", "-3 %")
    ]
    assert report.breakdown_rows([MEASURED])[0][-2:] == ("75.0 %", "25.0 %")


def test_markdown_has_a_cell_for_each_column() -> None:
    table = markdown.table(report.COLUMNS, report.rows([MEASURED])).splitlines()
    assert len(table) == 3
    assert {line.count("|") for line in table} == {len(report.COLUMNS) + 1}


def test_plot_is_written(tmp_path) -> None:
    report.plot([MEASURED], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_peer_is_given_the_same_pixels() -> None:
    """As (H, W, 3) in whole grey levels, whatever its network wants and gives."""
    pixels = np.random.default_rng(0).integers(0, 256, (13, 18, 3), np.uint8)
    enlarge = peers._runner(torch.nn.UpsamplingNearest2d(scale_factor=2), pixels, lambda result: result)
    result = enlarge(ignore)
    assert isinstance(result, np.ndarray)
    assert np.array_equal(result[::2, ::2], pixels)


def test_a_peer_works_with_the_threads_of_the_settings(monkeypatch, capsys) -> None:
    monkeypatch.setenv("HPINET_THREADS", "1")
    settings.cache_clear()
    before, threads = torch.get_num_threads(), []
    torch.set_num_threads(2)
    monkeypatch.setitem(peers.PEERS, "a peer", lambda *_: lambda _: threads.append(torch.get_num_threads()))
    monkeypatch.setattr(worker, "MATRIX", 8)
    request = {"case": asdict(Case("a peer", 2, 8, 8, "peer")), "repeats": 1, "started": time.time()}
    monkeypatch.setattr(sys, "argv", ["worker", json.dumps(request)])
    worker.main()
    settings.cache_clear()
    torch.set_num_threads(before)
    assert threads == [1, 1]
    assert json.loads(capsys.readouterr().out)["operations"] is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a program does not begin with its parent's peak")
def test_the_peak_is_not_that_of_a_large_parent(monkeypatch) -> None:
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=2**40))
    assert 50 < worker._peak_mb() < 2**20


@pytest.mark.slow
def test_one_case_for_real() -> None:
    """In a process of its own, through the command, as a user would."""
    arguments = ["--variants", "T", "--sizes", "40x32", "--engines", "torch", "--repeats", "1", "--json"]
    result = CliRunner().invoke(benchmark_app, arguments, catch_exceptions=False)
    (measured,) = json.loads(result.stdout)
    parts = arithmetic(variant_config("T", 4), 32, 40)
    assert measured["operations"] == pytest.approx(parts.total - parts.matching)
    assert measured["case"] == "T×4 torch 40×32"
    assert measured["ratio"] == pytest.approx(measured["seconds"] * measured["matmul_rate"] / measured["operations"])
    assert measured["first_seconds"] > measured["seconds"] > 0
    assert 50 < measured["peak_mb"] < 4000
    assert sum(measured["parts"].values()) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variants", "X"], "--variants must be of T, S, M, L"),
        (["--scales", "5"], "--scales must be of 2, 3, 4"),
        (["--sizes", "12"], "--sizes are like 512x512"),
        (["--engines", "fast"], "--engines must be of torch, openvino"),
        (["--plot", "nowhere/s.png"], "nowhere/s.png cannot be written: there is no such folder"),
        (["--plot", "s.xyz"], "written as .png, .svg, .pdf"),
    ],
)
def test_bad_options_are_named(arguments, message, monkeypatch) -> None:
    monkeypatch.setattr(cases, "_measure_in_process", lambda *_: pytest.fail("the work has begun"))
    with pytest.raises(OptionError, match=message):
        CliRunner().invoke(benchmark_app, arguments, catch_exceptions=False)


def without(variants: set[str]) -> Callable[[Case, int], Measurement]:
    """Measures no such variants, and all others at once."""

    def measure(case: Case, _repeats: int) -> Measurement:
        if case.variant in variants:
            raise BenchmarkError(f"{case.label} could not be measured: no such module")
        return replace(MEASURED, case=case)

    return measure


@pytest.mark.parametrize("plot", [False, True])
def test_a_case_that_fails_is_left_out_by_name(monkeypatch, tmp_path, plot) -> None:
    monkeypatch.setattr(cases, "_measure_in_process", without({"S"}))
    arguments = ["--variants", "T,S", "--sizes", "8x8", "--engines", "torch"]
    result = CliRunner().invoke(
        benchmark_app, [*arguments, *(["--plot", str(tmp_path / "plot.svg")] if plot else [])], catch_exceptions=False
    )
    assert result.exit_code == 2
    assert "| T×4" in result.stdout
    assert "Left out: S×4 torch 8×8 could not be measured: no such module\n" in result.stderr
    assert (tmp_path / "plot.svg").is_file() == plot


def test_a_peer_that_fails_is_no_failure(monkeypatch) -> None:
    monkeypatch.setattr(cases, "_measure_in_process", without(set(peers.PEERS)))
    arguments = ["--variants", "T", "--sizes", "8x8", "--engines", "torch", "--peers"]
    result = CliRunner().invoke(benchmark_app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stderr.count("Left out: ") == len(peers.PEERS)


def test_without_any_figure_there_is_nothing_to_show(monkeypatch) -> None:
    monkeypatch.setattr(cases, "_measure_in_process", without({"T"}))
    with pytest.raises(BenchmarkError, match="Nothing could be measured"):
        CliRunner().invoke(benchmark_app, ["--variants", "T"], catch_exceptions=False)


def test_figures_are_printed_before_they_are_drawn(monkeypatch, tmp_path) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cases, "_measure_in_process", without(set()))
    monkeypatch.setattr(report, "plot", full)
    result = CliRunner().invoke(benchmark_app, ["--variants", "T", "--plot", str(tmp_path / "plot.png")])
    assert isinstance(result.exception, OSError)
    assert "| T×4" in result.stdout


@pytest.mark.slow
def test_a_failing_case_says_why(monkeypatch) -> None:
    monkeypatch.setitem(os.environ, "HPINET_MEMORY_MB", "nonsense")
    said: list[str] = []
    assert cases.benchmark([Case("T", 4, 8, 8, "torch")], repeats=1, left_out=said.append) == []
    assert "HPINET_MEMORY_MB must be a number" in said[0]
