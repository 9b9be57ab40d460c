"""The model replicas of a page on a cluster, as the page sees them.

Ray Serve chooses the replica, counts what is under way for its autoscaling, and starts another where one ended. The
replica then calls back to the page, over a socket that only the two can open, and both speak as `hpinet.apart` does:
so progress, Stop and the page's turns reach it, and a replica that waits for its turn does not work.
"""

# pyright: reportMissingImports=false
# ruff: noqa: PLC0415 (Ray is an extra, and slow to import)

import asyncio
import os
import secrets
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from hpinet.apart import Answer, ApartError, Request, ask, serve
from hpinet.cluster.connection import ClusterError
from hpinet.errors import Cancelled, HPINetError
from hpinet.progress import Progress
from hpinet.upscaler import Upscaler
from hpinet.version import __version__

MODELS = "hpinet-models"
"""What Serve calls the application of the replicas."""

TRIES = 4
"""How many replicas may end while they work on one picture."""

LOOK_UP_SECONDS = 0.2
STRANGER_SECONDS = 10  # that whoever calls has to show the key

_Place = tuple[Any, bytes]  # where the page listens, and the key to it


class FullError(HPINetError):
    """The cluster has as much to do as it takes."""


class Replica:
    """What Serve runs on the machines."""

    def __init__(self, version: str) -> None:
        if version != __version__:
            raise ClusterError(f"This machine has HPINet {__version__} and the page {version}: install the same.")
        _loaded("hpinet-t-x4", 4)  # what most ask for

    async def enlarge(self, place: _Place, token: str) -> None:
        """Does the one request that the page has for this token."""
        await asyncio.to_thread(_enlarge, place, token)


def _enlarge(place: _Place, token: str) -> None:
    address, key = place
    with suppress(EOFError, OSError):  # the page has given it up, or is gone
        connection = Client(address, authkey=key)
        connection.send(token)
        serve(connection, _upscaler)


def _upscaler(checkpoint: Path, scale: int) -> Upscaler:
    """The same weights on this machine, by their name where the page's own folder is not here."""
    return _loaded(str(checkpoint) if checkpoint.exists() else checkpoint.name, scale)


@cache
def _loaded(source: str, scale: int) -> Upscaler:
    return Upscaler.load(Path(source) if "/" in source else source, scale=scale, fetch=True)


@contextmanager
def _patience(connection: Connection, seconds: int) -> Iterator[None]:
    """Within this, whoever is at the other end has so long for each word; then it is an OSError."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, 0))
        yield
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))


class Replicas:
    """On the page's side: see `hpinet.ui.jobs.elsewhere.Machines`."""

    def __init__(self, handle: Any, *, at_once: int, host: str) -> None:
        """``handle`` is Serve's, ``host`` the address of this machine that the others can reach."""
        self.at_once = at_once
        self._handle = handle
        self._key = secrets.token_bytes(32)
        self._listener = Listener((host, 0), backlog=64)
        self._expected: dict[str, SimpleQueue[Connection]] = {}
        threading.Thread(target=self._receive, daemon=True).start()

    def run(self, request: Request, progress: Progress) -> Answer:
        """As `hpinet.apart.Apart.run`; where a replica ends meanwhile, another begins anew.

        Raises FullError where Serve takes no more, and ApartError where replicas end again and again.
        """
        for _ in range(TRIES):
            with suppress(EOFError, OSError), self._connected(progress) as connection:
                return ask(connection, request, progress)
        raise ApartError("The work was ended each time, perhaps for want of memory: try a smaller scale.")

    def _connected(self, progress: Progress) -> Connection:
        """The connection of a replica that is free. Raises EOFError if it ends before it calls."""
        from ray.serve.exceptions import BackPressureError

        token, arrived = secrets.token_hex(), SimpleQueue[Connection]()
        self._expected[token] = arrived
        response = self._handle.enlarge.remote((self._listener.address, self._key), token)
        try:
            while True:
                with suppress(Empty):
                    return arrived.get(timeout=LOOK_UP_SECONDS)
                progress(0, 1)  # it may be somebody else's turn, or this work be stopped
                try:
                    response.result(timeout_s=0)
                except TimeoutError:
                    continue
                except BackPressureError as error:
                    raise FullError("All machines are busy: try again in a minute.") from error
                except Exception as error:
                    raise EOFError from error
                with suppress(Empty):
                    return arrived.get(timeout=LOOK_UP_SECONDS)
                raise EOFError
        except Cancelled:
            response.cancel()
            raise
        finally:
            del self._expected[token]

    def _receive(self) -> None:
        while True:
            with suppress(EOFError, OSError):  # gone already
                threading.Thread(target=self._hand_over, args=(self._listener.accept(),), daemon=True).start()

    def _hand_over(self, connection: Connection) -> None:
        """Asks for the key here, not while others wait to be heard: a stranger may say nothing at all."""
        with suppress(EOFError, OSError, AuthenticationError):
            with _patience(connection, STRANGER_SECONDS):
                deliver_challenge(connection, self._key)
                answer_challenge(connection, self._key)
            if expected := self._expected.get(connection.recv()):
                expected.put(connection)
            else:
                connection.close()
