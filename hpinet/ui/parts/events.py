"""How handlers are hooked up, in one place."""

from pathlib import Path
from typing import Any

from hpinet.ui.jobs.previews import original_of
from hpinet.ui.jobs.turns import MOST_BATCHES
from hpinet.ui.server.storage import received

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
"""Everything the page does; programs use the functions in `hpinet.ui.endpoints`."""

LIGHT: dict[str, Any] = {**PRIVATE, "show_progress": "hidden", "concurrency_limit": 8, "concurrency_id": "light"}
"""Quick answers: many at a time."""

FORESIGHT: dict[str, Any] = {
    **PRIVATE,
    "show_progress": "hidden",
    "concurrency_limit": 1,
    "trigger_mode": "always_last",
}
"""What is said of fields as they are: quick, and one at a time, so that answers come in the order of the questions: of
two fields that change at once the browser asks twice, and an older answer must not come last. "always_last", since what
changes while an answer is under way would go unheard.
"""

COMPUTE: dict[str, Any] = {**PRIVATE, "concurrency_limit": None, "concurrency_id": "compute"}
"""Whatever may run a network. Jobs take turns, see `hpinet.ui.jobs.turns`, each in a thread of its own: none waits in
Gradio's queue, which knows arrival alone, and what was enlarged before is handed over at once.
"""

SPARE_THREADS = MOST_BATCHES + 16
"""Of Gradio's, beyond those of the jobs: for batches that wait, and for whatever is quick."""

RAW: dict[str, Any] = {"preprocess": False}
"""For handlers of pictures: Gradio would open the file with whatever Pillow can open, and fail in its own words."""


def uploaded(value: object) -> Path | None:
    """The file behind a raw value of `gradio.Image`, None if there is none. Raises OptionError, see `received`."""
    return received(value) if value else None


def chosen(value: object) -> Path | None:
    """The file that was chosen, where `uploaded` tells what is shown for it."""
    shown = uploaded(value)
    return None if shown is None else original_of(shown)
