"""`python -m hpinet benchmark`, a Typer application to be merged into another."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpinet.errors import OptionError
from hpinet.terminal import FAILED

if TYPE_CHECKING:
    from hpinet.benchmark.cases import Case, Measurement

benchmark_app = typer.Typer()


@benchmark_app.command()
def benchmark(
    *,
    variants: Annotated[str, typer.Option(help="Of T, S, M, L, with commas between.")] = "T,S,M",
    scales: Annotated[str, typer.Option(help="Of 2, 3, 4, with commas between.")] = "4",
    sizes: Annotated[str, typer.Option(help="WIDTHxHEIGHT of the pictures, with commas between.")] = "256x256,512x512",
    engines: Annotated[str, typer.Option(help="Of openvino, torch, with commas between.")] = "openvino,torch",
    repeats: Annotated[int, typer.Option(min=1, help="Runs after the warm-up; the median counts.")] = 3,
    peers: Annotated[
        bool, typer.Option("--peers", help="Time other light networks too, with the extra `benchmark`.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="PNG, SVG or PDF file for time and memory against megapixels.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Measure speed and memory on this machine, against what its arithmetic units could do.

    Ratio 1 would be all operations at the rate of a large matrix product. Weights are random: they do not matter here.
    A case that cannot be measured does not stop the others, but makes the exit code 2 unless it is a peer.
    """
    from hpinet.benchmark import report
    from hpinet.benchmark.cases import BenchmarkError
    from hpinet.benchmark.cases import benchmark as measure

    cases = _cases(variants, scales, sizes, engines, peers=peers)
    if plot:
        from hpinet.attribution.figures import check_formats

        check_formats([plot])
    measurements = measure(cases, repeats=repeats, progress=_tell, left_out=_complain)
    if not measurements:
        raise BenchmarkError("Nothing could be measured.")
    if as_json:
        typer.echo(json.dumps([m.to_dict() for m in measurements], indent=2))
    else:
        _print_tables(measurements)
    if plot:
        report.plot(measurements, plot)
    if {case for case in cases if case.engine != "peer"} - {m.case for m in measurements}:
        raise typer.Exit(FAILED)


def _print_tables(measurements: Sequence["Measurement"]) -> None:
    from hpinet import markdown
    from hpinet.benchmark import report
    from hpinet.engines.streaming import PARTS

    typer.echo(markdown.table(report.COLUMNS, report.rows(measurements)))
    typer.echo("\n" + markdown.table(("model", "engine", "input", *PARTS), report.breakdown_rows(measurements)))
    typer.echo(f"\n{report.machine()}")


def _cases(variants: str, scales: str, sizes: str, engines: str, *, peers: bool) -> list["Case"]:
    from hpinet.benchmark.cases import Case
    from hpinet.benchmark.peers import PEERS
    from hpinet.engines import ENGINES
    from hpinet.model import SCALES, VARIANTS

    chosen = _chosen("variants", variants, list(VARIANTS))
    with_scales = [int(scale) for scale in _chosen("scales", scales, [str(scale) for scale in SCALES])]
    with_engines = _chosen("engines", engines, [engine for engine in ENGINES if engine != "auto"])
    shapes = [_size(size) for size in sizes.split(",")]
    cases = [
        Case(variant, scale, height, width, engine)
        for variant in chosen
        for scale in with_scales
        for width, height in shapes
        for engine in with_engines
    ]
    if peers:
        cases += [
            Case(peer, scale, height, width, "peer")
            for peer in PEERS
            for scale in with_scales
            for width, height in shapes
        ]
    return cases


def _chosen(name: str, text: str, possible: list[str]) -> list[str]:
    chosen = [part.strip() for part in text.split(",")]
    if unknown := [part for part in chosen if part not in possible]:
        raise OptionError(f"--{name} must be of {', '.join(possible)}, not {unknown[0]!r}.")
    return chosen


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.strip().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise OptionError(f"--sizes are like 512x512, not {text!r}.")
    return int(width), int(height)


def _tell(done: int, total: int) -> None:
    typer.echo(f"measured {done} of {total}", err=True)


def _complain(message: str) -> None:
    typer.echo(f"Left out: {message}", err=True)
