"""The registry of checkpoints: which weights exist, and finding, fetching, converting and loading them.

Weights are bundled with this package, published by the authors, kept in a repository of the Hugging Face Hub, or lie
anywhere on disk. Nothing here uses the network except `fetch`, and `load` when told to.
"""

import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from filelock import FileLock, Timeout

from hpinet.checkpoints.download import Digest, download
from hpinet.checkpoints.files import (
    CARD,
    CONFIG,
    WEIGHTS,
    Provenance,
    Score,
    checkpoint_name,
    file_sha256,
    parameter_count,
    read_config,
    read_model,
    read_provenance,
    read_scores,
    variant_name,
    weights_file,
    write_checkpoint,
)
from hpinet.checkpoints.hub import cached_repository, fetch_repository, is_repository_id, whole_repository
from hpinet.checkpoints.levels import Levels, read_levels
from hpinet.errors import CheckpointError, OptionError
from hpinet.images.compression import Compression
from hpinet.model import SCALES, VARIANTS, HPINet, variant_config
from hpinet.paths import exists, path_of
from hpinet.progress import Progress, ignore
from hpinet.settings import AUTHORS_URL, settings
from hpinet.treatment import Treatment, quality_to_treat

DEFAULT_SCALE = 4


@dataclass(frozen=True)
class CheckpointInfo:
    """What is known of a checkpoint without loading it."""

    variant: str  # T, S, M, L or custom
    scale: int
    origin: str  # bundled, authors, hub or path
    path: Path | None  # its folder, or the single file; None while it has to be fetched
    size: int | None  # bytes of the weights file, on disk or to be fetched; None if unknown
    sha256: str | None  # of that same file
    parameters: int
    psnr_set5: float | None  # PSNR-Y on Set5 in dB, as measured and recorded in the card
    levels: Levels | None = None  # of treatment for compressed pictures

    @property
    def installed(self) -> bool:
        """Whether it can be loaded without the network."""
        return self.path is not None

    @property
    def name(self) -> str:
        """Such as ``hpinet-t-x4``."""
        return checkpoint_name(self.variant, self.scale)

    @property
    def own_name(self) -> str | None:
        """What its folder is called among the bundled ones, if not ``name``: such as ``hpinet-mine-x4``."""
        own = self.origin == "bundled" and self.path and self.path.name
        return own if own and own != self.name else None

    def strength(self, found: Compression | None, treatment: Treatment) -> float:
        """How strongly a treatment acts on a picture of which `hpinet.treatment.examine` found this; 0 is not at all.

        Raises OptionError if the treatment is "photo" and there are no levels. "auto" is then no treatment.
        """
        if self.levels is None:
            if treatment == "photo":
                raise OptionError(f"{self.name} has no weights for photographs: choose the treatment auto or clean.")
            return 0.0
        return self.levels.strength(quality_to_treat(found, treatment))


@dataclass(frozen=True)
class PublishedFile:
    """One of the authors' files."""

    digest: Digest
    size: int | None  # bytes
    set5: Score | None  # measured with these weights in this network, by `hpinet.evaluation`


PUBLISHED: dict[tuple[str, int], PublishedFile] = {
    ("S", 4): PublishedFile(
        Digest("sha256", "675abc363c9a2ea92a42d54d546bbdd19118cab10bb35b3fa1eeaa18158d0f58"),
        size=1_974_687,
        set5=Score(psnr_y=32.472, ssim_y=0.8976),
    ),
    ("M", 2): PublishedFile(
        Digest("sha256", "d2c6b13f459de9cf0c30877b7e7a28e78fa8b42b31e08fb30bb03d791b08b448"),
        size=3_244_837,
        set5=Score(psnr_y=38.120, ssim_y=0.9605),
    ),
    ("M", 3): PublishedFile(
        Digest("sha256", "b15f30423e115edf031da2ca280f3f3e4897c8a4e80fa416441dd5004876fb8b"),
        size=3_810_469,
        set5=Score(psnr_y=34.697, ssim_y=0.9289),
    ),
    ("M", 4): PublishedFile(
        Digest("sha256", "567043542711fb3171ac0c4487a1d867698df46613cdb49e8d0b7de936d9b223"),
        size=3_698_017,
        set5=Score(psnr_y=32.601, ssim_y=0.8987),
    ),
    ("L", 4): PublishedFile(Digest("git-blob", "9f63d059ea0616a8b1acf33c4882202262af75b3"), size=None, set5=None),
}
"""The authors' files by variant and scale, at `hpinet.settings.AUTHORS_COMMIT` of their repository."""

AUTHORS_RIGHTS = (
    "The authors of HPINet publish these weights without a licence. They remain theirs, and this project does not "
    "distribute them: ask the authors before passing them on or using them commercially."
)


def catalogue() -> list[CheckpointInfo]:
    """Every checkpoint that has a name: those bundled with this package, then the authors', fetched or not."""
    return [*_bundled(), *(_authors(variant, scale) for variant, scale in PUBLISHED)]


def find(source: str | Path, *, scale: int | None = None) -> CheckpointInfo:
    """Which checkpoint ``source`` means. Reads files, never the network.

    Args:
        source: A variant ("T", of which ``scale`` chooses one, 4 by default), a name ("hpinet-t-x4"), a checkpoint
            folder, a ``.safetensors`` or published ``.pth`` file, or a Hub repository "owner/name[@revision]" fetched
            before. Where a bundled checkpoint and one of the authors' share a name, the bundled one is meant.
        scale: What the checkpoint must enlarge by.

    Raises:
        OptionError: there is no such name, or the checkpoint has another scale.
        CheckpointError: nothing is there, it is not a checkpoint, or the repository has not been fetched.
    """
    text, path = str(source), path_of(source)
    if isinstance(source, str) and (parts := _NAME.fullmatch(source)):
        info = _find_named(parts["variant"].upper(), int(parts["scale"] or scale or DEFAULT_SCALE))
    elif text and exists(path):
        info = _describe(path, "path")
    elif repository := _repository(source):
        folder = cached_repository(repository["id"], repository["revision"])
        if folder is None:
            raise CheckpointError(
                f"There is no folder {text}, and no Hub repository of that name has been fetched: "
                f"`python -m hpinet fetch {text}` does."
            )
        info = _describe(folder, "hub")
    elif isinstance(source, Path) or path.suffix or len(path.parts) > 1:
        raise CheckpointError(f"There is no checkpoint {text}.")
    else:
        raise OptionError(f"There is no model {text!r}: name {', '.join(VARIANTS)}, a folder or file, or a repository.")
    if scale not in (None, info.scale):
        raise OptionError(f"{text} enlarges ×{info.scale}, not ×{scale}.")
    return info


def native_scales(source: str | Path, *, fetch: bool = False, progress: Progress = ignore) -> tuple[int, ...]:
    """The scales that a model exists for, rising: all of a variant ("T", "hpinet-t"), or the one of a checkpoint.

    ``fetch`` and ``progress`` are as for `load`, for a checkpoint that is not here. Raises what `load` raises.
    """
    parts = _NAME.fullmatch(source) if isinstance(source, str) else None
    variant = parts["variant"].upper() if parts and not parts["scale"] else None
    scales = tuple(sorted({info.scale for info in catalogue() if info.variant == variant}))
    return scales or ((_fetch_missing(source, None, progress) if fetch else find(source)).scale,)


def load(
    source: str | Path, *, scale: int | None = None, fetch: bool = False, progress: Progress = ignore
) -> tuple[HPINet, CheckpointInfo]:
    """The network that ``source`` means, in evaluation mode on the CPU, and what is known of it.

    Args:
        source: As for `find`.
        scale: As for `find`.
        fetch: Whether to fetch what is not on this machine.
        progress: Called with bytes done and all bytes while fetching.

    Raises:
        OptionError: as for `find`.
        CheckpointError: it is not on this machine, damaged, of another architecture, or cannot be fetched.
    """
    info = _fetch_missing(source, scale, progress) if fetch else find(source, scale=scale)
    if info.path is None:
        command = f"python -m hpinet fetch {info.variant} --scale {info.scale}"
        raise CheckpointError(f"{info.name} is not on this machine yet: `{command}` fetches it.")
    return read_model(info.path), info


def fetch(
    variant: str, scale: int | None = None, *, progress: Progress = ignore, patience: float = math.inf
) -> CheckpointInfo:
    """Brings weights to this machine: one of the authors' files, unless it is here, or a Hub repository as it is now.

    The authors' file is verified and converted into a checkpoint folder of the user cache. Several processes may do
    this at a time; a download that was interrupted continues. A repository at a full commit is fetched once.

    Args:
        variant: "S", "M", "L", a name such as "hpinet-m-x4", or "owner/name[@revision]", best with a full commit.
        scale: As for `find`.
        progress: Called with bytes done and all bytes; may raise Cancelled.
        patience: Seconds that the authors' server may take, whatever it sends.

    Raises:
        OptionError: as for `find`.
        CheckpointError: offline, too slow, not there, damaged, or the cache cannot be written.
    """
    if parts := _NAME.fullmatch(variant):
        key = parts["variant"].upper(), int(parts["scale"] or scale or DEFAULT_SCALE)
        if key in PUBLISHED and scale in (None, key[1]):
            return _fetch_published(*key, progress, patience)
    if repository := _repository(variant):
        fetch_repository(repository["id"], repository["revision"], progress=progress)
    return find(variant, scale=scale)


def convert(source: Path, output: Path) -> CheckpointInfo:
    """Writes a published ``.pth`` or a lone ``.safetensors`` as a checkpoint folder.

    What is known of the source (its SHA-256; for the authors' files their address and rights; for a ``.safetensors`` of
    ours what it says of these itself) goes into the card and the metadata of the weights. Raises CheckpointError if
    ``source`` is not the weights of a named variant, or ``output`` has a file that it would replace: a checkpoint's, or
    a README.md or config.json of anything else.
    """
    if source.is_dir():
        raise CheckpointError(f"{source} is a folder: convert takes a .pth or .safetensors file.")
    if there := next((name for name in (WEIGHTS, CONFIG, CARD) if exists(output / name)), None):
        raise CheckpointError(f"{output} has a file {there} already: choose another folder.")
    model = read_model(source)
    key = variant_name(model.config), model.config.scale
    published = PUBLISHED.get(key)
    try:
        if published and published.digest.matches(source):
            _write_published(source, output, *key)
        else:
            provenance = read_provenance(source) or Provenance(
                source=f"Converted from {source.name}",
                source_sha256=file_sha256(source),
                licence="unknown",
                note="Nothing is known of the rights to these weights: ask whoever trained them.",
            )
            write_checkpoint(model, output, provenance)
    except OSError as error:
        raise CheckpointError(f"Cannot write {output}: {error.strerror}.") from error
    return _describe(output, "path")


_NAME = re.compile(rf"(?:hpinet-)?(?P<variant>[{''.join(VARIANTS)}])(?:-x(?P<scale>\d{{1,4}}))?", re.IGNORECASE)
_HUB = re.compile(r"(?P<id>[^/@]+/[^/@]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)


def _repository(source: str | Path) -> re.Match[str] | None:
    """The parts of a Hub repository's name, if ``source`` reads like one and no file or folder has it."""
    if isinstance(source, Path) or exists(Path(source)) or Path(source).suffix in (".pth", ".safetensors"):
        return None
    parts = _HUB.fullmatch(source)
    return parts if parts and is_repository_id(parts["id"]) else None


def _find_named(variant: str, scale: int) -> CheckpointInfo:
    known = catalogue()
    for info in known:
        if (info.variant, info.scale) == (variant, scale):
            return info
    if scale not in SCALES:
        raise OptionError(f"scale must be one of {', '.join(map(str, SCALES))}, not {scale}.")
    others = ", ".join(sorted({f"{info.variant} ×{info.scale}" for info in known}))
    raise CheckpointError(f"There are no weights for {variant} ×{scale}; there are {others}.")


def _bundled() -> list[CheckpointInfo]:
    packaged = Path(__file__).parents[1] / "_checkpoints"  # inside an installed wheel
    folder = packaged if packaged.is_dir() else Path(__file__).parents[2] / "checkpoints"
    found = [_describe(config.parent, "bundled") for config in sorted(folder.glob(f"hpinet-*-x*/{CONFIG}"))]
    # Where two fit a name, it means the folder that is called so.
    return sorted(found, key=lambda info: info.path is not None and info.path.name != info.name)


def _authors(variant: str, scale: int) -> CheckpointInfo:
    """One of the authors' checkpoints. Opens none of its files: a damaged one must not hide the others."""
    published = PUBLISHED[variant, scale]
    folder = _authors_folder(variant, scale)
    installed = (folder / WEIGHTS).is_file()
    sha256 = published.digest.value if published.digest.algorithm == "sha256" else None
    return CheckpointInfo(
        variant=variant,
        scale=scale,
        origin="authors",
        path=folder if installed else None,
        size=(folder / WEIGHTS).stat().st_size if installed else published.size,
        sha256=file_sha256(folder / WEIGHTS) if installed else sha256,
        parameters=parameter_count(variant_config(variant, scale)),
        psnr_set5=published.set5.psnr_y if published.set5 else None,
    )


def _authors_folder(variant: str, scale: int) -> Path:
    return settings().cache / "authors" / checkpoint_name(variant, scale)


def _describe(path: Path, origin: str) -> CheckpointInfo:
    """What a checkpoint folder or weights file holds. Read once, as long as its files keep their sizes and times."""
    files = sorted(path.iterdir()) if path.is_dir() else [path, path.with_name(CONFIG)]
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
    return _read_description(path, origin, tuple(facts))


@lru_cache(maxsize=256)
def _read_description(path: Path, origin: str, _facts: tuple[tuple[str, int, int], ...]) -> CheckpointInfo:
    config, file = read_config(path), weights_file(path)
    score = read_scores(path).get("Set5") if path.is_dir() else None
    return CheckpointInfo(
        variant=variant_name(config),
        scale=config.scale,
        origin=origin,
        path=path,
        size=file.stat().st_size,
        sha256=file_sha256(file),
        parameters=parameter_count(config),
        psnr_set5=score.psnr_y if score else None,
        levels=read_levels(path),
    )


def _fetch_missing(source: str | Path, scale: int | None, progress: Progress) -> CheckpointInfo:
    """`find`, after fetching what is not on this machine."""
    if (repository := _repository(source)) and whole_repository(repository["id"], repository["revision"]) is None:
        try:
            fetch_repository(repository["id"], repository["revision"], progress=progress)
        except CheckpointError:
            if cached_repository(repository["id"], repository["revision"]) is None:
                raise  # else what other tools have fetched of it, perhaps without its levels, will do
    info = find(source, scale=scale)
    is_here = info.path is not None and (info.origin != "authors" or _intact(info.path))
    return info if is_here else _fetch_published(info.variant, info.scale, progress, math.inf)


def _fetch_published(variant: str, scale: int, progress: Progress, patience: float) -> CheckpointInfo:
    published, folder = PUBLISHED[variant, scale], _authors_folder(variant, scale)
    size = published.size or 4 * parameter_count(variant_config(variant, scale))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with _alone(folder, size, progress, patience):
            if not _intact(folder):
                file = folder.with_name(_file_name(variant, scale))
                url = f"{settings().authors_url}/{file.name}"
                left = patience - (time.monotonic() - began)
                download(url, file, published.digest, size=size, progress=progress, patience=left)
                _write_published(file, folder, variant, scale)
                file.unlink()
    except OSError as error:
        raise CheckpointError(f"Cannot write {folder}: {error.strerror}. HPINET_CACHE names another place.") from error
    return _authors(variant, scale)


def _write_published(file: Path, folder: Path, variant: str, scale: int) -> None:
    """Converts an authors' file that has been verified."""
    published = PUBLISHED[variant, scale]
    provenance = Provenance(
        source=f"Published by the authors: {AUTHORS_URL}/{_file_name(variant, scale)}",
        source_sha256=file_sha256(file),
        licence="other",
        note=AUTHORS_RIGHTS,
    )
    write_checkpoint(read_model(file), folder, provenance, scores={"Set5": published.set5} if published.set5 else {})


def _file_name(variant: str, scale: int) -> str:
    return f"HPINet-{variant}-x{scale}.pth"


def _intact(folder: Path) -> bool:
    if not (folder / WEIGHTS).is_file():
        return False
    try:
        read_model(folder)
    except CheckpointError:
        return False
    return True


@contextmanager
def _alone(folder: Path, size: int, progress: Progress, patience: float) -> Iterator[None]:
    """Waits until no other process or thread fetches into ``folder``; waiting can be cancelled.

    Raises CheckpointError after ``patience`` seconds.
    """
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    ends = time.monotonic() + patience
    while True:
        progress(0, size)
        if time.monotonic() > ends:
            raise CheckpointError(f"{folder.name} is being fetched just now, and that takes long: try again later.")
        try:
            lock.acquire(timeout=0.5)
            break
        except Timeout:
            continue
    try:
        yield
    finally:
        lock.release()
