"""One line of JSON for each heavy job: what, how large, how long and how it ended.

Never a name, an address, a session or a pixel: a line tells nobody who asked for what.
"""

import json
import logging
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from hpinet.errors import Cancelled, HPINetError

LOG = logging.getLogger("hpinet.jobs")

_ended: Counter[tuple[str, str]] = Counter()  # jobs, by kind and end
_seconds: defaultdict[str, float] = defaultdict(float)  # that they took, by kind
_counting = threading.Lock()


def totals() -> tuple[dict[tuple[str, str], int], dict[str, float]]:
    """Since the process began: jobs by kind and kind of end, and the seconds that each kind took."""
    with _counting:
        return dict(_ended), dict(_seconds)


def start() -> None:
    """Writes the lines to standard error, once for this process."""
    if not LOG.handlers:
        LOG.addHandler(logging.StreamHandler(sys.stderr))
        LOG.setLevel(logging.INFO)


@contextmanager
def kept(what: str, *, megabytes: float, expected: float) -> Iterator[None]:
    """Writes the line of the work in the block: kind, memory, seconds expected and taken, and the kind of its end."""
    began, outcome = time.monotonic(), "done"
    try:
        yield
    except Cancelled:
        outcome = "stopped"
        raise
    except HPINetError as error:
        outcome = type(error).__name__
        raise
    except BaseException:
        outcome = "defect"
        raise
    finally:
        seconds = time.monotonic() - began
        with _counting:
            _ended[what, outcome] += 1
            _seconds[what] += seconds
        line = {
            "what": what,
            "megabytes": round(megabytes, 1),
            "expected": round(expected, 1),
            "seconds": round(seconds, 1),
            "outcome": outcome,
        }
        LOG.info(json.dumps(line))
