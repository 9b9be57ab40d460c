"""This process as the driver of a Ray cluster, and what its machines have to offer."""

# pyright: reportMissingImports=false
# ruff: noqa: PLC0415 (Ray is an extra, and slow to import)

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

from hpinet.errors import OptionError, needs_extra

CONNECT_SECONDS = 10
_PASSED_ON = ("ENGINE", "DEVICE", "MEMORY_MB", "AUTHORS_URL", "MAX_MEGAPIXELS", "MAX_UPLOAD_MB")
"""Settings of the driver that decide what workers do. Where they keep weights is the business of each machine."""


class ClusterError(OptionError):
    """There is no such cluster, or it has not what is asked for."""


@dataclass(frozen=True)
class Workers:
    """How many processes work at once, and what each has of its machine."""

    least: int
    most: int
    room: int  # for so many there is room now
    cpus: int = 1  # threads of the network
    gpus: float = 0
    megabytes: int = 2000

    def environment(self) -> dict[str, str]:
        """Variables that a worker starts with."""
        told = {name: os.environ[name] for name in (f"HPINET_{each}" for each in _PASSED_ON) if name in os.environ}
        return told | {"HPINET_THREADS": str(self.cpus)}


def check_installed() -> None:
    """Raises ClusterError if the extra is missing."""
    missing = [name for name in ("ray", "pyarrow", "fsspec") if not find_spec(name)]
    if missing:
        raise ClusterError(needs_extra("A cluster", missing, "cluster"))


@contextmanager
def connected(address: str) -> Iterator[None]:
    """This process takes part in the cluster at ``address``, or for "auto" in the one of this machine.

    Raises ClusterError if there is none, or it runs another Ray or Python.
    """
    check_installed()
    _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # workers without a GPU see what the machine has
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what is worth knowing comes as an exception
    import ray

    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        told = str(error).strip().partition("\n")[0]
        raise ClusterError(
            f"There is no Ray cluster at {address!r} that this program can join ({told}): "
            "`ray start --head` starts one here."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raises ClusterError if nothing listens at an address such as "10.0.0.1:6379": Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterError(f"There is no Ray cluster at {address}: {error.strerror or error}.") from error


def workers_of(
    bounds: str | None, *, cpus: int = 1, gpus: float | None = None, megabytes: int | None = None
) -> Workers:
    """The workers of the cluster that this process has joined.

    Args:
        bounds: "8", or "2-16", more than the machines there are where a cluster grows by itself; None is 1 to as many
            as there is room for now.
        cpus: Of each.
        gpus: Of each; None is one where the cluster has any.
        megabytes: Memory of each; None is an equal share of the smallest machine's.

    Raises ClusterError if the bounds make no sense or no machine has room for one.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = float(any(node.get("GPU", 0) for node in nodes)) if gpus is None else gpus
    room = [_room(node, cpus, gpus) for node in nodes]
    if not any(room) and bounds is None:
        raise ClusterError(
            f"No machine of this cluster has {cpus} CPUs{f' and {gpus:g} GPUs' if gpus else ''} to give."
        )
    shares = [node["memory"] / count / 1e6 for node, count in zip(nodes, room, strict=True) if count]
    share = int(min(shares, default=2000.0))
    least, most = _bounds(bounds, max(1, sum(room)))
    return Workers(least, most, sum(room), cpus, gpus, megabytes or share)


def _room(node: dict[str, float], cpus: int, gpus: float) -> int:
    """How many workers a machine has room for."""
    by_cpu = int(node.get("CPU", 0) // cpus)
    return min(by_cpu, int(node.get("GPU", 0) // gpus)) if gpus else by_cpu


def _bounds(text: str | None, room: int) -> tuple[int, int]:
    if text is None:
        return 1, room
    low, dash, high = text.partition("-")
    if not low.isdecimal() or (dash and not high.isdecimal()):
        raise ClusterError(f"--workers is like 4 or 2-16, not {text!r}.")
    least, most = int(low), int(high or low)
    if not 1 <= least <= most:
        raise ClusterError(f"--workers is like 4 or 2-16, not {text!r}.")
    return least, most
