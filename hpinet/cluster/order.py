"""What is wanted of every picture of an archive, and one picture from place to place, wherever that happens."""

import hashlib
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from hpinet.checkpoints import registry
from hpinet.checkpoints.files import WEIGHTS, file_sha256, read_config
from hpinet.cluster.manifest import Line, Outcome
from hpinet.cluster.places import Place
from hpinet.engines.arithmetic import expected_megabytes
from hpinet.errors import HPINetError, OptionError
from hpinet.files import enlarge_file
from hpinet.images import MetadataChoice, check_size, picture_size
from hpinet.model import HPINetConfig, variant_config
from hpinet.paths import exists, path_of
from hpinet.plan import Plan, Size, TargetSize, make_plan, run_plan
from hpinet.treatment import Treatment
from hpinet.upscaler import Upscaler

PROCESS_MEGABYTES = 700
"""What a worker takes before it has a picture: Python, PyTorch, OpenVINO, weights, and the engine's working set."""


@dataclass(frozen=True)
class Order:
    """What is done with every picture: the options of the local command."""

    model: str  # as `hpinet.upscaler.Upscaler.load` takes it; what is no name must be on every machine
    size: TargetSize
    format: str = "PNG"
    quality: int = 90
    treatment: Treatment = "auto"
    metadata: MetadataChoice = "drop"
    engine: str | None = None
    device: str | None = None
    self_ensemble: bool = False
    weights: tuple[str, ...] = ()  # what tells them from others, by scale

    @classmethod
    def of(cls, model: str, size: TargetSize | None, **options: object) -> "Order":
        """The order for a model, whose usual scale is taken if there is no ``size``."""
        natives = _natives(model)
        weights = tuple(_identity(_described(model, scale)) for scale in natives)
        usual = TargetSize(scale=registry.DEFAULT_SCALE if registry.DEFAULT_SCALE in natives else natives[0])
        return replace(cls(model, size or usual, weights=weights), **options)

    def plan(self, size: Size) -> Plan:
        """What to do with a picture of that size. Raises OptionError if that is impossible."""
        plan = make_plan(size, self.size, natives=_natives(self.model))
        check_size(*plan.target, self.format)
        return plan

    def fingerprint(self) -> str:
        """Everything of a result that is asked for: one that was made by an order with the same is not made again.

        Engine and device are left out: machines may choose them for themselves, results differ by roundings alone, and
        an archive that was begun with one goes on with another.
        """
        told = (self.weights, self.size, self.format, self.quality, self.treatment, self.metadata, self.self_ensemble)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]

    def megabytes(self, plan: Plan) -> float:
        """Memory that a worker takes at its largest while it carries out a plan."""
        needed = (
            expected_megabytes(_config(self.model, scale), height, width, self_ensemble=self.self_ensemble)
            for scale, (width, height) in zip(plan.passes, plan.inputs, strict=True)
        )
        return PROCESS_MEGABYTES + max(needed)

    def check(self, data: bytes, megabytes: float) -> Size:
        """Looks at a file's header alone; width and height. Raises HPINetError where nothing can be made of it in a
        worker with that much memory.
        """
        size = picture_size(data)
        needed = self.megabytes(self.plan(size))
        if needed > megabytes:
            raise OptionError(
                f"This takes {needed / 1000:.1f} GB of memory and a worker has {megabytes / 1000:.1f} GB: "
                "take a smaller scale, or fewer workers with more memory (--worker-memory)."
            )
        return size

    def upscaler(self, scale: int) -> Upscaler:
        """The upscaler of a native scale, fetched if it is not on this machine."""
        return Upscaler.load(
            _source(self.model),
            scale=scale,
            engine=self.engine,
            device=self.device,
            self_ensemble=self.self_ensemble,
            fetch=True,
        )


def _source(model: str) -> str | Path:
    """A file or folder as a path, so that it is taken for nothing else."""
    return path if exists(path := path_of(model)) and len(path.parts) > 1 else model


@lru_cache
def _described(model: str, scale: int) -> registry.CheckpointInfo:
    return registry.find(_source(model), scale=scale)


@lru_cache
def _config(model: str, scale: int) -> HPINetConfig:
    info = _described(model, scale)
    return read_config(info.path) if info.path else variant_config(info.variant, scale)


def _identity(info: registry.CheckpointInfo) -> str:
    """What stays the same when weights are fetched: the authors' files, which have no levels, are pinned by name."""
    if info.origin == "authors" or info.path is None:
        return info.name
    names = info.levels.names if info.levels else ()
    levels = [file for name in names if (file := info.path / name / WEIGHTS).is_file()]
    return " ".join([str(info.sha256), repr(info.levels), *map(file_sha256, levels)])


@lru_cache
def _natives(model: str) -> tuple[int, ...]:
    """The scales of a model. A Hub repository is fetched for that."""
    return registry.native_scales(_source(model), fetch=True)


def enlarge(
    order: Order,
    name: str,
    target: str,
    *,
    source: Place,
    results: Place,
    upscaler: Callable[[int], Upscaler],
) -> Line:
    """One picture from place to place by the one path, and its line. It raises nothing: what goes wrong is the line's.

    Args:
        order: What to do.
        name: Of the picture in ``source``.
        target: Of the result in ``results``, which appears whole or not at all.
        source: Where the picture lies.
        results: Where the result goes.
        upscaler: Of a native scale.
    """
    began = time.perf_counter()
    line = Line(name, "", 0, 0, 0, target, order.model, order.treatment, order.fingerprint(), 0.0, "done")
    try:
        with nullcontext() if source.folder and results.folder else TemporaryDirectory(prefix="hpinet-") as scratch:
            data = source.read(name)
            line = replace(line, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
            here = _here(source, name, data, scratch)
            there = results.folder / target if results.folder else Path(scratch or "") / f"result-{Path(target).name}"
            done = enlarge_file(
                here,
                plan=order.plan,
                run=lambda picture, plan: run_plan(picture, plan, upscaler, treatment=order.treatment),
                target=lambda _plan: there,
                format=order.format,
                quality=order.quality,
                metadata=order.metadata,
            )
            if not results.folder:
                results.write(target, there.read_bytes())
        width, height = done.plan.source
        model = upscaler(done.plan.passes[-1]).info.name
        line = replace(line, width=width, height=height, model=model)
        return replace(line, seconds=time.perf_counter() - began)
    except Exception as error:  # a picture that makes the program fail is no reason to stop the others either
        outcome: Outcome = "refused" if isinstance(error, OptionError) else "failed"
        return replace(line, outcome=outcome, error=said(error), seconds=time.perf_counter() - began)


def _here(source: Place, name: str, data: bytes, scratch: str | None) -> Path:
    """The picture as a file of this machine."""
    if source.folder:
        return source.folder / name
    here = Path(scratch or "") / PurePosixPath(name).name
    here.write_bytes(data)
    return here


def said(error: BaseException) -> str:
    """An error in one line."""
    words = str(error).strip().partition("\n")[0]
    return words if isinstance(error, HPINetError) and words else f"{type(error).__name__}: {words}"
