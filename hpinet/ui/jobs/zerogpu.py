"""Work on a GPU that a scheduler lends for seconds (ZeroGPU), what to ask of it, and what it answers, in our words.

The process that serves pages plans there, and never computes: workers forked from it do, which find on the GPU whatever
was put there before the page was launched.

`spaces` raises `gradio.Error` with words made for its own notices, or RuntimeError, in the main process; what the work
itself raises in a worker comes back as the name of its class. Elsewhere `spaces.GPU` changes nothing.
"""

import functools
import re
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from math import ceil
from typing import ParamSpec, TypeVar

import gradio as gr
import spaces
from spaces.config import Config

from hpinet.errors import Cancelled, HPINetError
from hpinet.ui.server.defects import reported

P = ParamSpec("P")
T = TypeVar("T")


IS_HERE: bool = Config.zero_gpu
"""Whether GPUs are lent to this process. Everything below is for that, and harmless elsewhere."""

LONGEST_SECONDS = 120
_START_SECONDS = 2.5  # of a worker: fork, CUDA, weights


class Pace:
    """How fast GPUs or CPUs are, in operations a second as `hpinet.engines.arithmetic.arithmetic` counts them.

    What workers took tells, from the first picture that is large enough to say something; until then, a cautious guess.
    """

    MARGIN = 1.3

    def __init__(self, *, cautious: float, enough: float) -> None:
        self._cautious = cautious  # operations a second until more is known
        self._enough = enough  # operations; of smaller work beginning and ending take most of the time
        self._measured: deque[float] = deque(maxlen=8)

    def learn(self, operations: float, seconds: float) -> None:
        """So much work took a worker so long."""
        if operations >= self._enough:
            self._measured.append(operations / seconds)

    def seconds(self, operations: float) -> float:
        """That so much work should take, at the slowest pace of late."""
        return operations / min(self._measured, default=self._cautious)

    def to_ask_for(self, operations: float) -> int:
        """Seconds of GPU to ask for: the least that is safe, since visitors pay with their daily time."""
        return min(LONGEST_SECONDS, ceil(_START_SECONDS + self.MARGIN * self.seconds(operations)))


PACE = Pace(cautious=3e12, enough=2e11)
"""Of lent GPUs. The guess is well below what they can do: 0.4 s for a megapixel with T ×4."""

CPU_PACE = Pace(cautious=2e10, enough=2e9)
"""Of this machine's CPU, in the process apart that works for visitors without a GPU. The guess is of two slow cores."""

CPU_MODEL = "T-cpu"
"""What visitors choose who have no GPU time left, or want to keep it."""


def quota_seconds(asked: int) -> int:
    """What the scheduler takes ``asked`` seconds for: it counts large GPUs more than once."""
    from spaces.zero.client import get_duration_seconds  # noqa: PLC0415 (only there: it emulates a GPU)

    return round(get_duration_seconds(timedelta(seconds=asked), None))


class GpuError(HPINetError):
    """The GPU cannot do this, or was taken away from it; other work may fare better."""


class NoGpuError(GpuError):
    """No GPU is to be had, for other work neither."""


_SMALLER = "try model T, or a smaller scale."
_CPU = f"or enlarge with model {CPU_MODEL}, which needs none"
_QUOTA = re.compile(r"\((\d+)s requested vs\. (-?\d+)s left\)(?:\. Try again in ([\d:]*\d))?")

_SENTENCES: tuple[tuple[str, type[GpuError], str], ...] = (
    ("runs limit", NoGpuError, f"You have used the GPU as often as one may today: try again tomorrow, {_CPU}."),
    ("pending credits", NoGpuError, "Your GPU time is taken by work under way: try again once that is done."),
    ("its GPU limit", NoGpuError, f"Without signing in there is no GPU time left: sign in to Hugging Face, {_CPU}."),
    ("illegal duration", GpuError, f"This takes more GPU time than one may ask for at once: {_SMALLER}"),
    ("No GPU was available", NoGpuError, f"All GPUs are in use: try again in a minute, {_CPU}."),
    ("proxy token", NoGpuError, "This visit has lasted too long for the GPU: reload the page."),
    ("GPU task aborted", GpuError, f"The GPU was taken away before this was done: {_SMALLER}"),
    ("OutOfMemoryError", GpuError, f"The GPU has not enough memory for this: {_SMALLER}"),
)
"""By words that stand in the title or the message, as spaces 0.51 has them."""


def on_gpu(work: Callable[P, T], *, duration: Callable[P, int] | int) -> Callable[P, T]:
    """`spaces.GPU`. What the scheduler raises becomes a `GpuError`, or `Cancelled` if the visitor has gone."""
    scheduled = spaces.GPU(duration=duration)(work)
    if scheduled is work:
        return work

    @functools.wraps(work)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return scheduled(*args, **kwargs)
        except Exception as error:  # of many kinds, those of the HTTP client included
            raise in_our_words(error) from error

    return call


def in_our_words(error: Exception) -> HPINetError:
    """What `spaces` has raised, as an error with one sentence that says what to do."""
    told = f"{getattr(error, 'title', '')}: {getattr(error, 'message', error)}"
    if "closed by visitor" in told:
        return Cancelled()
    if quota := _QUOTA.search(told):
        asked, left, wait = quota.groups()
        again = f", or again in {wait}" if wait else ""
        return NoGpuError(
            f"This takes {asked} s of GPU time and you have {max(0, int(left))} s left today: "
            f"sign in to Hugging Face for more{again}, {_CPU}."
        )
    for words, kind, sentence in _SENTENCES:
        if words in told:
            return kind(sentence)
    if isinstance(error, gr.Error) and "worker error" in told:  # our own defect, by the name of its class
        return GpuError(reported(error, "work on the GPU"))
    reported(error, "the scheduler of the GPU")
    return NoGpuError(f"The GPUs do not answer: try again in a minute, {_CPU}.")
