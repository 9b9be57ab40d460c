"""Results as files of the formats that are asked for: to make a large one is a job among the others.

For some formats it takes half a minute, and many times the memory of the picture.
"""

from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import BoundedSemaphore

from hpinet.errors import OptionError
from hpinet.images import Metadata, MetadataChoice, save_picture
from hpinet.plan import Size
from hpinet.ui.jobs.models import most_megabytes
from hpinet.ui.jobs.previews import open_result
from hpinet.ui.jobs.running import Needs, StopFlag, heavy, turns
from hpinet.ui.server.storage import in_use

_COSTS = {"PNG": (25, 0.3), "JPEG": (25, 0.1), "WebP": (45, 0.3), "AVIF": (50, 0.7)}
"""Megabytes and seconds that a megapixel takes, its own samples included; rounded up from what was measured."""

_QUICK_MB = 100
_QUICK_ONES = BoundedSemaphore(4)  # no bound on jobs counts them


@dataclass(frozen=True)
class ResultFile:
    """A file to download, made of a result."""

    result: Path  # its lossless file
    size: Size
    path: Path
    format: str  # key of `hpinet.ui.jobs.previews.FORMATS`
    quality: int
    metadata: MetadataChoice  # how much is written of what the source said
    said: Metadata

    @property
    def megabytes(self) -> float:
        """Memory that `save` takes."""
        return _COSTS[self.format][0] * self._megapixels

    @property
    def seconds(self) -> float:
        """That `save` takes."""
        return _COSTS[self.format][1] * self._megapixels

    @property
    def is_quick(self) -> bool:
        """Whether `save` takes but a moment and little memory."""
        return self.megabytes <= _QUICK_MB

    @property
    def _megapixels(self) -> float:
        """To be encoded."""
        return 0 if self._is_the_result or self.path.exists() else self.size[0] * self.size[1] / 1e6

    @property
    def _is_the_result(self) -> bool:
        return self.format == "PNG" and self.metadata == "drop"

    def save(self) -> None:
        """Makes the file unless it is there, at once."""
        if self.path.exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._is_the_result:
            with suppress(FileExistsError):  # by now
                self.path.hardlink_to(self.result)
            return
        with _QUICK_ONES if self.is_quick else nullcontext():
            picture = replace(open_result(self.result), metadata=self.said)
            save_picture(picture, self.path, format=self.format, quality=self.quality, metadata=self.metadata)


def save_in_turn(file: ResultFile, stop: StopFlag) -> None:
    """Makes the file unless it is there; what is not quick once there is room for it.

    Raises OptionError where it takes more memory than there is for one job, and what `hpinet.ui.jobs.running.heavy`
    raises.
    """
    if file.is_quick:
        file.save()
        return
    needed, limit = file.megabytes, most_megabytes()
    if needed > limit:
        raise OptionError(
            f"To write this as {file.format} takes {needed / 1000:.1f} GB of memory, and this page has "
            f"{limit / 1000:.1f} GB: choose another format."
        )
    with in_use(file.result.parent):
        _save(file, stop)


def _needs(file: ResultFile, stop: StopFlag) -> Needs:
    return Needs(stop, file.megabytes, file.seconds)


@heavy(duration=None, needs=_needs)
def _save(file: ResultFile, stop: StopFlag) -> None:
    if stop.ends():
        raise stop.reason()
    with turns().away():  # encoders call nobody back: without this, all other work would stand still
        file.save()
