"""How many CPUs the process may use."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpinet.engines import machine
from hpinet.engines.machine import cpu_allowance, memory_allowance


@pytest.fixture
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("limit", "cpus"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),  # one and a half: the second thread is half idle, which costs less than half a CPU
        ("10000 100000\n", 1),
        ("6400000 100000\n", 8),  # more than there are
        ("", 8),
        ("no numbers here\n", 8),
        ("a b\n", 8),
    ],
)
@pytest.mark.usefixtures("eight_cpus")
def test_quota_of_the_control_group(limit: str, cpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text(limit)
    monkeypatch.setattr(machine, "CGROUP_QUOTA", quota)
    assert cpu_allowance() == cpus


@pytest.mark.usefixtures("eight_cpus")
def test_without_a_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CGROUP_QUOTA", tmp_path / "missing")
    assert cpu_allowance() == 8


@pytest.mark.parametrize(("count", "cpus"), [(4, 4), (None, 1)])
def test_without_affinity(count: int | None, cpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS and Windows."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    monkeypatch.setattr(machine, "CGROUP_QUOTA", tmp_path / "missing")
    assert cpu_allowance() == cpus


@pytest.mark.parametrize(
    ("limit", "megabytes"), [("max\n", 8000), ("4000000000\n", 4000), ("9000000000", 8000), ("?", 8000)]
)
def test_memory_of_the_control_group(
    limit: str, megabytes: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = tmp_path / "memory.max"
    bound.write_text(limit)
    monkeypatch.setattr(machine, "CGROUP_MEMORY", bound)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(total=8e9))
    memory_allowance.cache_clear()
    assert memory_allowance() == megabytes
    memory_allowance.cache_clear()
