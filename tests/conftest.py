"""Fixtures of every test."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

from hpinet.settings import settings

# The same examples in every run, however long one takes: a busy machine is no defect.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

SHARED = Path(__file__).parents[2] / "shared"

# Gradio takes the first port that is free from here on, and does not recover when two processes take the same one at
# once (its MCP sessions start only once): test processes look for theirs in ranges of their own. Read at its import.
PORTS_EACH = 100
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
os.environ["GRADIO_SERVER_PORT"] = str(20000 + PORTS_EACH * _worker)
os.environ["GRADIO_NUM_PORTS"] = str(PORTS_EACH)
# And each keeps its files for itself: a visitor who deletes theirs in one process would take them from one in another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("GRADIO_TEMP_DIR", None)


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    """Small tensors gain nothing from many threads, and two cores are all that CI has."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    torch.set_num_threads(max(1, min(2, os.cpu_count() or 1) // processes))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder beside the project with benchmark data and published weights; its tests skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared with benchmark data and published weights")
    return SHARED


@pytest.fixture
def settings_of_this_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test sets in its environment counts for it alone, and so do the threads that come of it."""
    threads = torch.get_num_threads()
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()
    torch.set_num_threads(threads)


skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        skipped.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Of modules that are skipped as a whole."""
    if report.skipped:
        skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything has to be there (CI, with ../shared beside the project), a test that is skipped has failed."""
    if skipped and os.environ.get("CI") and SHARED.is_dir():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if skipped and os.environ.get("CI") and SHARED.is_dir():
        terminalreporter.section("tests skipped where nothing may be missing")
        terminalreporter.write_line("\n".join(skipped))
