"""The example gallery. Its results are kept on disk, so that the second visitor who clicks one waits for nothing."""

import errno
import hashlib
import json
import logging
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from hpinet.plan import Plan
from hpinet.settings import settings
from hpinet.ui.jobs.enlarge import Outcome, Wanted
from hpinet.ui.jobs.models import choice_of
from hpinet.version import __version__

_log = logging.getLogger(__name__)

FOLDER = Path(__file__).parents[3] / "examples"


@dataclass(frozen=True)
class Example:
    """A picture in the gallery."""

    path: Path
    caption: str
    licence: str


def load_examples(folder: Path = FOLDER) -> list[Example]:
    """The pictures that the folder's README lists, in its order; none where the folder is absent."""
    readme = folder / "README.md"
    if not readme.is_file():
        return []
    rows = re.findall(
        r"^\| `([^`]+)` \| [^|]+ \| ([^|]+) \| [^|]+ \| ([^|]+) \|$", readme.read_text("utf-8"), re.MULTILINE
    )
    return [Example(folder / name, caption, licence) for name, caption, licence in rows]


def cached(source: Path, plan: Plan, wanted: Wanted, folder: Path) -> Outcome | None:
    """The result of an example run before, copied into ``folder``; None for anything else."""
    place = _place(source, plan, wanted)
    if place is None:
        return None
    try:
        told = json.loads((place / "outcome.json").read_text("utf-8"))
        picture = Path(shutil.copy(place / "result.png", folder / "result.png"))
    except OSError:  # not run yet, or a cache that cannot be read
        return None
    return Outcome(**{**told, "plan": plan, "picture": picture})


def is_kept(source: Path, plan: Plan, wanted: Wanted) -> bool:
    """Whether `cached` will most likely find it."""
    place = _place(source, plan, wanted)
    return place is not None and (place / "outcome.json").is_file()


def remember(source: Path, wanted: Wanted, outcome: Outcome) -> None:
    """Keeps the result if ``source`` is an example. A cache that cannot be written costs the next visitor a wait."""
    place = _place(source, outcome.plan, wanted)
    if place is None:
        return
    told = asdict(replace(outcome, picture=Path()))
    del told["plan"], told["picture"]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as part:
            shutil.copy(outcome.picture, Path(part) / "result.png")
            (Path(part) / "outcome.json").write_text(json.dumps(told), "utf-8")
            Path(part).rename(place)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # else somebody was quicker
            _log.warning("The result of an example cannot be kept: %s", error)


def _place(source: Path, plan: Plan, wanted: Wanted) -> Path | None:
    """Where the result of an example is kept; None if ``source`` is none. New weights or code make a new place."""
    try:
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
    except OSError:  # deleted by its visitor: whoever needs it says so
        return None
    if digest not in _digests():
        return None
    used = [choice_of(wanted.model).natives[scale] for scale in plan.passes]
    weights = [(info.sha256, info.levels and info.levels.to_json()) for info in used]
    key = json.dumps([digest, plan.target, plan.passes, weights, wanted.treatment, settings().engine, __version__])
    return settings().cache / "examples" / hashlib.sha256(key.encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def _digests() -> frozenset[str]:
    return frozenset(hashlib.sha256(example.path.read_bytes()).hexdigest() for example in load_examples())
