"""`python -m hpinet explain …` and its relatives, a Typer application to be merged into another."""

from pathlib import Path
from typing import Annotated

import typer

from hpinet.errors import OptionError
from hpinet.progress import nth
from hpinet.terminal import bars

attribution_app = typer.Typer()

Model = Annotated[str, typer.Option(help="T, S, M or L, a name such as hpinet-t-x4, a folder, file or Hub repository.")]
Scale = Annotated[int | None, typer.Option(help="2, 3 or 4. Default: 4, or what the weights do.")]
Region = Annotated[int, typer.Option(min=5, help="Side of the part of the picture that is attributed, in its pixels.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of the path integral: 50 as published; 12 for a quick look.")]
Outputs = Annotated[list[Path] | None, typer.Option("--output", "-o", help="PNG, SVG or PDF file; may be repeated.")]


@attribution_app.command()
def explain(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The picture.")],
    *,
    at: Annotated[
        str, typer.Option(metavar="X,Y", help="The spot, in pixels of the picture from its top left corner.")
    ],
    window: Annotated[int, typer.Option(min=1, help="Side of the explained square, in pixels of the result.")] = 16,
    model: Model = "T",
    scale: Scale = None,
    steps: Steps = 50,
    region: Region = 64,
    output: Outputs = None,
) -> None:
    """Show what the network looked at for one spot: attribution map, matched patches, and what they mean.

    The figure lies beside the picture as NAME_explained.png unless --output says otherwise.
    """
    from hpinet.attribution import figures
    from hpinet.attribution.explain import explain as explain_spot
    from hpinet.attribution.explain import in_words
    from hpinet.attribution.lam import BlurPath
    from hpinet.checkpoints.registry import load
    from hpinet.engines import use_device
    from hpinet.images import open_picture

    figures.check_formats(output or [])
    x, y = _spot(at)
    pixels = open_picture(source).to_8_bit_rgb()
    outputs = output or [source.with_name(f"{source.stem}_explained.png")]  # now: what is no file may have no name
    with bars() as bar:
        progress = bar(f"explaining {source.name}")
        network, info = load(model, scale=scale, fetch=True)
        found = explain_spot(
            use_device(network),
            pixels,
            x=x,
            y=y,
            window=window,
            path=BlurPath(steps=steps),
            region=region,
            progress=progress,
        )
    typer.echo("\n".join(in_words(found)))  # now: the figure may find no place
    figure = figures.explanation_figure(found, title=f"{info.name} at ({x}, {y}) of {source.name}")
    for path in outputs:
        figures.save_figure(figure, path)
        typer.echo(path)


@attribution_app.command()
def explain_reach(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The picture; larger than a tile.")],
    *,
    truth: Annotated[Path | None, typer.Option(help="What the result should be, to know what tiling loses.")] = None,
    tile: Annotated[int, typer.Option(min=1, help="Side of a tile, in pixels of the picture.")] = 64,
    overlap: Annotated[int, typer.Option(min=0, help="Context that a tile sees on each side.")] = 10,
    model: Model = "T",
    scale: Scale = None,
    output: Outputs = None,
) -> None:
    """Show how far the network sees, and what it would cost to enlarge the picture in tiles rather than whole.

    The figure lies beside the picture as NAME_reach.png unless --output says otherwise.
    """
    from hpinet.attribution import figures
    from hpinet.attribution.reach import field_in_words, field_of_centre, tiling_cost
    from hpinet.checkpoints.registry import load
    from hpinet.engines import create_engine
    from hpinet.images import open_picture

    figures.check_formats(output or [])
    pixels = open_picture(source).to_8_bit_rgb()
    outputs = output or [source.with_name(f"{source.stem}_reach.png")]  # now: what is no file may have no name
    expected = None if truth is None else open_picture(truth).to_8_bit_rgb()
    with bars() as bar:
        progress = bar(f"enlarging {source.name}")
        network, info = load(model, scale=scale, fetch=True)
        upscale = create_engine(network).upscale
        cost = tiling_cost(
            upscale, pixels, scale=info.scale, tile=tile, overlap=overlap, truth=expected, progress=progress
        )
        field, seen = field_of_centre(network, pixels)
    typer.echo(f"{field_in_words(field)}\n{cost.in_words()}")  # now: the figure may find no place
    figure = figures.reach_figure(field, seen, cost, title=f"{info.name} on {source.name}")
    for path in outputs:
        figures.save_figure(figure, path)
        typer.echo(path)


@attribution_app.command()
def explain_gpa(
    sources: Annotated[list[Path], typer.Argument(metavar="IN...", help="Small pictures, and folders of them.")],
    *,
    model: Model = "M",
    scale: Scale = None,
    spots: Annotated[int, typer.Option(min=1, help="How many of each picture's most detailed spots.")] = 1,
    steps: Steps = 12,
    region: Region = 64,
) -> None:
    """Measure what Global Pixel Access is worth: the diffusion index with it and without, as a Markdown table.

    Pictures that are flat or too small are left out, with a word.
    """
    from hpinet.attribution.ablation import access_effects, to_markdown
    from hpinet.attribution.lam import BlurPath
    from hpinet.checkpoints.registry import load
    from hpinet.engines import use_device
    from hpinet.files import find_pictures, open_named

    files = [file for source in sources for file in (find_pictures(source) if source.is_dir() else [source])]
    are_told_apart = len({file.stem for file in files}) == len(files)
    pictures = {file.stem if are_told_apart else str(file): open_named(file).to_8_bit_rgb() for file in files}
    path = BlurPath(steps=steps)
    effects = []
    with bars() as bar:
        progress = bar("attribution maps")
        network, info = load(model, scale=scale, fetch=True)
        use_device(network)
        for number, (name, pixels) in enumerate(pictures.items()):
            told = nth(progress, number, len(pictures))
            try:
                effects += access_effects(
                    network, pixels, name=name, spots=spots, path=path, region=region, progress=told
                )
            except OptionError as error:
                typer.echo(f"{name} is left out: {error}", err=True)
        progress(1, 1)
    if not effects:
        raise OptionError("None of these pictures has a spot to attribute.")
    typer.echo(f"Diffusion index of {info.name}, {steps} steps, regions of {region}×{region} pixels:\n")
    typer.echo(to_markdown(effects))


def _spot(text: str) -> tuple[int, int]:
    """The coordinates in ``X,Y``. Raises OptionError otherwise."""
    across, comma, down = text.partition(",")
    if not (comma and across.strip().isdecimal() and down.strip().isdecimal()):
        raise OptionError(f"--at takes two whole numbers such as 57,62, not {text!r}.")
    return int(across), int(down)
