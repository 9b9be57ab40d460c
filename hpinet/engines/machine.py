"""What the process may use of the machine it runs on."""

import os
from functools import lru_cache
from math import ceil
from pathlib import Path

import psutil

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")


def cpu_allowance() -> int:
    """CPUs that this process may keep busy: its affinity and, in a container on Linux, its quota. At least 1.

    A container with two CPUs of a large machine sees all of them; as many threads would mostly wait for each other.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota() or allowed))


def _quota() -> int | None:
    """CPUs of the control group's bandwidth limit, rounded up; None where there is no limit."""
    try:
        quota, period = CGROUP_QUOTA.read_text().split()
        return None if quota == "max" else ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=1)
def memory_allowance() -> float:
    """Megabytes that this process may hold at most: the machine's or, in a container on Linux, its limit. Read once."""
    there = psutil.virtual_memory().total / 1e6
    try:
        limit = CGROUP_MEMORY.read_text().strip()
        return there if limit == "max" else min(there, int(limit) / 1e6)
    except (OSError, ValueError):
        return there
