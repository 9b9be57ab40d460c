"""The models a visitor can choose from, what is honestly known of each, and the upscalers kept ready for them."""

import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from hpinet.checkpoints import registry
from hpinet.checkpoints.registry import CheckpointInfo
from hpinet.engines.arithmetic import arithmetic
from hpinet.engines.arithmetic import expected_megabytes as megabytes_of
from hpinet.engines.machine import memory_allowance
from hpinet.errors import CheckpointError, OptionError
from hpinet.model import variant_config
from hpinet.plan import Plan, TargetSize, make_plan
from hpinet.progress import Progress, ignore
from hpinet.settings import settings
from hpinet.ui.jobs import previews, zerogpu
from hpinet.ui.server.values import told
from hpinet.upscaler import Upscaler
from hpinet.wording import duration

_log = logging.getLogger(__name__)

ORIGINS = {"bundled": "bundled", "authors": "authors'", "hub": "from the Hub", "path": "from a file"}
MEMORY_SHARE = 0.75  # of the memory there is, that one job may take
FETCHING_SECONDS = 40.0  # that visitors wait for weights: what arrived is kept for the next who asks
CHARACTER = {"T": "fastest", "S": "fast", "M": "better", "L": "largest, slow"}
WORDS = {"T": "Quick", "S": "Good", "M": "Best", "L": "L, larger still", zerogpu.CPU_MODEL: "Without a GPU"}
"""What the page calls them."""
MAIN = ("T", "S", "M", zerogpu.CPU_MODEL)
"""Those on offer at first sight."""


@dataclass(frozen=True)
class Choice:
    """One line in the list of models: a tier at every scale it exists for."""

    key: str  # what pages, links and programs call it: "T"; "S-authors" beside an S of the project; "hpinet-mine"
    natives: Mapping[int, CheckpointInfo]  # by scale
    on_cpu: bool = False  # although GPUs are lent here

    @property
    def variant(self) -> str:
        """T, S, M or L."""
        return next(iter(self.natives.values())).variant

    @property
    def network(self) -> str:
        """The key of the same network for whatever is more than enlarging, see `network_of`."""
        return self.variant if self.on_cpu else self.key

    @property
    def is_run_here(self) -> bool:
        """Whether it takes this machine's memory: where GPUs are lent, what runs on them does not."""
        return self.on_cpu or not zerogpu.IS_HERE

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
        if info.own_name:
            shadowed.setdefault(info.own_name.removesuffix(f"-x{info.scale}"), {})[info.scale] = info
            continue
        natives = first.setdefault(info.variant, {})
        if info.scale in natives:
            natives = shadowed.setdefault(f"{info.variant}-{info.origin}", {})
        natives[info.scale] = info
    found = [Choice(key, dict(sorted(natives.items()))) for key, natives in {**first, **shadowed}.items()]
    return {choice.key: choice for choice in sorted(found, key=lambda c: (c.checkpoint().parameters, c.key))}


def for_enlarging() -> dict[str, Choice]:
    """All that can enlarge a picture, by key: `choices`, and where GPUs are lent the default model without one."""
    known = choices()
    if zerogpu.IS_HERE:
        known[zerogpu.CPU_MODEL] = replace(next(iter(known.values())), key=zerogpu.CPU_MODEL, on_cpu=True)
    return known


def choice_of(key: object) -> Choice:
    """The choice called ``key``. Raises OptionError naming those there are."""
    known = for_enlarging()
    if not isinstance(key, str) or key not in known:
        raise OptionError(f"There is no model {told(key)!r}; there are {', '.join(known)}.")
    return known[key]


def network_of(key: object) -> Choice:
    """The same for whatever is more than enlarging. Raises OptionError, too, for the one that has no GPU."""
    choice = choice_of(key)
    if choice.on_cpu:
        raise OptionError(f"{choice.key} enlarges pictures and nothing else: choose {choice.variant}.")
    return choice


def as_key(value: object) -> str:
    """A value from outside that names a model by its key. Raises OptionError naming those there are."""
    return choice_of(value).key


def caption(choice: Choice, plan: Plan) -> str:
    """One honest line about a model, with the weights for ``plan``: origin, size, score. It breaks between these."""
    info = choice.checkpoint(plan)
    parts = [
        choice.key,
        f"{CHARACTER.get(choice.variant, 'custom')}, {ORIGINS[info.origin]}",
        f"{info.parameters / 1e6:.2f} million",
    ]
    if info.psnr_set5 is not None:
        parts.append(f"{info.psnr_set5:.2f} dB" + (f" at ×{info.scale}" if info.scale != 4 else ""))
    parts[-1] += "" if choice.is_installed(plan) else " ↓"
    return " · ".join(_unbroken(part) for part in parts)


def offered(*, more: bool = False, chosen: str | None = None) -> list[Choice]:
    """The models of a field: the main ones; all of them if ``more`` are wished for, or one of the others is chosen."""
    known = for_enlarging()
    main = [choice for key, choice in known.items() if key in MAIN]
    return list(known.values()) if more or not main or (chosen in known and chosen not in MAIN) else main


def line(choice: Choice, remark: str = "") -> tuple[str, str]:
    """A choice of a field, and its value: one word, and a remark."""
    word = WORDS.get(choice.key, choice.key)
    return f"{word} · {_unbroken(remark)}" if remark else word, choice.key


def _unbroken(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")


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
        pace = zerogpu.CPU_PACE if choice.on_cpu else zerogpu.PACE
        return pace.seconds(pass_operations(choice, scale, width, height))
    work = pass_operations(choice, scale, width, height)
    # Whoever was gauged while the machine was busy seems slow: nobody takes longer than one who has more to do.
    heavier = (
        upscaler.engine.estimate_seconds(height, width)
        for upscaler in SHELF.ready()
        if arithmetic(upscaler.engine.config, height, width).total >= work
    )
    ready = SHELF.peek(choice.key, scale)
    if ready is not None:
        return min([ready.engine.estimate_seconds(height, width), *heavier])
    yardstick = SHELF.yardstick()
    known = arithmetic(yardstick.engine.config, height, width).total
    return min([yardstick.engine.estimate_seconds(height, width) * work / known, *heavier])


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
    passes = zip(plan.passes, plan.inputs, strict=True)
    return max(megabytes_of(variant_config(choice.variant, scale), *size[::-1]) for scale, size in passes)


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
            single = make_plan(plan.source, TargetSize(scale=scale), natives=other.natives)
            if _is_instead(other, single, plan):
                others.append((scale, -expected_seconds(other, single, rounds=rounds), other.key))
    scale, needed, key = max((other for other in others if -other[1] <= limit), default=(0, 0, ""))
    if not key:
        raise OptionError(f"{told}: take a smaller picture.")
    raise OptionError(f"{told}: ×{scale} with {key} takes {duration(-needed)}.")


def _is_instead(other: Choice, single: Plan, plan: Plan) -> bool:
    """Whether one pass of another model enlarges no more than ``plan`` and would not be refused in turn."""
    try:
        check_memory(other, previews.check_result_size(single))
    except OptionError:
        return False
    return math.prod(single.passes) <= math.prod(plan.passes)


def check_memory(choice: Choice, plan: Plan, *, beside_mb: float = 0.0) -> None:
    """Raises OptionError where ``plan``, with what is held beside, would take more memory than there is for one job."""
    smaller = "a smaller size" if len(plan.passes) > 1 else "a smaller picture"
    check_megabytes(choice, expected_megabytes(choice, plan) + beside_mb, smaller)


def most_megabytes() -> float:
    """Memory that one job may take here."""
    return settings().job_mb or MEMORY_SHARE * memory_allowance()


def check_megabytes(choice: Choice, needed: float, smaller: str) -> None:
    """Raises OptionError where there is not so much memory for one job, which ``smaller`` says how to lessen."""
    limit = most_megabytes()
    if needed > limit and choice.is_run_here:
        raise OptionError(
            f"This takes {needed / 1000:.1f} GB of memory with model {choice.key}, and this page has "
            f"{limit / 1000:.1f} GB: take {smaller}" + ("." if choice.key == "T" else ", or model T.")
        )


class Shelf:
    """Upscalers kept loaded, the least recently used one given up first. Safe to use from several threads."""

    def __init__(self, capacity: int = 6) -> None:
        self._capacity = capacity
        self._ready: OrderedDict[tuple[str, int], Upscaler] = OrderedDict()
        self._yardstick: Upscaler | None = None
        self._lock = threading.Lock()

    def peek(self, key: str, scale: int) -> Upscaler | None:
        """What is loaded already."""
        return self._ready.get((key, scale))

    def ready(self) -> list[Upscaler]:
        """All that is loaded."""
        return list(self._ready.values())

    def yardstick(self) -> Upscaler:
        """The default model at its largest scale, by which the pace of those not loaded is guessed."""
        if self._yardstick is None:
            default = next(iter(choices().values()))
            self._yardstick = self.upscaler(default.key, max(default.natives))
        return self._yardstick

    def fetch(self, choice: Choice, plan: Plan, *, progress: Progress = ignore) -> None:
        """Brings what ``plan`` needs to this machine. Raises CheckpointError if that is impossible."""
        for scale in set(plan.passes):
            if choice.natives[scale].installed:
                continue
            try:
                registry.fetch(choice.variant, scale, progress=progress, patience=FETCHING_SECONDS)
            except CheckpointError as error:
                _log.warning("Model %s cannot be fetched: %s", choice.key, error)
                raise CheckpointError(
                    f"Model {choice.key} is not on this server yet and could not be fetched just now. "
                    f"Model {next(iter(choices()))} is here and works without."
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
