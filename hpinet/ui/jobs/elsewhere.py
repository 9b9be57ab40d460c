"""Other machines that enlarge for this page, if whoever serves it has given it any."""

from typing import Protocol

from hpinet.apart import Answer, Request
from hpinet.progress import Progress


class Machines(Protocol):
    """What takes the place of this process's own engines."""

    def run(self, request: Request, progress: Progress) -> Answer:
        """As `hpinet.apart.Apart.run`, with as many requests at a time as there are threads that call it."""
        ...

    @property
    def at_once(self) -> int:
        """How many pictures they work on at a time, each as quickly as if it were alone."""
        ...


_machines: list[Machines] = []


def use(machines: Machines) -> None:
    """From now on, the page's pictures are enlarged by these."""
    _machines[:] = [machines]


def machines() -> Machines | None:
    """Those in use; None if this process enlarges by itself."""
    return _machines[0] if _machines else None


def takes(kind: str) -> bool:
    """Whether they do work of that kind, as the journal calls it: they enlarge, all else is done here."""
    return kind == "enlarge" and bool(_machines)


def at_once() -> int:
    """How many jobs of theirs may work at a time."""
    return _machines[0].at_once if _machines else 1
