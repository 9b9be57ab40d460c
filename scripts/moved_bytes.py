"""What one picture on several machines would move between them, against what they compute: prints a table.

    python -m scripts.moved_bytes PICTURE... [--model M] [--scale 2] [--size 4000x3000] [--bands 2]

The picture is thought to be cut into bands of rows, one for each machine. Which patches the network finds similar is
measured on the pictures given, seconds on one thread for a piece of them; both are carried over to the size asked for.
"""

import os
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from hpinet.engines.arithmetic import arithmetic, stage_arithmetic
from hpinet.images import open_picture
from hpinet.markdown import table
from hpinet.patches import OVERLAP, patch_grid
from hpinet.settings import settings
from hpinet.upscaler import Upscaler

FLOAT = 4  # bytes


def remote_shares(upscaler: Upscaler, pictures: list[np.ndarray], bands: int) -> list[float]:
    """For each stage, the share of patches whose reference lies in another band; each reference counts once a band."""
    engine = upscaler.engine
    moved, all_patches = np.zeros(len(engine.config.patch_sizes)), np.zeros(len(engine.config.patch_sizes))
    for picture in pictures:
        with engine.choices() as choices:
            engine.upscale(picture)
        for stage, best in enumerate(choices):
            grid = patch_grid(*picture.shape[:2], engine.config.patch_sizes[stage])
            band_of_row = np.arange(len(grid.rows)) * bands // len(grid.rows)
            band = band_of_row[np.arange(grid.count) // len(grid.columns)]
            wanted = {(band[number], reference) for number, reference in enumerate(best.tolist())}
            moved[stage] += sum(band[reference] != asks for asks, reference in wanted)
            all_patches[stage] += grid.count
    return list(moved / all_patches)


def main(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures whose patches are matched.")],
    *,
    model: Annotated[str, typer.Option(help="As for `upscale`.")] = "T",
    scale: int = 2,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT of the one picture.")] = "4000x3000",
    bands: Annotated[int, typer.Option(min=2)] = 2,
    piece: Annotated[int, typer.Option(help="Side of the piece that is timed and matched, in pixels.")] = 384,
) -> None:
    """Print the table, and what it means."""
    os.environ["HPINET_THREADS"] = "1"
    settings.cache_clear()
    width, height = (int(side) for side in size.split("x"))
    upscaler = Upscaler.load(Path(model) if Path(model).exists() else model, scale=scale)
    engine, config = upscaler.engine, upscaler.engine.config
    pieces = [np.ascontiguousarray(open_picture(path).colour[:piece, :piece]) for path in pictures]
    shares = remote_shares(upscaler, [each for each in pieces if each.shape[2] == 3], bands)
    seconds = engine.estimate_seconds(height, width)
    whole = arithmetic(config, height, width)
    weighted = [sum(engine._stage_units(stage, height, width)) for stage in range(len(config.patch_sizes))]
    rest = whole.convolutions + whole.upsampler
    rows, total = [], 0.0
    for stage, (patch, share) in enumerate(zip(config.patch_sizes, shares, strict=True)):
        count = patch_grid(height, width, patch).count
        descriptors = (bands - 1) * count * config.dim * FLOAT
        references = share * count * patch**2 * config.dim * FLOAT
        borders = (bands - 1) * (2 * patch + OVERLAP) * width * config.dim * FLOAT  # patches across, sums back, a halo
        moved = (descriptors + references + borders) / 1e6
        spent = seconds * weighted[stage] / (sum(weighted) + rest) / bands
        total += moved
        told = (f"{stage + 1}", f"{patch}", f"{count:,}", f"{descriptors / 1e6:.0f}", f"{share:.0%}")
        rows.append((*told, f"{references / 1e6:.0f}", f"{borders / 1e6:.0f}", f"{spent:.0f}", f"{moved / spent:.1f}"))
    header = ("stage", "patch", "patches", "descriptors MB", "remote", "references MB", "borders MB", "s each", "MB/s")
    print(table(header, rows, numbers=len(header)))
    operations = sum(sum(stage_arithmetic(config, stage, height, width)) for stage in range(len(rows)))
    print(
        f"\n{upscaler.info.name}, {width}×{height}, {bands} bands: {total / 1000:.1f} GB moved; "
        f"{seconds:.0f} s on one thread, {operations / whole.total:.0%} of the operations in stages; "
        f"at 1 Gbit/s all of it takes {total / 125 / bands:.0f} s each, at 10 Gbit/s {total / 1250 / bands:.0f} s."
    )


if __name__ == "__main__":
    typer.run(main)
