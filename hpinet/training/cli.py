"""`python -m hpinet train …`, to be mounted as a Typer sub-application. Light to import."""

from pathlib import Path
from typing import Annotated

import typer

train_app = typer.Typer(no_args_is_help=True, help="Train weights on your own pictures.")


@train_app.command("run")
def run_command(
    folder: Annotated[Path, typer.Argument(help="Folder of the run: new, or one to resume.")],
    data: Annotated[list[Path] | None, typer.Option(help="Folder of HR pictures; may be repeated.")] = None,
    validation: Annotated[Path | None, typer.Option(help="Folder of pictures to validate on.")] = None,
    variant: Annotated[str, typer.Option(help="T, S, M or L.")] = "T",
    scale: Annotated[int, typer.Option(help="2, 3 or 4.")] = 4,
    recipe: Annotated[str, typer.Option(help="cpu, paper, or a JSON file.")] = "cpu",
    start_from: Annotated[Path | None, typer.Option(help="Weights of the same variant, of any scale.")] = None,
    time_budget: Annotated[float | None, typer.Option(help="Minutes after which to save and stop.")] = None,
    mixed_precision: Annotated[str, typer.Option(help="no, fp16 or bf16.")] = "no",
    tracker: Annotated[str | None, typer.Option(help="tensorboard, trackio, ...: where to send curves.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where decoded pictures are kept.")] = None,
    save_every: Annotated[int, typer.Option(help="Steps between saves.")] = 200,
    validate_every: Annotated[int, typer.Option(help="Steps between validations.")] = 500,
) -> None:
    """Start a run, or resume the one in FOLDER (then without --data)."""
    from hpinet.training.loop import Options, train
    from hpinet.training.recipes import find_recipe
    from hpinet.training.state import Run

    run = None
    if data:
        run = Run(
            recipe=find_recipe(recipe, variant=variant, scale=scale),
            data=tuple(str(path) for path in data),
            validation=str(validation) if validation else None,
            started_from=str(start_from) if start_from else None,
        )
    options = Options(
        save_every=save_every,
        validate_every=validate_every,
        time_budget=time_budget,
        mixed_precision=mixed_precision,
        tracker=tracker,
        cache=cache,
    )
    outcome = train(folder, run, options=options)
    typer.echo(f"Step {outcome.step}, {'finished' if outcome.finished else 'to be resumed'}.")
