"""The line that each heavy job leaves."""

import json
import logging
from contextlib import nullcontext

import pytest

from hpinet.errors import Cancelled, OptionError
from hpinet.ui.jobs import journal


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "done"), (Cancelled(), "stopped"), (OptionError("cat.png"), "OptionError"), (KeyError("cat"), "defect")],
)
def test_a_job_leaves_one_line_that_names_nobody(
    error: Exception | None, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, journal.LOG.name)
    expected = nullcontext() if error is None else pytest.raises(type(error))
    with expected, journal.kept("enlarge", megabytes=12.3, expected=4.56):
        if error is not None:
            raise error
    [record] = caplog.records
    line = json.loads(record.getMessage())
    assert line == {"what": "enlarge", "megabytes": 12.3, "expected": 4.6, "seconds": 0.0, "outcome": outcome}


def test_it_is_started_once() -> None:
    journal.start()
    journal.start()
    assert len(journal.LOG.handlers) == 1
