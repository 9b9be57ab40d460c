"""What the command line does on a cluster: `upscale --cluster`, and the command `serve`."""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from hpinet.errors import OptionError
from hpinet.terminal import FAILED, INTERRUPTED, bars, complain, tally
from hpinet.wording import size as words
from hpinet.wording import time_left

if TYPE_CHECKING:
    from hpinet.cluster.archive import Summary, Told
    from hpinet.cluster.manifest import Line
    from hpinet.images import MetadataChoice
    from hpinet.plan import TargetSize
    from hpinet.progress import Progress
    from hpinet.treatment import Treatment

TELL_EVERY_SECONDS = 10.0

WorkersOption = Annotated[
    str | None,
    typer.Option(help="Of a cluster, such as 8 or 2-16. Default: as many as there is room for, from 1 up."),
]
WorkerCpusOption = Annotated[int, typer.Option(min=1, help="Of each worker of a cluster.")]
WorkerGpusOption = Annotated[
    float | None, typer.Option(min=0, help="Of each worker of a cluster. Default: 1 if it has any.")
]
WorkerMemoryOption = Annotated[
    int | None, typer.Option(min=500, help="Of each worker of a cluster, in MB. Default: an equal share.")
]


def enlarge_archive(
    inputs: Sequence[str],
    output: str | None,
    cluster: str,
    *,
    model: str,
    size: "TargetSize | None",
    format: str,
    quality: int,
    treatment: "Treatment",
    metadata: "MetadataChoice",
    engine: str | None,
    device: str | None,
    self_ensemble: bool,
    workers: str | None,
    worker_cpus: int,
    worker_gpus: float | None,
    worker_memory: int | None,
) -> None:
    """`python -m hpinet upscale SOURCE --output TARGET --cluster …`, with the options of the local command."""
    from hpinet.cluster.connection import check_installed, connected, workers_of

    check_installed()
    from hpinet.cluster.archive import check_target, run
    from hpinet.cluster.order import Order
    from hpinet.cluster.places import Place

    if len(inputs) != 1 or output is None:
        raise OptionError("With --cluster name one folder or address, and another with --output.")
    source, results = Place.of(inputs[0]), Place.of(output)
    if not source.exists():
        raise OptionError(f"There is no folder {inputs[0]}.")
    check_target(source, results)
    order = Order.of(
        model,
        size,
        format=format,
        quality=quality,
        treatment=treatment,
        metadata=metadata,
        engine=engine,
        device=device,
        self_ensemble=self_ensemble,
    )
    with bars() as bar, connected(cluster), _ending_by_sigterm():
        crew = workers_of(
            workers, cpus=worker_cpus, gpus=0 if device == "cpu" else worker_gpus, megabytes=worker_memory
        )
        teller = _Teller(bar("pictures"))
        try:
            summary = run(order, source, results, crew, looking=bar("headers"), tell=teller.tell, ended=teller.ended)
        except KeyboardInterrupt:
            typer.echo("Stopped; the same command goes on from here.", err=True)
            raise typer.Exit(INTERRUPTED) from None
    _summarise(summary)


@contextmanager
def _ending_by_sigterm() -> Iterator[None]:
    """Within this, a polite kill ends the work as Ctrl+C does. Joining a cluster sets Ray's own way, which aborts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Teller:
    """Results on standard output; how far it is on standard error, as a bar on a terminal and as lines elsewhere."""

    def __init__(self, bar: "Progress") -> None:
        self._bar, self._told = bar, time.monotonic()

    def ended(self, line: "Line") -> None:
        if line.outcome == "done":
            typer.echo(f"{line.target}  {words((line.width, line.height))}, {line.seconds:.1f} s")

    def tell(self, told: "Told") -> None:
        self._bar(told.pictures, told.of)
        if time.monotonic() - self._told > TELL_EVERY_SECONDS and told.pictures < told.of:
            self._told = time.monotonic()
            typer.echo(
                f"{told.pictures} of {told.of}, {told.rate:.2g} pictures a second, {time_left(told.left)} left",
                err=True,
            )


def _summarise(summary: "Summary") -> None:
    """The last lines on standard error, and the exit code."""
    failures = [f"{folder.path}: {folder.reason}" for folder in summary.locked]
    failures += [f"{line.source}: {line.error}" for line in summary.failed]
    for failure in failures:
        complain(failure)
    typer.echo(tally(summary.done, len(failures), summary.skipped), err=True)
    if failures:
        raise typer.Exit(FAILED)


cluster_app = typer.Typer()


@cluster_app.command()
def serve(
    *,
    cluster: Annotated[
        str, typer.Option(metavar="auto|ADDRESS", help="The Ray cluster: that of this machine, or at an address.")
    ],
    host: Annotated[str, typer.Option(envvar="GRADIO_SERVER_NAME", help="Where the page listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="GRADIO_SERVER_PORT", help="At which port.")] = 7860,
    workers: WorkersOption = None,
    worker_cpus: WorkerCpusOption = 1,
    worker_gpus: WorkerGpusOption = None,
    worker_memory: WorkerMemoryOption = None,
) -> None:
    """Serve the page on a Ray cluster, until Ctrl+C. Needs the extra cluster."""
    if sys.platform == "win32":  # the patience of `hpinet.cluster.replicas` is POSIX's
        raise OptionError("The page of a cluster runs on Linux and macOS: start it on a machine with one of them.")
    from hpinet.cluster.connection import check_installed, connected, workers_of

    check_installed()
    from hpinet.cluster import page

    with connected(cluster), _ending_by_sigterm():
        crew = workers_of(workers, cpus=worker_cpus, gpus=worker_gpus, megabytes=worker_memory)
        try:
            page.start(crew, host=host, port=port)
            typer.echo(f"http://{host}:{port}")
            threading.Event().wait()
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        finally:
            page.stop()
