"""Scores on benchmark sets, by the protocol of the literature: how close to the truth, compared with bicubic.

The truth is a folder of high-resolution (HR) pictures. What the network is given comes from a folder of low-resolution
(LR) pictures or is made by antialiased bicubic shrinking; it can be degraded besides, as photographs are. Metrics are
those of `hpinet.metrics`, on 8-bit RGB; alpha is left out.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hpinet import markdown
from hpinet.atomic import write_atomically
from hpinet.checkpoints.files import CARD, Score, record_score
from hpinet.checkpoints.registry import catalogue
from hpinet.comparison import reduced, restore, score
from hpinet.errors import ImageError, OptionError
from hpinet.files import find_pictures, open_named
from hpinet.images import Picture
from hpinet.images.degradations import degrade
from hpinet.model import SCALES
from hpinet.progress import Progress, ignore, nth
from hpinet.treatment import Treatment
from hpinet.upscaler import Upscaler

COMPRESSED_QUALITIES = (None, 95, 85, 75, 50, 30)
"""JPEG qualities that tables of compressed pictures have; None is the benchmark as it is."""


@dataclass(frozen=True)
class Scores:
    """PSNR-Y in dB and SSIM-Y of an upscaler, and of bicubic enlargement of the same LR picture."""

    psnr_y: float
    ssim_y: float
    bicubic_psnr_y: float
    bicubic_ssim_y: float


@dataclass(frozen=True)
class ImageScores(Scores):
    """The scores of one picture."""

    name: str


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` measured."""

    benchmark: str  # name of the set
    model: str  # such as "hpinet-t-x4"
    scale: int
    engine: str
    device: str
    images: tuple[ImageScores, ...]  # by name
    degradation: str | None = None  # of the LR pictures, see `hpinet.images.degradations`
    treatment: Treatment = "clean"

    @property
    def mean(self) -> Scores:
        """Mean of each score over the pictures."""
        rows = [[getattr(image, field.name) for field in fields(Scores)] for image in self.images]
        return Scores(*(float(mean) for mean in np.mean(rows, axis=0)))

    def to_dict(self) -> dict[str, Any]:
        """For JSON: ``mean``, ``images`` with their ``name``, and what was measured. An infinite PSNR becomes None."""
        images = [{"name": image.name, **asdict(image)} for image in self.images]
        return _finite({"mean": asdict(self.mean), **asdict(self), "images": images})


@dataclass(frozen=True)
class Pair:
    """A picture to restore and the truth."""

    name: str
    hr: Path
    lr: Path | None  # None: to be made from ``hr``


def evaluate(
    upscaler: Upscaler,
    hr: Path,
    *,
    lr: Path | None = None,
    degradation: str | None = None,
    treatment: Treatment = "clean",
    progress: Progress = ignore,
) -> Evaluation:
    """Restores every picture of a benchmark and scores the results.

    Args:
        upscaler: Its scale is the one measured.
        hr: Folder of the true pictures. The set takes its name, or that of the folder above where it is called HR.
        lr: Folder of the small ones, named like the true ones or with "x" and the scale after the name ("birdx4.png");
            by default they are made by antialiased bicubic.
        degradation: What happens to the small ones before they are enlarged, such as "jpeg-75"; see
            `hpinet.images.degradations.NAMED`.
        treatment: Of the upscaler, which sees the degraded picture as it would a file.
        progress: Called with thousandths of a picture.

    Raises:
        OptionError: a folder has no pictures, or lacks one that the other has; there is no such degradation, or the
            treatment is "photo" and the checkpoint has no levels.
        ImageError: a picture cannot be read, is too small to be scored, or does not have the size its truth asks for.
    """
    pairs = find_pairs(hr, lr, scale=upscaler.scale)
    images = [
        _score(upscaler, pair, degradation, treatment, nth(progress, number, len(pairs)))
        for number, pair in enumerate(pairs)
    ]
    return Evaluation(
        benchmark=benchmark_name(hr),
        model=upscaler.info.name,
        scale=upscaler.scale,
        engine=upscaler.engine.name,
        device=upscaler.engine.device,
        images=tuple(images),
        degradation=degradation,
        treatment=treatment,
    )


def find_pairs(hr: Path, lr: Path | None, *, scale: int) -> list[Pair]:
    """The pictures of a benchmark by name. Small ones of other scales may lie beside those of this one.

    Raises OptionError if there are none, a folder lacks one of the other, or a small one may be of two true ones.
    """
    truths = find_pictures(hr)
    if lr is None:
        return [Pair(truth.stem, truth, None) for truth in truths]
    small = {path.stem: path for path in find_pictures(lr)}
    names = {truth.stem for truth in truths}
    owners: dict[Path, str] = {}  # names of truths by their small ones
    pairs = []
    for truth in truths:
        possible = [f"{truth.stem}x{scale}", truth.stem]
        if possible[0] in names:  # another truth: what is called so may be its small one
            possible.reverse()
        match = next((small[name] for name in possible if name in small), None)
        if match is None:
            raise OptionError(f"{lr} has no picture {' or '.join(possible)}, the small one of {truth.name}.")
        if (owner := owners.setdefault(match, truth.stem)) != truth.stem:
            raise OptionError(f"{match} may be the small one of {owner} or of {truth.stem}: rename one of these.")
        pairs.append(Pair(truth.stem, truth, match))
    for path in small.values():
        name = _ENDING.sub("", path.stem)
        if not names & {name, path.stem}:
            raise OptionError(f"{hr} has no picture {name}, the true one of {path.name}.")
    return pairs


_ENDING = re.compile(f"x[{''.join(map(str, SCALES))}]$")  # of small pictures' names, of any scale


def benchmark_name(hr: Path) -> str:
    """What a folder of true pictures is called: "Set5" for set5/ as well as for Set5/HR/."""
    folder = hr.resolve()
    name = folder.parent.name if folder.name.lower() == "hr" else folder.name
    return name.capitalize() if name.islower() else name


def record(evaluation: Evaluation, checkpoint: Path) -> None:
    """Writes the mean scores into the card of a checkpoint folder. Raises CheckpointError if it has none."""
    mean = evaluation.mean
    record_score(checkpoint, evaluation.benchmark, Score(round(mean.psnr_y, 3), round(mean.ssim_y, 4)))


def evaluate_bundled(hr: Path, *, lr: str | None = None, progress: Progress = ignore) -> list[Evaluation]:
    """Evaluates every checkpoint that is bundled with the package, and records the scores in its card.

    Args:
        hr: As for `evaluate`.
        lr: As for `evaluate`, with ``{scale}`` for the scale: "Set5/LR_bicubic/X{scale}".
        progress: Called with thousandths of a checkpoint.
    """
    bundled = [info.path for info in catalogue() if info.origin == "bundled" and info.path]
    evaluations = []
    for number, path in enumerate(bundled):
        upscaler = Upscaler.load(path)
        small = _small_ones(lr, upscaler.scale)
        evaluation = evaluate(upscaler, hr, lr=small, progress=nth(progress, number, len(bundled)))
        record(evaluation, path)
        evaluations.append(evaluation)
    return evaluations


def _small_ones(lr: str | None, scale: int) -> Path | None:
    return Path(lr.replace("{scale}", str(scale))) if lr else None  # other braces are of the folder's name


def score_table(evaluations: Sequence[Evaluation]) -> str:
    """The mean scores as a Markdown table, beside bicubic's."""
    rows = [
        (
            each.benchmark,
            f"×{each.scale}",
            each.model,
            f"{each.mean.psnr_y:.2f}",
            f"{each.mean.ssim_y:.4f}",
            f"{each.mean.bicubic_psnr_y:.2f} / {each.mean.bicubic_ssim_y:.4f}",
        )
        for each in evaluations
    ]
    header = ("benchmark", "scale", "model", "PSNR-Y (dB)", "SSIM-Y", "bicubic")
    return markdown.table(header, rows, numbers=3)


def write_score_table(document: Path, evaluations: Sequence[Evaluation]) -> None:
    """Puts the table where a Markdown document says ``<!-- scores -->`` … ``<!-- end of scores -->``.

    Raises OptionError if it says so nowhere.
    """
    _write_table(document, "scores", score_table(evaluations))


@dataclass(frozen=True)
class CompressedScores:
    """One checkpoint on JPEGs of one quality."""

    scale: int
    quality: int | None  # None: as the benchmark has them
    untreated: Evaluation
    treated: Evaluation  # by treatment "auto"


def evaluate_compressed(
    hr: Path,
    *,
    lr: str | None = None,
    qualities: Sequence[int | None] = COMPRESSED_QUALITIES,
    progress: Progress = ignore,
) -> list[CompressedScores]:
    """Evaluates every bundled checkpoint that has levels on JPEGs, with and without treatment; arguments as above.

    The table of its scores is written into its card.
    """
    paths = [info.path for info in catalogue() if info.origin == "bundled" and info.path and info.levels]
    found: list[CompressedScores] = []
    for number, path in enumerate(paths):
        upscaler = Upscaler.load(path)
        small = _small_ones(lr, upscaler.scale)
        own: list[CompressedScores] = []
        for part, quality in enumerate(qualities):
            degraded = partial(evaluate, upscaler, hr, lr=small, degradation=f"jpeg-{quality}" if quality else None)
            told = nth(progress, number * len(qualities) + part, len(paths) * len(qualities))
            untreated = degraded(progress=nth(told, 0, 2))
            treated = degraded(treatment="auto", progress=nth(told, 1, 2))
            own.append(CompressedScores(upscaler.scale, quality, untreated, treated))
        write_compressed_table(path / CARD, own)
        found += own
    return found


def compressed_table(scores: Sequence[CompressedScores]) -> str:
    """PSNR-Y by JPEG quality and scale as a Markdown table: of bicubic, and of the model untreated and treated."""
    scales = sorted({each.scale for each in scores})
    at = {(each.quality, each.scale): each for each in scores}
    header = ["JPEG quality"]
    for scale in scales:
        header += [f"×{scale} bicubic", f"×{scale} clean", f"×{scale} auto"]
    rows = []
    for quality in dict.fromkeys(each.quality for each in scores):
        row = ["none" if quality is None else str(quality)]
        for scale in scales:
            untreated, treated = at[quality, scale].untreated.mean, at[quality, scale].treated.mean
            values = (untreated.bicubic_psnr_y, untreated.psnr_y, treated.psnr_y)
            row += [f"{value:.2f}" for value in values]
        rows.append(row)
    return markdown.table(header, rows, numbers=len(header) - 1)


def write_compressed_table(document: Path, scores: Sequence[CompressedScores]) -> None:
    """Puts that table where a Markdown document says ``<!-- jpeg scores -->`` … ``<!-- end of jpeg scores -->``.

    Raises OptionError if it says so nowhere.
    """
    _write_table(document, "jpeg scores", compressed_table(scores))


def _write_table(document: Path, name: str, table: str) -> None:
    begins, ends = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = document.read_text(encoding="utf-8")
    before, opening, rest = text.partition(begins)
    _, closing, after = rest.partition(ends)
    if not closing:
        raise OptionError(f"{document} has no place for scores: write {begins} and {ends} there.")
    write_atomically(document, f"{before}{opening}\n{table}\n{closing}{after}".encode())


def _score(
    upscaler: Upscaler, pair: Pair, degradation: str | None, treatment: Treatment, progress: Progress
) -> ImageScores:
    scale, truth = upscaler.scale, open_named(pair.hr)
    try:
        small = reduced(truth, scale)
    except ImageError as error:
        raise ImageError(f"{pair.hr}: {error}") from error
    if pair.lr is not None:
        width, height = small.width, small.height
        opened = open_named(pair.lr)
        small = Picture(opened.to_8_bit_rgb(), compression=opened.compression)
        if (small.width, small.height) != (width, height):
            raise ImageError(
                f"{pair.lr} has {small.width}×{small.height} pixels; ×{scale} of {pair.hr.name} has {width}×{height}."
            )
    if degradation is not None:
        small = degrade(small.colour, degradation)
    attempts = restore(small, {upscaler.info.name: partial(upscaler, treatment=treatment)}, progress=progress)
    bicubic, restored = score(truth, small, scale, attempts).restored
    return ImageScores(
        name=pair.name,
        psnr_y=restored.psnr_y,
        ssim_y=restored.ssim_y,
        bicubic_psnr_y=bicubic.psnr_y,
        bicubic_ssim_y=bicubic.ssim_y,
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and math.isinf(value) else value
