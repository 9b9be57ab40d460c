"""The benchmark: its figures add up, its cases are checked, one is measured for real."""

import json
import os

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hpinet import markdown
from hpinet.benchmark import cases, peers, report
from hpinet.benchmark.cases import BenchmarkError, Case, Measurement
from hpinet.benchmark.cli import benchmark_app
from hpinet.engines import arithmetic
from hpinet.errors import OptionError
from hpinet.model import variant_config
from hpinet.progress import ignore

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
    ],
)
def test_bad_options_are_named(arguments, message) -> None:
    with pytest.raises(OptionError, match=message):
        CliRunner().invoke(benchmark_app, arguments, catch_exceptions=False)


def test_a_peer_that_cannot_run_is_left_out_by_name(monkeypatch) -> None:
    def fail(case: Case, repeats: int) -> Measurement:
        raise BenchmarkError(f"{case.label} could not be measured: no such module")

    monkeypatch.setattr(cases, "_measure_in_process", fail)
    said: list[str] = []
    assert cases.benchmark([Case("SwinIR-light", 4, 8, 8, "peer")], left_out=said.append) == []
    assert said == ["SwinIR-light×4 peer 8×8 could not be measured: no such module"]
    with pytest.raises(BenchmarkError):
        cases.benchmark([Case("T", 4, 8, 8, "torch")])


@pytest.mark.slow
def test_a_failing_case_says_why(monkeypatch) -> None:
    monkeypatch.setitem(os.environ, "HPINET_MEMORY_MB", "nonsense")
    with pytest.raises(BenchmarkError, match="HPINET_MEMORY_MB must be a number"):
        cases.benchmark([Case("T", 4, 8, 8, "torch")], repeats=1)
