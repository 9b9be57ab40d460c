"""One line of JSON for each heavy job: what, how large, how long and how it ended.

Never a name, an address, a session or a pixel: a line tells nobody who asked for what.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hpinet.errors import Cancelled, HPINetError

LOG = logging.getLogger("hpinet.jobs")


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
        line = {
            "what": what,
            "megabytes": round(megabytes, 1),
            "expected": round(expected, 1),
            "seconds": round(time.monotonic() - began, 1),
            "outcome": outcome,
        }
        LOG.info(json.dumps(line))
