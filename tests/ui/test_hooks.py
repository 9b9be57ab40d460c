"""Scripts of the page."""

import re
from pathlib import Path

from hpinet.ui import parts
from hpinet.ui.parts.theme import HEAD, HOOKS

OF_BROWSERS = {"location", "history"}


def test_what_events_call_is_there_before_the_page() -> None:
    """A visitor may choose a picture before the page's own script has run: an event would end in an error then."""
    folder = Path(str(parts.__file__)).parents[1]
    sources = [path.read_text("utf-8") for path in folder.rglob("*.py")]
    called = {name for source in sources for name in re.findall(r"\bwindow\.(\w+)\(", source)} - OF_BROWSERS
    assert {"followed", "forget", "restored", "runBegins"} <= called
    assert called <= set(re.findall(r"\bwindow\.(\w+) = ", HOOKS))
    assert HOOKS in HEAD
