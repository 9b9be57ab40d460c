"""What visitors are told when a scheduler lends no GPU; the sentences of `spaces` are those of its client."""

from collections.abc import Callable
from pathlib import Path

import gradio as gr
import pytest
import spaces

from hpinet.errors import Cancelled
from hpinet.plan import Plan
from hpinet.ui.jobs import zerogpu
from hpinet.ui.jobs.models import choice_of, operations
from hpinet.ui.jobs.zerogpu import LONGEST_SECONDS, GpuError, NoGpuError, Pace, in_our_words, on_gpu

EXCEEDED = "You have exceeded your free ZeroGPU quota (12s requested vs. 3s left). Try again in 0:20:00. "


def schedulers_error(title: str, message: str) -> gr.Error:
    return gr.Error(message, title=title, print_exception=False)


@pytest.mark.parametrize(
    ("title", "message", "kind", "words"),
    [
        ("ZeroGPU quota exceeded", EXCEEDED, NoGpuError, "takes 12 s of GPU time and you have 3 s left"),
        ("ZeroGPU quota exceeded", EXCEEDED, NoGpuError, "sign in to Hugging Face for more, or again in 0:20:00, or"),
        ("ZeroGPU quota exceeded", "Space app has reached its GPU limit. Try", NoGpuError, "sign in"),
        ("ZeroGPU quota exceeded", "You have exceeded your ZeroGPU runs limit. ", NoGpuError, "try again tomorrow"),
        ("ZeroGPU quota exceeded", "No GPU was available after 60s. Try", NoGpuError, "in a minute"),
        ("ZeroGPU queue timeout", "No GPU was available after 60s <a>", NoGpuError, "in a minute"),
        ("ZeroGPU client error", "No GPU was available", NoGpuError, "in a minute"),
        ("ZeroGPU client error", "Expired ZeroGPU proxy token", NoGpuError, "reload the page"),
        ("ZeroGPU pending credits exceeded", "You have too many ZeroGPU credits", NoGpuError, "once that is done"),
        ("ZeroGPU illegal duration", "The requested GPU duration (300s) is larger", GpuError, "try model T"),
        ("ZeroGPU worker error", "GPU task aborted", GpuError, "try model T"),
        ("ZeroGPU worker error", "OutOfMemoryError", GpuError, "not enough memory"),
        ("ZeroGPU worker error", "ZeroDivisionError", GpuError, "report number"),
    ],
)
def test_one_sentence_that_says_what_to_do(title: str, message: str, kind: type[GpuError], words: str) -> None:
    error = in_our_words(schedulers_error(title, message))
    assert type(error) is kind
    assert words in str(error)
    assert "ZeroGPU" not in str(error)
    assert "ZeroDivisionError" not in str(error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("Connection closed by visitor while queueing"), Cancelled),
        (RuntimeError("ZeroGPU API /schedule error: 500 (Internal Server Error)"), NoGpuError),
        (ConnectionError("nobody there"), NoGpuError),
    ],
)
def test_errors_that_are_not_gradios(error: Exception, kind: type[Exception]) -> None:
    assert type(in_our_words(error)) is kind


def test_the_words_are_those_that_spaces_uses() -> None:
    """A release with others needs other entries here."""
    folder = Path(spaces.__file__).parent / "zero"
    source = (folder / "client.py").read_text() + (folder / "wrappers.py").read_text()
    for words in ("runs limit", "pending credits", "its GPU limit", "illegal duration", "No GPU was available"):
        assert words in source
    for words in ("proxy token", "GPU task aborted", "s requested vs. ", "s left). ", "Try again in ", "by visitor"):
        assert words in source


def test_what_the_scheduler_raises_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    def gpu(duration: int) -> Callable[[Callable[[], None]], Callable[[], None]]:
        def decorate(work: Callable[[], None]) -> Callable[[], None]:
            def refuse() -> None:
                raise schedulers_error("ZeroGPU client error", "No GPU was available")

            return refuse

        return decorate

    monkeypatch.setattr(zerogpu.spaces, "GPU", gpu)
    with pytest.raises(NoGpuError, match="All GPUs are in use"):
        on_gpu(lambda: None, duration=3)()


def test_without_a_scheduler_the_work_is_as_it_was() -> None:
    def work() -> None:
        raise RuntimeError("its own")

    assert on_gpu(work, duration=3) is work


def test_little_is_asked_for_and_what_workers_took_counts() -> None:
    pace = Pace(cautious=3e12, enough=2e11)
    megapixel = operations(choice_of("T"), Plan((1000, 1000), (4000, 4000), (4,)))
    assert pace.to_ask_for(megapixel) <= 3
    pace.learn(megapixel, 0.1)
    assert pace.seconds(megapixel) == pytest.approx(0.1)
    pace.learn(megapixel, 20)
    assert pace.seconds(megapixel) == pytest.approx(20)  # the slowest of late
    assert pace.to_ask_for(megapixel) > 20
    assert pace.to_ask_for(100 * megapixel) == LONGEST_SECONDS
    for _ in range(8):
        pace.learn(megapixel, 0.5)
    assert pace.seconds(megapixel) == pytest.approx(0.5)
    pace.learn(1e9, 10)  # a small picture, whose time says nothing
    assert pace.seconds(megapixel) == pytest.approx(0.5)
