"""`python -m hpinet train …`, a Typer application to be mounted in another."""

import os
from pathlib import Path
from typing import Annotated

import typer

from hpinet.errors import OptionError
from hpinet.terminal import bars

train_app = typer.Typer(no_args_is_help=True, help="Train weights on your own pictures.")

RunFolder = Annotated[Path, typer.Argument(help="Folder of the run.")]
Variant = Annotated[str | None, typer.Option(help="T, S, M or L. Default: T, or what a JSON file says.")]
Scale = Annotated[int | None, typer.Option(help="2, 3 or 4. Default: 4, or what a JSON file says.")]


@train_app.command("run")
def run_command(
    folder: Annotated[Path, typer.Argument(help="Folder of the run: new, or one to resume.")],
    *,
    data: Annotated[list[Path] | None, typer.Option(help="Folder of HR pictures; may be repeated.")] = None,
    validation: Annotated[Path | None, typer.Option(help="Folder of pictures to score the weights on.")] = None,
    variant: Variant = None,
    scale: Scale = None,
    recipe: Annotated[
        str | None, typer.Option(help="cpu, paper, photo-light, photo-strong, or a JSON file. Default: cpu.")
    ] = None,
    start_from: Annotated[str | None, typer.Option(help="A checkpoint of the same variant, of any scale.")] = None,
    time_budget: Annotated[float | None, typer.Option(help="Minutes after which to save and stop.")] = None,
    mixed_precision: Annotated[
        str | None, typer.Option(help="no, fp16 or bf16; kept with the run. Default: no.")
    ] = None,
    tracker: Annotated[str | None, typer.Option(help="Where to send curves: tensorboard, trackio, ...")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where decoded pictures are kept. Default: the folder cache beside the run's.")
    ] = None,
    log_every: Annotated[int, typer.Option(min=1, help="Steps between lines of the log.")] = 50,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between saves.")] = 200,
    validate_every: Annotated[int, typer.Option(min=1, help="Steps between validations.")] = 500,
) -> None:
    """Start a run, or resume the one in FOLDER (without --data, as it was begun). Ctrl+C and SIGTERM save it and stop.

    `accelerate launch -m hpinet.training run …` does the same on several processes, GPUs or machines.
    """
    kept = {
        "--validation": validation,
        "--variant": variant,
        "--scale": scale,
        "--recipe": recipe,
        "--start-from": start_from,
        "--mixed-precision": mixed_precision,
    }
    given = ", ".join(name for name, value in kept.items() if value is not None)
    if given and not data:
        raise OptionError(f"A run is resumed as it was begun: leave {given} away, or begin one with --data.")

    from hpinet.training.loop import Options, train
    from hpinet.training.recipes import find_recipe
    from hpinet.training.state import Run

    run = None
    if data:
        run = Run(
            recipe=find_recipe(recipe or "cpu", variant=variant, scale=scale),
            data=tuple(str(path.resolve()) for path in data),
            validation=str(validation.resolve()) if validation else None,
            started_from=start_from,
            mixed_precision=mixed_precision or "no",
        )
    options = Options(
        log_every=log_every,
        save_every=save_every,
        validate_every=validate_every,
        time_budget=time_budget,
        tracker=tracker,
        cache=cache,
    )
    if int(os.environ.get("RANK", "0")) > 0:  # one of several processes, of which the first speaks for all
        train(folder, run, options=options)
        return
    with bars() as bar:
        outcome = train(folder, run, options=options, decoding=bar("decoding pictures"), progress=bar("steps"))
    score = "" if outcome.psnr is None else f", {outcome.psnr:.3f} dB on the validation pictures"
    typer.echo(f"{folder}: {outcome.step:,} steps{score}{'' if outcome.finished else ', to be resumed'}.")


@train_app.command("cool")
def cool_command(
    source: RunFolder,
    folder: Annotated[Path, typer.Argument(help="New folder, for `train run` to finish.")],
    *,
    steps: Annotated[int | None, typer.Option(min=1, help="Length of the decay, by default the recipe's.")] = None,
) -> None:
    """Branch off a run that ends soon: the learning rate starts to fall at once. SOURCE is left alone."""
    from hpinet.training.state import branch_cooldown

    run = branch_cooldown(source, folder, steps=steps)
    typer.echo(f"{folder}: ends after {run.recipe.steps:,} steps; `train run {folder}` gets it there.")


@train_app.command("crops")
def crops_command(
    *,
    data: Annotated[list[Path], typer.Option(help="Folder of HR pictures; may be repeated.")],
    variant: Variant = None,
    scale: Scale = None,
    recipe: Annotated[str, typer.Option(help="A preset, or a JSON file.")] = "photo-strong",
    step: Annotated[int, typer.Option(min=0, help="The step whose crops to show.")] = 0,
    cache: Annotated[Path, typer.Option(help="Where decoded pictures are kept.")] = Path("runs/cache"),
    output: Annotated[Path, typer.Option(help="Picture to write.")] = Path("crops.png"),
) -> None:
    """Draw sixteen crops of a step as the network gets them, each beside its truth."""
    from hpinet.training.crops import draw_crops
    from hpinet.training.data import open_store
    from hpinet.training.recipes import find_recipe

    what = find_recipe(recipe, variant=variant, scale=scale)
    with bars() as bar:
        store = open_store(data, scale=what.scale, cache=cache, progress=bar("decoding pictures"))
    draw_crops(what, store, output, step=step)
    typer.echo(f"{output} written.")


@train_app.command("plot")
def plot_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of one or more runs.")],
    *,
    output: Annotated[Path, typer.Option(help="Picture to write.")] = Path("curve.png"),
) -> None:
    """Draw the loss and the PSNR of runs over their steps."""
    from hpinet.training.plots import plot

    plot(runs, output)
    typer.echo(f"{output} written.")


@train_app.command("calibrate")
def calibrate_command(
    checkpoint: Annotated[Path, typer.Argument(help="Folder with clean weights, and levels in folders of it.")],
    levels: Annotated[list[str], typer.Argument(help="Names of the levels, from weak to strong.")],
    *,
    data: Annotated[list[Path], typer.Option(help="Folder of pictures, none of a benchmark; may be repeated.")],
    pieces: Annotated[int, typer.Option(min=1, help="Pieces of pictures to try.")] = 24,
    cache: Annotated[Path, typer.Option(help="Where decoded pictures are kept.")] = Path("runs/cache"),
) -> None:
    """Find out which strength of treatment is best at which JPEG quality."""
    from hpinet import markdown
    from hpinet.checkpoints.levels import PARTS
    from hpinet.training.calibration import calibrate

    with bars() as bar:
        scores = calibrate(
            checkpoint,
            levels,
            data=data,
            cache=cache,
            pieces=pieces,
            decoding=bar("decoding pictures"),
            progress=bar("strengths"),
        )
    header = ["quality", *(f"{part / PARTS:g}" for part in range(PARTS * len(levels) + 1))]
    rows = [[str(quality), *(f"{value:.2f}" for value in row)] for quality, row in scores.items()]
    typer.echo(markdown.table(header, rows, numbers=len(header)))


@train_app.command("export")
def export_command(
    run: RunFolder,
    output: Annotated[Path, typer.Argument(help="Checkpoint folder to write or replace.")],
    *,
    benchmark: Annotated[Path | None, typer.Option(help="Folder of true pictures to score the weights on.")] = None,
    benchmark_lr: Annotated[Path | None, typer.Option(help="Folder of the small ones, else made by bicubic.")] = None,
    licence: Annotated[str, typer.Option(help="Hub licence identifier of the weights.")] = "other",
    credits: Annotated[Path | None, typer.Option(help="Markdown file: rights to weights and pictures.")] = None,
    history: Annotated[str, typer.Option(help="A sentence about the weights that training started from.")] = "",
) -> None:
    """Write the weights of a run as a checkpoint with a model card."""
    from hpinet.training.export import export

    text = credits.read_text(encoding="utf-8").strip() if credits else ""
    export(run, output, benchmark=benchmark, benchmark_lr=benchmark_lr, licence=licence, credits=text, history=history)
    typer.echo(f"{output} written.")
