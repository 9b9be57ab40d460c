"""What the process may use of the machine it runs on."""

import os
from math import ceil
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


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
