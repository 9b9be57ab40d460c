"""The models a visitor can choose from, what is honestly known of each, and the upscalers kept ready for them."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from hpinet.checkpoints import registry
from hpinet.checkpoints.registry import CheckpointInfo
from hpinet.engines.arithmetic import arithmetic
from hpinet.errors import CheckpointError, OptionError
from hpinet.model import variant_config
from hpinet.plan import Plan, TargetSize, make_plan
from hpinet.progress import Progress, ignore
from hpinet.settings import settings
from hpinet.ui.jobs import zerogpu
from hpinet.ui.server.values import told
from hpinet.upscaler import Upscaler
from hpinet.wording import duration

ORIGINS = {"bundled": "bundled", "authors": "authors'", "hub": "from the Hub", "path": "from a file"}
CHARACTER = {"T": "fastest", "S": "fast", "M": "better", "L": "best, slow"}


@dataclass(frozen=True)
class Choice:
    """One line in the list of models: a tier at every scale it exists for."""

    key: str  # what pages, links and programs call it: "T", or "S-authors" where the project has an S of its own
    natives: Mapping[int, CheckpointInfo]  # by scale

    @property
    def variant(self) -> str:
        """T, S, M or L."""
        return next(iter(self.natives.values())).variant

    def checkpoint(self, plan: Plan | None = None) -> CheckpointInfo:
        """The checkpoint that makes the last pass of ``plan``; that of the largest scale when nothing is planned."""
        return self.natives[plan.passes[-1] if plan else max(self.natives)]

    def is_installed(self, plan: Plan) -> bool:
        """Whether nothing has to be fetched for ``plan``."""
        return all(self.natives[scale].installed for scale in plan.passes)


def choices() -> dict[str, Choice]:
    """Every model on offer by its key, smallest first; read anew, since fetching changes it."""
    first: dict[str, dict[int, CheckpointInfo]] = {}
    shadowed: dict[str, dict[int, CheckpointInfo]] = {}
    for info in registry.catalogue():
        natives = first.setdefault(info.variant, {})
        if info.scale in natives:
            natives = shadowed.setdefault(f"{info.variant}-{info.origin}", {})
        natives[info.scale] = info
    found = [Choice(key, dict(sorted(natives.items()))) for key, natives in {**first, **shadowed}.items()]
    return {choice.key: choice for choice in sorted(found, key=lambda c: (c.checkpoint().parameters, c.key))}


def choice_of(key: object) -> Choice:
    """The choice called ``key``. Raises OptionError naming those there are."""
    known = choices()
    if not isinstance(key, str) or key not in known:
        raise OptionError(f"There is no model {told(key)!r}; there are {', '.join(known)}.")
    return known[key]


def as_key(value: object) -> str:
    """A value from outside that names a model by its key. Raises OptionError naming those there are."""
    return choice_of(value).key


def caption(choice: Choice, plan: Plan | None = None, *, timed: bool = True, rounds: int = 1) -> str:
    """One honest line about a model, for ``plan`` if there is one: origin, size, score, and time on this machine.

    ``rounds`` is how often the network goes over the picture, see `hpinet.upscaler.rounds_over`.
    """
    info = choice.checkpoint(plan)
    parts = [
        f"{choice.key} · {CHARACTER.get(choice.variant, 'custom')}, {ORIGINS[info.origin]}",
        f"{info.parameters / 1e6:.2f} million",
    ]
    if info.psnr_set5 is not None:
        parts.append(f"{info.psnr_set5:.2f} dB" + (f" at ×{info.scale}" if info.scale != 4 else ""))
    if plan is not None and timed:
        parts.append(duration(expected_seconds(choice, plan, rounds=rounds)))
    is_here = info.installed if plan is None else choice.is_installed(plan)
    return " · ".join(parts) + ("" if is_here else " ↓")


def lines() -> list[tuple[str, str]]:
    """What is known of every model whatever the picture, with its key: the choices of a field."""
    return [(caption(choice), key) for key, choice in choices().items()]


def expected_seconds(choice: Choice, plan: Plan, *, rounds: int = 1) -> float:
    """Seconds that ``plan`` should take here: by the engine's own estimate, or by the default model's and the work.

    ``rounds`` is how often the network goes over the picture, see `hpinet.upscaler.rounds_over`.
    """
    return rounds * sum(
        pass_seconds(choice, scale, width, height)
        for scale, (width, height) in zip(plan.passes, plan.inputs, strict=True)
    )


def pass_seconds(choice: Choice, scale: int, width: int, height: int) -> float:
    """Seconds that one native pass over a picture of this size should take here."""
    if zerogpu.IS_HERE:
        return zerogpu.PACE.seconds(pass_operations(choice, scale, width, height))
    ready = SHELF.peek(choice.key, scale)
    if ready is not None:
        return ready.engine.estimate_seconds(height, width)
    default = next(iter(choices().values()))
    largest = max(default.natives)
    yardstick = SHELF.peek(default.key, largest) or SHELF.upscaler(default.key, largest)
    work = pass_operations(choice, scale, width, height)
    known = pass_operations(default, yardstick.scale, width, height)
    return yardstick.engine.estimate_seconds(height, width) * work / known


def operations(choice: Choice, plan: Plan, *, rounds: int = 1) -> float:
    """Floating-point operations of a plan, see `hpinet.engines.arithmetic.Arithmetic`."""
    return rounds * sum(
        pass_operations(choice, scale, width, height)
        for scale, (width, height) in zip(plan.passes, plan.inputs, strict=True)
    )


def pass_operations(choice: Choice, scale: int, width: int, height: int) -> float:
    """Floating-point operations of one native pass over a picture of this size."""
    return arithmetic(variant_config(choice.variant, scale), height, width).total


def expected_megabytes(choice: Choice, plan: Plan) -> float:
    """Memory that ``plan`` should take at its largest: two feature maps of what goes in, and what comes out."""

    def needed(scale: int, pixels: int) -> float:
        return 4 * 2 * variant_config(choice.variant, scale).dim * pixels + 2 * 3 * scale**2 * pixels

    return (
        max(needed(scale, width * height) for scale, (width, height) in zip(plan.passes, plan.inputs, strict=True))
        / 1e6
    )


def check_seconds(choice: Choice, plan: Plan, *, rounds: int = 1) -> None:
    """Raises OptionError where ``plan`` should take longer than is allowed here, with what would not."""
    limit = settings().max_seconds
    seconds = expected_seconds(choice, plan, rounds=rounds)
    if seconds <= limit:
        return
    told = f"This takes {duration(seconds)} here with model {choice.key}, and {duration(limit)} is the limit"
    others = []
    for other in choices().values():
        for scale in other.natives:
            smaller = make_plan(plan.source, TargetSize(scale=scale), natives=other.natives)
            others.append((expected_seconds(other, smaller, rounds=rounds), scale, other.key))
    fitting = [(scale, -needed, key) for needed, scale, key in others if needed <= limit]
    if not fitting:
        raise OptionError(f"{told}: take a smaller picture.")
    scale, needed, key = max(fitting)
    raise OptionError(f"{told}: ×{scale} with {key} takes {duration(-needed)}.")


class Shelf:
    """Upscalers kept loaded, the least recently used one given up first. Safe to use from several threads."""

    def __init__(self, capacity: int = 6) -> None:
        self._capacity = capacity
        self._ready: OrderedDict[tuple[str, int], Upscaler] = OrderedDict()
        self._lock = threading.Lock()

    def peek(self, key: str, scale: int) -> Upscaler | None:
        """What is loaded already."""
        return self._ready.get((key, scale))

    def fetch(self, choice: Choice, plan: Plan, *, progress: Progress = ignore) -> None:
        """Brings what ``plan`` needs to this machine. Raises CheckpointError if that is impossible."""
        for scale in set(plan.passes):
            if choice.natives[scale].installed:
                continue
            try:
                registry.fetch(choice.variant, scale, progress=progress)
            except CheckpointError as error:
                raise CheckpointError(
                    f"Model {choice.key} is not on this server yet and could not be fetched. "
                    f"Model {next(iter(choices()))} is here and works without. ({error})"
                ) from error

    def upscaler(self, key: str, scale: int) -> Upscaler:
        """The upscaler of an installed checkpoint, loaded if need be."""
        with self._lock:
            ready = self._ready.get((key, scale))
            if ready is None:
                info = choice_of(key).natives[scale]
                # A bundled or fetched checkpoint goes by its folder: its variant's name may mean another one.
                source = info.path or info.name
                if zerogpu.IS_HERE:  # whatever the settings say: OpenVINO does not survive the fork of a worker
                    ready = Upscaler.load(source, scale=scale, engine="torch", device="cuda")
                else:
                    ready = Upscaler.load(source, scale=scale)
                    ready.engine.estimate_seconds(64, 64)  # measures now, while nobody else uses it
                self._ready[key, scale] = ready
                while len(self._ready) > self._capacity:
                    self._ready.popitem(last=False)
            self._ready.move_to_end((key, scale))
            return ready

    def prepare(self) -> None:
        """Loads the default model, so that the first visitor does not wait for it.

        Where GPUs are lent at all its scales: it is the one time when this process may put anything on a GPU.
        """
        default = next(iter(choices().values()))
        for scale in default.natives if zerogpu.IS_HERE else [max(default.natives)]:
            self.upscaler(default.key, scale)

    def of(self, key: str) -> partial[Upscaler]:
        """The upscalers of one choice by scale, as `hpinet.plan.run_plan` wants them."""
        return partial(self.upscaler, key)


SHELF = Shelf()
"""The upscalers of this process. Visitors share them: they hold no trace of a picture."""
