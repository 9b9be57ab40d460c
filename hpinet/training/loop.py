"""The training loop: one process or, under Accelerate, many.

The log has an entry of kind "train" every `Options.log_every` steps (means since the one before) and one of kind
"valid" per validation. There ``step`` counts the optimiser steps done, and ``hours`` are those of all processor cores
or GPUs together: on a CPU a run that is suspended, or shares its cores, does not age.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from hpinet.checkpoints.registry import load
from hpinet.errors import CheckpointError, HPINetError, OptionError, needs_extra
from hpinet.metrics import psnr_y
from hpinet.model import HPINet
from hpinet.progress import Progress, ignore
from hpinet.training.data import Crop, CropSampler, PictureStore, open_store, validation_pairs
from hpinet.training.recipes import Phase, Recipe
from hpinet.training.state import Run, append_log, load_state, rewind_log, save_state

try:
    from accelerate import Accelerator, InitProcessGroupKwargs
    from accelerate.tracking import get_available_trackers
    from pytorch_optimizer import SOAP
except ModuleNotFoundError as error:
    raise OptionError(needs_extra("Training", [str(error.name)], "train")) from error

Parameters = tuple[Tensor, ...] | list[Tensor]
LOSSES = {
    "l1": F.l1_loss,
    "l2": F.mse_loss,
    # L1 but for errors under two grey levels, where rounding gives the sign of an error, and with it L1's gradient.
    "smooth_l1": partial(F.smooth_l1_loss, beta=2 / 255),
}
PAUSE = timedelta(days=7)  # how long processes wait for each other: a run may be suspended and continued
ADVICE = "The saved state is from before; start a new run from it with a lower learning rate."


def loss_of_each(sr: Tensor, hr: Tensor, phase: Phase) -> Tensor:
    """The loss of each crop: (N, 3, H, W) twice, in 0..1 -> (N,)."""
    each = LOSSES[phase.loss](sr, hr, reduction="none").mean((1, 2, 3))
    if phase.frequencies:
        spectrum = torch.view_as_real(torch.fft.rfft2((sr - hr).float(), norm="ortho"))
        each = each + phase.frequencies * spectrum.abs().mean((1, 2, 3, 4))
    return each


class TrainingStopped(HPINetError):
    """The run cannot go on: the loss is not a number, or has left the range it was in."""


@dataclass(frozen=True)
class Options:
    """How to run; nothing here changes the weights of a step."""

    log_every: int = 50  # steps
    save_every: int = 200  # steps; how much a kill costs
    validate_every: int = 500  # steps
    time_budget: float | None = None  # minutes, after which the run is saved and ends
    tracker: str | None = None  # a tracker of Accelerate's: tensorboard, trackio, ...
    cache: Path | None = None  # decoded pictures; by default the folder `cache` beside the run's


@dataclass(frozen=True)
class Outcome:
    """Where a call of `train` left the run."""

    step: int  # optimiser steps done
    finished: bool  # all steps of the recipe
    psnr: float | None  # mean PSNR-Y in dB of the latest validation


def train(
    folder: Path,
    run: Run | None = None,
    *,
    options: Options | None = None,
    decoding: Progress = ignore,
    progress: Progress = ignore,
) -> Outcome:
    """Starts the run ``run`` in ``folder``, or resumes the one that is there, until its recipe or the time ends.

    SIGTERM and SIGINT save the run and end the call like the time budget. ``decoding`` counts pictures, where they are
    not in the cache yet, and then ``progress`` optimiser steps.
    Raises OptionError if there is nothing to resume or another run is in the folder, ImageError for unreadable
    pictures, TrainingStopped if training went wrong; the state on disk is then the last good one.
    """
    run = _settle(folder, run)
    with _subnormal_numbers_as_zero():
        trainer = Trainer(folder, run, options or Options(), decoding)
        try:
            with _deterministic(trainer.accelerator.device):
                return trainer.run(progress)
        finally:
            trainer.close()


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Lets a CPU's threads add up in one order, at hardly any cost: gradients of overlapping patches are such sums.

    GPUs are left alone: not all that training needs has such a way there.
    """
    before = torch.are_deterministic_algorithms_enabled()
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextmanager
def _subnormal_numbers_as_zero() -> Iterator[None]:
    """Vanishing moments of the optimiser would slow a CPU down; what the process does next is not to know."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _settle(folder: Path, run: Run | None) -> Run:
    """The run of a folder, which is ``run`` if the folder is new."""
    if (folder / "run.json").is_file():
        there = Run.load(folder)
        if run not in (None, there):
            raise OptionError(f"{folder} holds another run: resume it without options, or choose a new folder.")
        return there
    if run is None:
        raise OptionError(f"{folder} does not hold a training run to resume.")
    return run


class Trainer:
    """The moving parts of a run. `run` does the work."""

    def __init__(self, folder: Path, run: Run, options: Options, decoding: Progress) -> None:
        self.folder, self.options, self.recipe = folder, options, run.recipe
        self.accelerator = _accelerator(folder, options, run.mixed_precision)
        self.processes = self.accelerator.num_processes
        self.clock = time.process_time if self.accelerator.device.type == "cpu" else time.monotonic
        require_even_shares(self.recipe, self.processes)
        self.pairs = list(validation_pairs(Path(run.validation), scale=self.recipe.scale)) if run.validation else []
        store = self._open_store(run, decoding)
        self.samplers = {
            phase: CropSampler(
                store,
                crop=phase.crop,
                seed=self.recipe.seed,
                importance=phase.importance,
                degradation=phase.degradation,
            )
            for phase in self.recipe.phases
        }

        state = load_state(folder)
        self.network = new_model(self.recipe, None if state else run.started_from).to(self.accelerator.device)
        self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.average = AveragedModel(self.network, multi_avg_fn=_moving_average(self.recipe.ema_decay))
        optimizer = new_optimizer(self.recipe, self.network)
        # `model` is the network as Accelerate runs it: on several processes, compiled or in mixed precision.
        self.model, self.optimizer = self.accelerator.prepare(self.network, optimizer)
        self.step, self.hours = 0, 0.0
        self.watch = LossWatch()
        self.psnr: float | None = None
        if self.accelerator.is_main_process:  # all that was named is there and fits: the folder is this run's
            folder.mkdir(parents=True, exist_ok=True)
            run.save(folder)
        self._restore(state)
        if options.tracker:
            self.accelerator.init_trackers(folder.name)
        self._prefetcher = ThreadPoolExecutor(max_workers=1)

    def run(self, progress: Progress) -> Outcome:
        """Steps until the end of the recipe, the time budget or a signal; saves, validates and logs on the way."""
        deadline = time.monotonic() + 60 * (math.inf if self.options.time_budget is None else self.options.time_budget)
        total, logged = self.recipe.steps, Means()
        batches = self._batches()
        with _signals() as stop:
            while self.step < total:
                progress(self.step, total)
                started = self.clock()
                rate = self.recipe.learning_rate(self.step)
                loss, norm = self._take_step(next(batches), rate)
                self.hours += (self.clock() - started) / 3600 * self.processes
                logged.add(loss=loss, norm=norm)

                ended = self.step == total
                stopping = self._any(bool(stop) or time.monotonic() > deadline)
                if self.step % self.options.log_every == 0 or ended:
                    self._log("train", {**logged.take(), "rate": rate, "hours": self.hours})
                if self.pairs and (self.step % self.options.validate_every == 0 or ended):
                    self._validate()
                if (self.step % self.options.save_every == 0 and self.watch.calm) or ended or stopping:
                    self._save()
                if stopping:
                    break
        progress(self.step, total)
        return Outcome(self.step, self.step == total, self.psnr)

    def close(self) -> None:
        """Frees what outlives a run: the prefetching thread, trackers, the process group."""
        self._prefetcher.shutdown(cancel_futures=True)
        self.accelerator.end_training()

    def _take_step(self, micro_batches: Sequence["MicroBatch"], rate: float) -> tuple[float, float]:
        """One optimiser step; returns the loss over the whole batch and the norm of its gradient."""
        phase = self.recipe.phase_at(self.step)
        self.network.config = self.recipe.config(phase)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        losses = []
        for number, micro in enumerate(micro_batches, start=1):
            last = number == len(micro_batches)
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                losses.append(self._accumulate(micro, phase) / len(micro_batches))
        loss = self._over_processes(torch.stack(losses).sum(), "mean")
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        assert norm is not None  # only some engines of Accelerate that are not used here return nothing
        norm = norm.item()
        self.watch.check(loss, norm, self.step + 1, phase, scaled=self.accelerator.scaler is not None)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update_parameters(self.network)
        self.step += 1
        return loss, norm

    def _accumulate(self, micro: "MicroBatch", phase: Phase) -> Tensor:
        """Adds the gradients of a micro-batch to the parameters' and returns its loss."""
        torch.manual_seed(micro.seed)
        device = self.accelerator.device
        hr, lr = (to_tensor(pixels, device) for pixels in (micro.crops.hr, micro.crops.lr))
        each = loss_of_each(self.model(lr), hr, phase)
        loss = (torch.tensor(micro.crops.weight).to(device) * each).mean()
        share = phase.batch // phase.micro_batch // self.processes
        self.accelerator.backward(loss / share)
        return loss.detach()

    def _batches(self) -> Iterator[list["MicroBatch"]]:
        """This process's micro-batches of each step from the current one on, the next prepared while one is in use."""
        upcoming: Future[list[MicroBatch]] = self._prefetcher.submit(self._batch, self.step)
        while True:
            ready = upcoming.result()
            if self.step + 1 < self.recipe.steps:
                upcoming = self._prefetcher.submit(self._batch, self.step + 1)
            yield ready

    def _batch(self, step: int) -> list["MicroBatch"]:
        phase, seed = self.recipe.phase_at(step), self.recipe.seed
        size, sampler = phase.micro_batch, self.samplers[phase]
        mine = range(self.accelerator.process_index, phase.batch // size, self.processes)
        return [
            MicroBatch(sampler.batch(step, range(number * size, (number + 1) * size)), _micro_seed(seed, step, number))
            for number in mine
        ]

    def _validate(self) -> None:
        """Scores the averaged weights with the variant's own patch sizes and keeps the best."""
        if self.accelerator.is_main_process:
            network = self.average.module
            assert isinstance(network, HPINet)
            network.config = self.recipe.config()
            scores = {name: _score(network, hr, lr, self.accelerator.device) for name, hr, lr in self.pairs}
            self.psnr = sum(scores.values()) / len(scores)
            self._log("valid", {"psnr": self.psnr, "each": scores, "hours": self.hours})
        self.accelerator.wait_for_everyone()

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            save_state(
                self.folder,
                {
                    "step": self.step,
                    "model": self.network.state_dict(),
                    "average": self.average.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "scaler": scaler.state_dict() if scaler else None,
                    "watch": vars(self.watch),
                    "hours": self.hours,
                    "unit": "core" if self.accelerator.device.type == "cpu" else "GPU",
                },
            )
        self.accelerator.wait_for_everyone()

    def _restore(self, state: dict[str, Any] | None) -> None:
        if state is None:
            self.average.update_parameters(self.network)  # the average begins here
        else:
            self.network.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.accelerator.scaler and state["scaler"]:
                self.accelerator.scaler.load_state_dict(state["scaler"])
            self.watch = LossWatch(**state["watch"])
            self.step, self.hours = state["step"], state["hours"]
        if self._over_processes(torch.tensor(float(self.step), device=self.accelerator.device), "mean") != self.step:
            raise OptionError(f"The processes do not find the same state: all need the same folder {self.folder}.")
        if self.accelerator.is_main_process:
            rewind_log(self.folder, self.step)
        self.accelerator.wait_for_everyone()

    def _log(self, kind: str, values: dict[str, Any]) -> None:
        if self.accelerator.is_main_process:
            append_log(self.folder, {"kind": kind, "step": self.step, **values})
        numbers = {f"{kind}/{name}": value for name, value in values.items() if isinstance(value, float)}
        self.accelerator.log(numbers, step=self.step)

    def _open_store(self, run: Run, decoding: Progress) -> PictureStore:
        cache = self.options.cache or self.folder.parent / "cache"
        folders = [Path(folder) for folder in run.data]
        with self.accelerator.local_main_process_first():
            return open_store(folders, scale=run.recipe.scale, cache=cache, progress=decoding)

    def _any(self, flag: bool) -> bool:
        """Whether the flag is up in any process, so that all end after the same step."""
        return self._over_processes(torch.tensor(float(flag), device=self.accelerator.device), "sum") > 0

    def _over_processes(self, value: Tensor, how: str) -> float:
        reduced = self.accelerator.reduce(value, how)
        assert isinstance(reduced, Tensor)  # a tensor gives a tensor, which the annotation leaves open
        return reduced.item()


def _accelerator(folder: Path, options: Options, mixed_precision: str) -> Accelerator:
    """Accelerate's view of this process, of the others and of the device."""
    trackers = [tracker.value for tracker in get_available_trackers()]
    if options.tracker not in (None, *trackers):
        installed = ", ".join(trackers) or "none"
        raise OptionError(f"The tracker {options.tracker!r} is unknown or not installed; there is: {installed}.")
    try:
        return Accelerator(
            cpu=not torch.accelerator.is_available(),  # or several processes on CPUs would not find each other
            mixed_precision=mixed_precision,
            log_with=options.tracker,
            project_dir=folder,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=PAUSE)],
        )
    except ValueError as error:  # such as fp16 without a GPU
        raise OptionError(f"Accelerate refuses this: {error}") from error


@dataclass(frozen=True)
class MicroBatch:
    """Crops of one forward pass and the seed of its random numbers."""

    crops: Crop  # B of them
    seed: int


@dataclass
class LossWatch:
    """Notices a loss that is not a number, or whose recent mean has grown far beyond its longer one."""

    recent: float = 0.0  # mean over about 10 steps
    longer: float = 0.0  # mean over about 100 steps
    seen: int = 0  # steps since the loss was last of another kind
    kind: str = ""

    @property
    def calm(self) -> bool:
        """Whether this is a state to keep: the loss is not rising."""
        return self.recent < 1.5 * self.longer

    def check(self, loss: float, norm: float, step: int, phase: Phase, *, scaled: bool) -> None:
        """Raises TrainingStopped. ``scaled`` says that the loss is scaled for fp16, which makes some norms infinite."""
        if not math.isfinite(loss) or not (math.isfinite(norm) or scaled):
            raise TrainingStopped(f"Step {step}: the loss is {loss:g} and its gradient's norm {norm:g}. {ADVICE}")
        if phase.loss != self.kind:
            self.kind, self.recent, self.longer, self.seen = phase.loss, loss, loss, 0
        self.seen += 1
        self.recent += 0.1 * (loss - self.recent)
        self.longer += 0.01 * (loss - self.longer)
        if self.seen > 100 and self.recent > 3 * self.longer:
            raise TrainingStopped(f"Step {step}: the loss rose from {self.longer:.4g} to {self.recent:.4g}. {ADVICE}")


class Means:
    """Running means of named values."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, **values: float) -> None:
        """Counts a value of each name."""
        self._count += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        """The means since the last call."""
        means = {name: total / self._count for name, total in self._sums.items()}
        self.__init__()
        return means


def new_model(recipe: Recipe, started_from: str | None) -> HPINet:
    """A network for a recipe: initialised from its seed, then given what it shares with a checkpoint, if any.

    ``started_from`` is anything that `hpinet.checkpoints.registry.find` understands. Raises CheckpointError if there
    is no such checkpoint, or it is of another variant.
    """
    torch.manual_seed(recipe.seed)
    model = HPINet(recipe.config())
    with torch.no_grad():
        model.last_conv.weight.mul_(0.1)  # begin near the enlarged input, which is already close
    if started_from:
        source, _ = load(started_from)
        warm_start(model, source.state_dict())
    return model


def _moving_average(decay: float) -> Callable[[Parameters, Parameters, Tensor | int], None]:
    """Exponential, over a tenth of the steps until ``decay`` is reached: what was before counts for nothing soon."""

    @torch.no_grad()
    def update(averaged: Parameters, current: Parameters, count: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for average, weights in zip(averaged, current, strict=True):
            average.lerp_(weights, weight)

    return update


def new_optimizer(recipe: Recipe, model: HPINet) -> torch.optim.Optimizer:
    """The optimiser of a recipe; its learning rate is set at every step."""
    if recipe.optimizer == "soap":
        # A kernel (out, in, 3, 3) is taken as a matrix (out, 9·in), whose bases turn channels and places together;
        # vectors stay as they are, which the library's merging of dimensions would not leave them.
        matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
        vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
        groups = [{"params": matrices, "merge_dims": True}, {"params": vectors}]
        widest = 9 * model.config.dim
        return SOAP(groups, betas=recipe.betas, weight_decay=recipe.weight_decay, max_precondition_dim=widest)
    return torch.optim.AdamW(model.parameters(), betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True)


def warm_start(model: HPINet, weights: dict[str, Tensor]) -> None:
    """Copies all weights of the same scale, or all but the upsampler's of another: the body is common to all scales.

    Raises CheckpointError if they are of another variant.
    """
    own = model.state_dict()
    if weights.keys() != own.keys() or any(weights[name].shape != own[name].shape for name in own):
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith(("upconv", "last_conv"))}
    unknown = [name for name, tensor in weights.items() if name not in own or own[name].shape != tensor.shape]
    missing = [name for name in own if name not in weights and not name.startswith(("upconv", "last_conv"))]
    if unknown or missing:
        raise CheckpointError("The weights to start from are of another variant: choose some of the same.")
    model.load_state_dict(weights, strict=False)


@torch.no_grad()
def _score(network: HPINet, hr: np.ndarray, lr: np.ndarray, device: torch.device) -> float:
    network.eval()
    output = network(to_tensor(lr[None], device))[0].clamp(0, 1).mul(255).round().to(torch.uint8)
    return psnr_y(output.permute(1, 2, 0).cpu().numpy(), hr, scale=network.config.scale)


def to_tensor(pixels: np.ndarray, device: torch.device) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) in [0, 1], channels last in memory."""
    return torch.tensor(pixels).to(device).permute(0, 3, 1, 2).float().div_(255)


def _micro_seed(seed: int, step: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, step, number, 1)).generate_state(1, np.uint64)[0] >> 1)


def require_even_shares(recipe: Recipe, processes: int) -> None:
    """Raises OptionError unless every process gets as many micro-batches of each phase as the others."""
    for phase in recipe.phases:
        if phase.batch // phase.micro_batch % processes:
            raise OptionError(
                f"A batch of {phase.batch} in micro-batches of {phase.micro_batch} cannot be shared by {processes} "
                "processes: change either, or the number of processes."
            )


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGTERM and SIGINT instead of ending the process."""
    received: list[int] = []
    before = {
        number: signal.signal(number, lambda n, _: received.append(n)) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
