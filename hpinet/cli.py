"""The command line: `python -m hpinet …` and `hpinet …`.

Results go to standard output, progress bars and complaints to standard error. What a user gets wrong is one line there
and exit code 2; Ctrl+C is exit code 130. Heavy imports are inside the commands, so that ``--help`` is quick.
"""

import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpinet import wording
from hpinet.attribution.cli import attribution_app
from hpinet.benchmark.cli import benchmark_app
from hpinet.cluster.cli import (
    WorkerCpusOption,
    WorkerGpusOption,
    WorkerMemoryOption,
    WorkersOption,
    cluster_app,
    enlarge_archive,
)
from hpinet.errors import HPINetError, OptionError
from hpinet.paths import path_of, plain_name
from hpinet.progress import Progress
from hpinet.settings import EngineName
from hpinet.terminal import FAILED, bars, complain, print_table, run, tally
from hpinet.training.cli import train_app
from hpinet.version import __version__

if TYPE_CHECKING:
    from hpinet.checkpoints.registry import CheckpointInfo
    from hpinet.evaluation import Evaluation
    from hpinet.files import Existing, Failure, Job, Skipped
    from hpinet.images import MetadataChoice
    from hpinet.plan import TargetSize
    from hpinet.treatment import Treatment
    from hpinet.upscaler import Upscaler


app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # drawing the help with Rich takes longer than everything else that it does
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Commands that other parts of the package define:
app.add_typer(attribution_app)
app.add_typer(benchmark_app)
app.add_typer(cluster_app)
app.add_typer(train_app, name="train")


class TreatmentName(Enum):
    """Choices of --treatment."""

    auto = "auto"
    photo = "photo"
    clean = "clean"


class MetadataName(Enum):
    """Choices of --metadata."""

    drop = "drop"
    keep = "keep"
    keep_all = "keep-all"


class ExistingName(Enum):
    """Choices of --existing."""

    replace = "replace"
    skip = "skip"
    fail = "fail"


ModelOption = Annotated[
    str | None,
    typer.Option(help="T, S, M or L, a name such as hpinet-t-x4, or a Hub repository owner/name@revision. Default: T."),
]
WeightsOption = Annotated[
    Path | None, typer.Option(help="Checkpoint folder, .safetensors or published .pth file to use instead.")
]
EngineOption = Annotated[EngineName | None, typer.Option(help="What runs the network. Default: HPINET_ENGINE or auto.")]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N. Default: HPINET_DEVICE or auto.")]
EnsembleOption = Annotated[
    bool, typer.Option("--self-ensemble", help="Average over 8 flips and turns: slightly better, 8 times the work.")
]
TreatmentOption = Annotated[
    TreatmentName,
    typer.Option(
        help="Of compression: clean does nothing, auto as much as the picture asks for, photo something in any case."
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        metavar="auto|ADDRESS", help="A Ray cluster to work on: the one of this machine, or that at an address."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]

Loader = Callable[[str | Path, int | None], "Upscaler"]


def main() -> None:
    """Runs the command line of this process."""
    run(app, name="hpinet")


@app.callback(invoke_without_command=True)
def about(
    context: typer.Context, *, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """HPINet makes small pictures large."""
    if version:
        typer.echo(f"hpinet {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


# ------------------------------------------------------------------------------------------------------- upscale


@app.command()
def upscale(
    inputs: Annotated[list[str], typer.Argument(help="Pictures, folders with all that is in them, or patterns.")],
    *,
    scale: Annotated[int | None, typer.Option(help="How many times larger. Default: 4, or what --weights do.")] = None,
    longest_side: Annotated[int | None, typer.Option(help="Of the results, in pixels, instead of a scale.")] = None,
    width: Annotated[int | None, typer.Option(help="Of the results, in pixels, instead of a scale.")] = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="File or folder. Default: beside each picture.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="png, jpeg, webp, tiff or avif. Default: that of --output, else png.")
    ] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of jpeg, webp and avif.")] = 90,
    treatment: TreatmentOption = TreatmentName.auto,
    metadata: Annotated[
        MetadataName,
        typer.Option(help="Of EXIF, XMP, IPTC; keep: all but places, serial numbers and makers' notes."),
    ] = MetadataName.drop,
    existing: Annotated[
        ExistingName, typer.Option(help="What if a result is there already; skip: if it has the right size.")
    ] = ExistingName.replace,
    engine: EngineOption = None,
    device: DeviceOption = None,
    self_ensemble: EnsembleOption = False,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
    worker_cpus: WorkerCpusOption = 1,
    worker_gpus: WorkerGpusOption = None,
    worker_memory: WorkerMemoryOption = None,
) -> None:
    """Enlarge pictures.

    Results lie beside the pictures as NAME_x4_hpinet-t.png, those of weights in a folder "mine" as
    NAME_x4_hpinet-mine.png. In an output folder they keep names and subfolders.
    A size in pixels is reached by the next larger scale and an antialiased reduction.
    Weights that are not on this machine are fetched.

    A picture that fails does not stop the others, but makes the exit code 2.

    With --cluster the one input is a folder, or an address such as s3://bucket/scans, and so is --output. Its
    manifest.parquet says what became of each picture; the same command again goes on where it was.
    """
    from hpinet.files import Failure, Skipped, assign, gather, is_file_name
    from hpinet.images import format_of
    from hpinet.plan import TargetSize

    request = None
    if (scale, longest_side, width) != (None, None, None):
        request = TargetSize(scale=scale, longest_side=longest_side, width=width)
    if cluster is None and (workers, worker_cpus, worker_gpus, worker_memory) != (None, 1, None, None):
        raise OptionError("Workers are of a cluster: name it with --cluster.")
    if cluster is not None:
        if existing is not ExistingName.replace:
            raise OptionError("With --cluster the manifest says what is done: leave --existing away.")
        source = _source(model, weights)
        enlarge_archive(
            inputs,
            output,
            cluster,
            model=str(path_of(source).resolve() if isinstance(source, Path) else source),
            size=request,
            format=format_of(format or "png"),
            quality=quality,
            treatment=treatment.value,
            metadata=metadata.value,
            engine=engine,
            device=device,
            self_ensemble=self_ensemble,
            workers=workers,
            worker_cpus=worker_cpus,
            worker_gpus=worker_gpus,
            worker_memory=worker_memory,
        )
        return
    place = None if output is None else path_of(output)
    into_file = place is not None and is_file_name(place)
    if place and into_file and format and format_of(format) != format_of(place):
        raise OptionError(f"{place} is no name of a {format} file: leave --format away, or change one of them.")
    format = format_of(format or (place if place and into_file else "png"))
    found, skipped, failures = gather(inputs, output=None if into_file else place)
    if into_file and len(found) > 1:
        raise OptionError(f"{place} is one file, and there are {len(found)} pictures: name a folder.")
    done = 0
    if found:
        with bars() as bar:
            fetching = bar("fetching weights")
            load = _loader(engine, device, self_ensemble=self_ensemble, progress=fetching)
            shelf = _shelf(_source(model, weights), load, request, progress=fetching)
            for job in _counted(assign(found, output=place, format=format), bar("pictures")):
                undone = _enlarge(
                    job,
                    shelf,
                    format=format,
                    quality=quality,
                    treatment=treatment.value,
                    metadata=metadata.value,
                    existing=existing.value,
                    progress=bar(job.source.name),
                )
                failures += [undone] if isinstance(undone, Failure) else []
                skipped += [undone] if isinstance(undone, Skipped) else []
                done += undone is None
    _summarise(done, skipped, failures)


def _source(model: str | None, weights: Path | None) -> str | Path:
    """What --model and --weights mean together. Raises OptionError where they contradict each other."""
    from hpinet.checkpoints.registry import find

    if weights is None:
        return model or "T"
    info = find(weights)
    if model and model.lower() not in (info.variant.lower(), info.name):
        raise OptionError(f"{weights} holds weights of {info.name}, not of {model}.")
    return weights


def _loader(engine: EngineName | None, device: str | None, *, self_ensemble: bool, progress: Progress) -> Loader:
    """Loads a model at a scale in the engine that the options ask for, fetching what is missing."""
    from hpinet.upscaler import Upscaler

    def load(source: str | Path, scale: int | None) -> Upscaler:
        return Upscaler.load(
            source,
            scale=scale,
            engine=engine,
            device=device,
            self_ensemble=self_ensemble,
            fetch=True,
            progress=progress,
        )

    return load


@dataclass(frozen=True)
class _Shelf:
    """The upscalers of one model, and what they are asked for."""

    request: "TargetSize"
    natives: tuple[int, ...]
    upscaler: Callable[[int], "Upscaler"]  # of a native scale
    label: str  # in names of results


def _shelf(source: str | Path, load: Loader, request: "TargetSize | None", *, progress: Progress) -> _Shelf:
    """The upscalers of a model, each loaded the first time a picture needs it; those that all need at once."""
    from hpinet.checkpoints.registry import DEFAULT_SCALE, find, native_scales
    from hpinet.plan import TargetSize, make_plan

    natives = native_scales(source, fetch=True, progress=progress)
    request = request or TargetSize(scale=DEFAULT_SCALE if DEFAULT_SCALE in natives else natives[0])
    upscaler = cache(partial(load, source))
    needed = natives if len(natives) == 1 else ()
    if request.scale:
        needed = make_plan((1, 1), request, natives=natives).passes
    for native in needed:  # what is wrong with the model is said once, not once for each picture
        upscaler(native)
    return _Shelf(request, natives, upscaler, _label(source, find(source, scale=natives[0])))


def _label(source: str | Path, info: "CheckpointInfo") -> str:
    """What names of results call a model: by its own name, or by the file, folder or repository of other weights.

    So that results of these do not replace that model's, as weights without a name of their own would make them do.
    """
    from hpinet.checkpoints.files import WEIGHTS
    from hpinet.model import VARIANTS

    if info.origin not in ("hub", "path"):
        return info.name
    assert info.path is not None
    assert info.sha256 is not None
    path = info.path.absolute()
    place = path.parent.name if path.name == WEIGHTS else path.stem if path.is_file() else path.name
    called = str(source) if info.origin == "hub" else place  # the Hub's folders are called after commits
    own = plain_name(called.lower()).removeprefix("hpinet-")
    if re.sub(r"-x\d+$", "", own).upper() in ("", *VARIANTS):
        own = f"{info.variant.lower()}-{info.sha256[:8]}"
    return f"hpinet-{own}"


def _enlarge(
    job: "Job",
    shelf: _Shelf,
    *,
    format: str,
    quality: int,
    treatment: "Treatment",
    metadata: "MetadataChoice",
    existing: "Existing",
    progress: Progress,
) -> "Failure | Skipped | None":
    """One picture from file to file; what went wrong, if anything did, or that nothing was to be done."""
    from hpinet.files import DONE, AlreadyDone, Failure, Skipped, enlarge_file
    from hpinet.plan import make_plan, run_plan
    from hpinet.treatment import examine

    began = time.perf_counter()
    try:
        done = enlarge_file(
            job.source,
            plan=lambda size: make_plan(size, shelf.request, natives=shelf.natives),
            run=lambda picture, plan: run_plan(picture, plan, shelf.upscaler, treatment=treatment, progress=progress),
            target=lambda plan: job.target(plan, shelf.label, existing),
            format=format,
            quality=quality,
            metadata=metadata,
        )
    except AlreadyDone:
        return Skipped(job.source, DONE)
    except (HPINetError, OSError) as error:
        return Failure(str(job.source), str(error))
    finally:
        progress(1, 1)
    facts = [wording.size(done.plan.target), f"{time.perf_counter() - began:.1f} s"]
    found = None if treatment == "clean" else examine(done.source)
    if shelf.upscaler(done.plan.passes[0]).info.strength(found, treatment):
        facts.append(f"treated as {found or 'a photograph'}")
    typer.echo(f"{done.target}  {', '.join(facts)}")
    for note in done.source.notes:
        typer.echo(f"{job.source}: {note}", err=True)
    return None


def _summarise(done: int, skipped: Sequence["Skipped"], failures: Sequence["Failure"]) -> None:
    """The last lines on standard error, and the exit code."""
    for failure in failures:
        complain(f"{failure.path}: {failure.reason}")
    names: defaultdict[str, list[str]] = defaultdict(list)
    for each in skipped:
        names[each.reason].append(each.path.name)
    typer.echo(tally(done, len(failures), names), err=True)
    if failures:
        raise typer.Exit(FAILED)


# ------------------------------------------------------------------------------------------------------- weights


@app.command()
def models(*, as_json: JsonOption = False) -> None:
    """List the models there are."""
    from hpinet.checkpoints.registry import catalogue

    known = catalogue()
    if as_json:
        _print_json([_info_to_dict(info) for info in known])
        return
    rows = [
        (
            info.own_name or info.name,
            info.origin,
            f"{info.parameters:,}",
            "" if info.psnr_set5 is None else f"{info.psnr_set5:.2f}",
            "" if info.size is None else f"{info.size / 1e6:.1f}",
            str(info.path or f"python -m hpinet fetch {info.variant} --scale {info.scale}"),
        )
        for info in known
    ]
    print_table(("model", "origin", "parameters", "Set5 dB", "MB", "where"), rows)


@app.command()
def fetch(
    source: Annotated[
        str | None, typer.Argument(help="S, M or L, a name such as hpinet-m-x4, or a Hub repository owner/name@commit.")
    ] = None,
    *,
    scale: Annotated[int | None, typer.Option(help="2, 3 or 4. Default: 4, and with --all each.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that the authors publish.")] = False,
) -> None:
    """Fetch weights from the authors or the Hub.

    They are verified and kept, so that they work offline from then on.
    """
    from hpinet.checkpoints import registry

    if everything == (source is not None):
        raise OptionError("Name a model to fetch, or give --all.")
    wanted = [(source or "", scale)]
    if everything:
        wanted = [(variant, its_scale) for variant, its_scale in registry.PUBLISHED if scale in (None, its_scale)]
        if not wanted:
            raise OptionError(f"The authors publish no weights for ×{scale}.")
    failed = False
    with bars() as bar:
        for variant, its_scale in wanted:
            try:
                info = registry.fetch(variant, its_scale, progress=bar(variant))
            except registry.CheckpointError as error:
                failed = True
                complain(str(error))
            else:
                typer.echo(f"{info.name}  {info.path}")
    if failed:
        raise typer.Exit(FAILED)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="Published .pth or lone .safetensors file.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Checkpoint folder to make.")],
) -> None:
    """Turn a weights file into a checkpoint folder."""
    from hpinet.checkpoints import registry

    info = registry.convert(source, output)
    typer.echo(f"{info.name}  {info.path}")
    typer.echo(f"SHA-256 of {source.name}: {registry.file_sha256(source)}")
    typer.echo(f"SHA-256 of the converted weights: {info.sha256}")


@app.command()
def export(
    target: Annotated[Path, typer.Argument(help="The .onnx file to write.")],
    *,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT of the pictures that it will take.")],
    scale: Annotated[int | None, typer.Option(help="2, 3 or 4. Default: 4, or what --weights do.")] = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
) -> None:
    """Write a network as an ONNX file for pictures of one size, and try it in onnxruntime. Needs the extra export."""
    from hpinet.checkpoints import registry
    from hpinet.integrations.onnx import export_onnx

    width, times, height = size.partition("x")
    if not (times and width.isdecimal() and height.isdecimal()):
        raise OptionError(f"--size is like 256x256, not {size!r}.")
    if target.suffix != ".onnx":
        raise OptionError(f"{target} must end with .onnx.")
    with bars() as bar:
        source = _source(model, weights)
        network, info = registry.load(source, scale=scale, fetch=True, progress=bar("fetching weights"))
    difference = export_onnx(network, target, height=int(height), width=int(width))
    typer.echo(f"{target}  {info.name} for {width}x{height}, within {difference:.1g} of PyTorch in onnxruntime")


# ---------------------------------------------------------------------------------------------------- evaluation


@app.command()
def evaluate(
    hr_dir: Annotated[Path, typer.Argument(help="Folder of the true pictures.")],
    *,
    lr: Annotated[
        Path | None, typer.Option(help="Folder of the small ones, NAMEx4.* or NAME.*. Default: made by bicubic.")
    ] = None,
    scale: Annotated[int | None, typer.Option(help="2, 3 or 4. Default: 4, or what --weights do.")] = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    self_ensemble: EnsembleOption = False,
    jpeg: Annotated[
        int | None, typer.Option(min=1, max=100, help="Save the small ones as JPEG of this quality first.")
    ] = None,
    degradation: Annotated[
        str | None,
        typer.Option(help="What else to do to them: webp-80, noise-3, ... A wrong name lists all."),
    ] = None,
    treatment: TreatmentOption = TreatmentName.clean,
    record: Annotated[bool, typer.Option("--record", help="Write the means into the card of the checkpoint.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure PSNR and SSIM on a benchmark.

    Both are of the luminance, by the protocol of the literature, and stand beside those of bicubic enlargement.
    """
    from hpinet import evaluation
    from hpinet.checkpoints.files import require_card

    if jpeg and degradation:
        raise OptionError("Choose one of --jpeg and --degradation.")
    if record and (jpeg or degradation or self_ensemble or treatment is not TreatmentName.clean):
        raise OptionError(
            "Cards record what the network alone makes of clean pictures: leave --record away, or --jpeg, "
            "--degradation, --self-ensemble and --treatment."
        )
    with bars() as bar:
        load = _loader(engine, device, self_ensemble=self_ensemble, progress=bar("fetching weights"))
        upscaler = load(_source(model, weights), scale)
        place = upscaler.info.path
        assert place is not None  # it was just loaded from there
        if record:
            require_card(place)  # what cannot be recorded is said before the work
        result = evaluation.evaluate(
            upscaler,
            hr_dir,
            lr=lr,
            degradation=f"jpeg-{jpeg}" if jpeg else degradation,
            treatment=treatment.value,
            progress=bar(upscaler.info.name),
        )
    if as_json:
        _print_json(result.to_dict())
    else:
        _print_evaluation(result)
    if record:
        evaluation.record(result, place)


def _print_evaluation(result: "Evaluation") -> None:
    rows = [(image.name, image) for image in result.images] + [("mean", result.mean)]
    print_table(
        (f"{result.benchmark} ×{result.scale}", "bicubic dB", "SSIM", f"{result.model} dB", "SSIM"),
        [
            (
                name,
                f"{scores.bicubic_psnr_y:.2f}",
                f"{scores.bicubic_ssim_y:.4f}",
                f"{scores.psnr_y:.2f}",
                f"{scores.ssim_y:.4f}",
            )
            for name, scores in rows
        ],
    )


# ----------------------------------------------------------------------------------------------------------- hub


@app.command()
def deploy(
    space: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The Space: new, or one to update.")],
    *,
    hardware: Annotated[str | None, typer.Option(help="zero-a10g, cpu-basic, ... Default: as it is.")] = None,
    private: Annotated[bool, typer.Option("--private", help="If it is new, show it to nobody else.")] = False,
    variable: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A setting such as HPINET_MAX_MEGAPIXELS=12; repeat.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files, check the card, and stop.")] = False,
) -> None:
    """Deploy the page as a Hugging Face Space, from a clone; wait until it runs, and try it. Needs `hf auth login`."""
    from hpinet import space as spaces

    variables = {name: value for name, _, value in (pair.partition("=") for pair in variable or [])}
    if not all(variables.values()):
        raise OptionError("A variable is given as NAME=VALUE.")
    upload = spaces.prepare()
    if dry_run:
        for path in upload.paths:
            typer.echo(path)
        typer.echo(f"{len(upload.paths)} files, {upload.total_bytes / 1e6:.1f} MB; the card is in order.")
        return
    _only_bars_on_terminals()
    typer.echo(spaces.deploy(space, upload, hardware=hardware, private=private, variables=variables))


@app.command()
def publish(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint folder, with its card.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="On the Hub: new, or one to update.")],
    *,
    private: Annotated[bool, typer.Option("--private", help="If it is new, show it to nobody else.")] = False,
) -> None:
    """Put a checkpoint on the Hub; `--model OWNER/NAME` reads it back. Needs `hf auth login`."""
    from hpinet.checkpoints.hub import publish_folder

    _only_bars_on_terminals()
    typer.echo(publish_folder(checkpoint, repository, private=private))


def _only_bars_on_terminals() -> None:
    """Keeps the Hub's own progress bars out of files and pipes."""
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()


# -------------------------------------------------------------------------------------------------------- output


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def _info_to_dict(info: "CheckpointInfo") -> dict[str, Any]:
    path = None if info.path is None else str(info.path)
    return {"name": info.name, **asdict(info), "path": path, "installed": info.installed}


def _counted(jobs: Sequence["Job"], progress: Progress) -> Iterator["Job"]:
    """The jobs one by one, with progress over all of them where there are several."""
    for number, job in enumerate(jobs):
        if len(jobs) > 1:
            progress(number, len(jobs))
        yield job
    progress(len(jobs), len(jobs))
