"""What to train and how, as plain data: a `Recipe` is all that decides the weights, besides the pictures."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from hpinet.errors import OptionError
from hpinet.model import SCALES, VARIANTS, HPINetConfig, variant_config
from hpinet.training.degradation import Degradation

Loss = Literal["l1", "l2", "smooth_l1"]
Shape = Literal["cosine", "wsd", "halving"]
OptimizerName = Literal["adamw", "soap"]


@dataclass(frozen=True)
class Phase:
    """A stretch of the curriculum with crops of one size. Raises ValueError if it cannot work.

    The batch is cut into micro-batches, which the processes share out evenly, each accumulating gradients over its own.
    Random numbers belong to a micro-batch, so that results do not depend on the number of processes.
    """

    steps: int  # optimiser steps
    crop: int  # side of the square LR crops, in pixels; the HR crop is `scale` times larger
    batch: int  # crops a step, all processes together
    micro_batch: int  # crops in one forward pass; divides the batch
    patch_sizes: tuple[int, ...] | None = None  # a size for each stage instead of the variant's own; not in the weights
    loss: Loss = "l1"
    frequencies: float = 0.0  # weight of the L1 distance of the orthonormal Fourier transforms, added to the loss
    importance: float = 0.0  # 0: even draws; up to 1: detailed crops more often, for as much less; see `CropSampler`
    degradation: Degradation | None = None  # of the LR crops, which otherwise are clean

    def __post_init__(self) -> None:
        if isinstance(self.degradation, dict):
            object.__setattr__(self, "degradation", Degradation(**self.degradation))  # from JSON
        if self.patch_sizes is not None:
            object.__setattr__(self, "patch_sizes", tuple(self.patch_sizes))  # JSON gives a list
        if min(self.steps, self.crop, self.batch) < 1:
            raise ValueError("A phase needs at least one step, one pixel of crop and one crop a step.")
        if self.micro_batch < 1 or self.batch % self.micro_batch:
            raise ValueError(f"micro_batch must divide the batch of {self.batch}, not be {self.micro_batch}.")
        if not 0 <= self.importance <= 1:
            raise ValueError(f"importance must be from 0 to 1, not {self.importance!r}.")
        if self.frequencies < 0:
            raise ValueError(f"frequencies must be at least 0, not {self.frequencies!r}.")
        if self.loss not in get_args(Loss):
            raise ValueError(f"loss must be one of {get_args(Loss)}, not {self.loss!r}.")


@dataclass(frozen=True)
class Schedule:
    """Learning rate over the whole run, after a linear warm-up. Raises ValueError if it cannot work.

    - ``cosine`` falls along half a cosine to zero at the last step: the best end, but only that end is good.
    - ``wsd`` (warm-up, stable, decay) stays at the peak and falls linearly over the last ``decay`` steps. While it is
      stable, `Recipe.cooled` branches off finished weights at any time, and the run itself goes on.
    - ``halving`` halves every ``decay`` steps.
    """

    shape: Shape
    peak: float
    warmup: int = 0  # steps
    decay: int = 0  # steps; see above

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise ValueError(f"shape must be one of {get_args(Shape)}, not {self.shape!r}.")
        if self.peak <= 0 or self.warmup < 0 or self.decay < 0 or (self.shape == "halving" and not self.decay):
            raise ValueError("peak must be positive, warmup and decay at least 0, and halving needs a decay.")

    def rate(self, step: int, total: int) -> float:
        """Learning rate of step ``step`` (from 0) of ``total``."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        if self.shape == "cosine":
            done = (step - self.warmup) / max(1, total - self.warmup)
            return self.peak * 0.5 * (1 + math.cos(math.pi * done))
        if self.shape == "wsd":
            return self.peak * min(1.0, (total - step) / max(1, self.decay))
        return self.peak * 0.5 ** (step // self.decay)


@dataclass(frozen=True)
class Recipe:
    """Everything but the pictures that decides the weights. Raises ValueError if it cannot work."""

    variant: str
    scale: int
    phases: tuple[Phase, ...]
    schedule: Schedule
    optimizer: OptimizerName = "adamw"  # with no weight decay it is Adam; SOAP is Adam in Shampoo's eigenbasis
    betas: tuple[float, float] = (0.9, 0.99)  # of the optimiser's moments
    weight_decay: float = 1e-4  # a step, times the learning rate
    clip_norm: float = 1.0  # gradients are scaled down to this norm
    ema_decay: float = 0.999  # of the averaged weights, which are validated and exported
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "phases", tuple(self.phases))
        object.__setattr__(self, "betas", tuple(self.betas))
        if self.optimizer not in get_args(OptimizerName):
            raise ValueError(f"optimizer must be one of {get_args(OptimizerName)}, not {self.optimizer!r}.")
        if not self.phases:
            raise ValueError("A recipe needs at least one phase.")
        for phase in self.phases:
            config = self.config(phase)
            if len(config.patch_sizes) != len(self.config().patch_sizes):
                raise ValueError(f"patch_sizes must give a size for each stage of {self.variant}.")
            if phase.crop <= config.minimum_size:
                raise ValueError(
                    f"Crops of {phase.crop} pixels leave no second patch of {config.minimum_size} to match."
                )

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def config(self, phase: Phase | None = None) -> HPINetConfig:
        """The network, by default as exported, or with the patch sizes of a phase."""
        config = variant_config(self.variant, self.scale)
        if phase is None or phase.patch_sizes is None:
            return config
        return replace(config, patch_sizes=phase.patch_sizes)

    def phase_at(self, step: int) -> Phase:
        """The phase that step ``step`` (from 0) belongs to."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        raise ValueError("The run has no such step.")

    def learning_rate(self, step: int) -> float:
        """Learning rate of step ``step`` (from 0)."""
        return self.schedule.rate(step, self.steps)

    def cooled(self, step: int, steps: int | None = None) -> "Recipe":
        """This recipe up to ``step``, followed at once by its decay, shortened or stretched to about ``steps``.

        The steps already done keep their learning rate. Raises OptionError unless ``step`` is in the stable part of a
        "wsd" schedule, and a decay follows.
        """
        if self.schedule.shape != "wsd" or not 0 <= step <= self.steps - self.schedule.decay:
            raise OptionError("Only a run on the stable part of a 'wsd' schedule can be cooled down.")
        if not self.schedule.decay:
            raise OptionError("The recipe has no decay that could come sooner.")
        factor = 1.0 if steps is None else steps / self.schedule.decay
        decay = [
            replace(phase, steps=max(1, round(factor * phase.steps)))
            for phase in _skipped(self.phases, self.steps - self.schedule.decay)
        ]
        schedule = replace(self.schedule, decay=sum(phase.steps for phase in decay))
        return replace(self, phases=(*_truncated(self.phases, step), *decay), schedule=schedule)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """A recipe from `to_dict`'s values. Raises OptionError on missing, unknown or impossible ones."""
        try:
            return cls(
                **{
                    **values,
                    "phases": [Phase(**phase) for phase in values["phases"]],
                    "schedule": Schedule(**values["schedule"]),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise OptionError(f"Not a training recipe: {error}") from error


def _truncated(phases: tuple[Phase, ...], steps: int) -> Iterator[Phase]:
    """The first ``steps`` steps."""
    for phase in phases:
        if steps > 0:
            yield replace(phase, steps=min(phase.steps, steps))
        steps -= phase.steps


def _skipped(phases: tuple[Phase, ...], steps: int) -> Iterator[Phase]:
    """All but the first ``steps`` steps."""
    for phase in phases:
        if phase.steps > steps:
            yield replace(phase, steps=phase.steps - max(0, steps))
        steps -= phase.steps


def cpu_recipe(variant: str, scale: int) -> Recipe:
    """For a desktop processor. The bundled weights had larger batches, and squares for a loss at the end: see theirs.

    Small crops with patches of 12 everywhere teach most per second, since attention over a patch costs the square of
    its area. But what they teach fits patches of 12: T ×4 had 31.80 dB with these after 5,750 steps, and 31.78 with its
    own, with which 500 steps more gave 31.82, 1,500 gave 31.85, and a decay 31.86; a decay with patches of 12 and 942
    steps of its own had given 31.81. So they come for most of the time in which the learning rate falls, in crops that
    few of the larger patches cover. SOAP takes no more time than AdamW here and learns more: 150 steps from the same
    weights on the same crops ended at 31.17 and 31.11 dB (T ×4). What limits is the noise of gradients from a few
    crops: drawing them by importance, with a loss that passes over errors below rounding, takes a third of it away
    (`scripts.gradient_noise`) and lifted the running average from 37.37 to 37.41 dB within 1,200 steps of the stable
    part (T ×2). Two micro-batches a step can be shared by two processes.
    """
    stages = len(variant_config(variant, scale).patch_sizes)
    full = Phase(12_000, crop=44, batch=4, micro_batch=2, loss="smooth_l1", importance=1.0)
    small = replace(full, steps=28_000, crop=32, batch=8, micro_batch=4, patch_sizes=(12,) * stages)
    schedule = Schedule("wsd", peak=2e-3, warmup=100, decay=20_000)
    return Recipe(variant, scale, (small, full), schedule, optimizer="soap", betas=(0.95, 0.95))


def paper_recipe(variant: str, scale: int) -> Recipe:
    """The paper's, for GPUs and DIV2K or DF2K: Adam, 420 epochs, halved every 60, crops growing from 48 to 180.

    An epoch is taken as 1000 steps. Batches shrink as crops grow, down to a crop for each of eight GPUs; fewer do the
    same in more passes.
    """
    epoch = 1_000
    sizes = ((48, 32), (64, 32), (96, 16), (120, 16), (144, 8), (160, 8), (180, 8))
    phases = tuple(Phase(60 * epoch, crop, batch, micro_batch=batch // 8) for crop, batch in sizes)
    schedule = Schedule("halving", peak=1.5e-4, decay=60 * epoch)
    return Recipe(variant, scale, phases, schedule, betas=(0.9, 0.999), weight_decay=0.0)


LIGHT = Degradation(
    clean=0.03,
    other_kernel=0.05,
    larger_jpeg=0.05,
    blur=0.02,
    noise=0.05,
    noise_deviation=(0.3, 1.5),
    sharpen=0.03,
    twice=0.06,
    webp=0.03,
    full_chroma=0.2,
    quality=(82, 97),
    first_quality=(85, 97),
)
"""What good JPEGs went through: most were reduced by bicubic and saved once, in 4:2:0, at a quality around 90."""

STRONG = Degradation(
    other_kernel=0.05,
    larger_jpeg=0.05,
    blur=0.02,
    noise=0.05,
    sharpen=0.03,
    twice=0.08,
    webp=0.04,
    full_chroma=0.2,
    quality=(22, 72),
    first_quality=(50, 95),
)
"""What pictures of messengers and old web pages went through: most as in `LIGHT`, at a quality around 50."""


def photo_recipe(variant: str, scale: int, degradation: Degradation) -> Recipe:
    """Fine-tuning for compressed photographs: as `cpu_recipe`, shorter and with LR crops degraded.

    To be started from weights that are good already: clean ones for `LIGHT`, and those for `STRONG`, so that weights
    in between two of them are good in between.
    """
    recipe = cpu_recipe(variant, scale)
    small, full = (replace(phase, degradation=degradation) for phase in recipe.phases)
    small, full = replace(small, steps=9_000), replace(full, steps=1_000)
    return replace(recipe, phases=(small, full), schedule=replace(recipe.schedule, peak=1.2e-3, decay=5_000))


PRESETS = {
    "cpu": cpu_recipe,
    "paper": paper_recipe,
    "photo-light": partial(photo_recipe, degradation=LIGHT),
    "photo-strong": partial(photo_recipe, degradation=STRONG),
}
"""Named recipes: functions of a variant and a scale."""


def find_recipe(source: str, *, variant: str | None = None, scale: int | None = None) -> Recipe:
    """The recipe of a preset's name, by default for T ×4, or of a JSON file, which says its own variant and scale.

    Raises OptionError if there is no such preset or file, or the variant or scale do not exist or are not the file's.
    """
    if source in PRESETS:
        variant, scale = "T" if variant is None else variant, 4 if scale is None else scale
        if scale not in SCALES or variant not in VARIANTS:
            raise OptionError(f"There is no {variant} x{scale}: variants are {', '.join(VARIANTS)}, scales 2, 3 and 4.")
        return PRESETS[source](variant, scale)
    try:
        values = json.loads(Path(source).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"{source!r} is neither a preset ({', '.join(PRESETS)}) nor a JSON file.") from error
    recipe = Recipe.from_dict(values)
    if variant not in (None, recipe.variant) or scale not in (None, recipe.scale):
        raise OptionError(f"{source} is for {recipe.variant} x{recipe.scale}: give no other variant or scale.")
    return recipe
