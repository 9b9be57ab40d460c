"""Enlarging in a process of its own, on the CPU, with several pictures under way at once.

For programs that cannot compute themselves: one that forks must not have threads of OpenVINO, and where `spaces`
emulates a GPU every tensor is watched. Requests and answers are pickles over a socket that only the two can open.
"""

import atexit
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

from hpinet.errors import Cancelled, HPINetError
from hpinet.images import Picture
from hpinet.plan import Plan, run_plan
from hpinet.progress import Progress, Stopwatch
from hpinet.treatment import Treatment
from hpinet.upscaler import Upscaler


@dataclass(frozen=True)
class Request:
    """What to do: `hpinet.plan.run_plan` with the checkpoints in these folders, by scale."""

    checkpoints: Mapping[int, Path]
    picture: Picture
    plan: Plan
    treatment: Treatment


@dataclass(frozen=True)
class Answer:
    """The result, what made it, in words fit to show, and the seconds that it took."""

    result: Picture
    engine: str
    seconds: float


def carry_out(
    picture: Picture, plan: Plan, upscaler: Callable[[int], Upscaler], treatment: Treatment, progress: Progress
) -> Answer:
    """`hpinet.plan.run_plan` in this process, timed; neither what is loaded first nor waiting for turns counts."""
    engine = upscaler(plan.passes[-1]).engine
    watch = Stopwatch(progress)
    result = run_plan(picture, plan, upscaler, treatment=treatment, progress=watch)
    return Answer(result, f"{engine.name} on {engine.device}", watch.seconds)


class ApartError(HPINetError):
    """The process ended; the next request starts another."""


class Apart:
    """The process, started by the first request and kept. It ends when this one does, however that ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key = secrets.token_bytes(32)
        self._process: subprocess.Popen[bytes] | None = None
        self._address = ""
        atexit.register(self.close)

    def run(self, request: Request, progress: Progress) -> Answer:
        """Does it, from any thread; ``progress`` is called in this process and may raise `Cancelled`.

        Raises what `run_plan` raises, and ApartError if the process ends meanwhile.
        """
        try:
            with Client(self._ready(), authkey=self._key) as connection:
                return ask(connection, request, progress)
        except (EOFError, OSError) as error:
            raise ApartError("The work was ended, perhaps for want of memory: try a smaller scale.") from error

    def close(self) -> None:
        """Ends the process; what is under way there fails."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _ready(self) -> str:
        """Where the process listens."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", "from hpinet.apart import main; main()"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=_environment(),
                )
                assert self._process.stdin is not None
                assert self._process.stdout is not None
                self._process.stdin.write(self._key.hex().encode() + b"\n")
                self._process.stdin.flush()
                self._address = self._process.stdout.readline().decode().strip()
            return self._address


def _environment() -> dict[str, str]:
    """This process's own, without GPUs on loan, and with this package."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPACES_", "ZEROGPU_"))}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), kept.get("PYTHONPATH"))))}


_ROOT = Path(__file__).parents[1]


def ask(connection: Connection, request: Request, progress: Progress) -> Answer:
    """Has a request done by the process at the other end, which `serve`s it. Raises EOFError if that ends."""
    connection.send(request)
    while isinstance(answer := connection.recv(), tuple):
        _reply(connection, progress, *answer)
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _reply(connection: Connection, progress: Progress, done: int, total: int) -> None:
    """Passes progress on, and back whether to go on. Raises what ``progress`` raises, with the other side told."""
    try:
        progress(done, total)
    except BaseException:
        connection.send(False)
        raise
    connection.send(True)


# ----------------------------------------------------------------------------------------------- in the process apart


def main() -> None:
    """Serves the parent until it has gone."""
    key = bytes.fromhex(sys.stdin.readline().strip())
    with Listener(authkey=key) as listener:
        sys.stdout.write(f"{listener.address}\n")
        sys.stdout.flush()
        threading.Thread(target=_leave_with_the_parent, daemon=True).start()
        while True:
            with suppress(AuthenticationError, EOFError, OSError):  # a stranger, or gone already
                threading.Thread(target=serve, args=(listener.accept(),), daemon=True).start()


def _leave_with_the_parent() -> None:
    parent = os.getppid()  # not the end of the pipe: processes that the parent forked hold that open
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def serve(connection: Connection, load: Callable[[Path, int], Upscaler] | None = None) -> None:
    """Does what the other end `ask`s for, once. ``load`` gives the upscaler of a checkpoint and scale."""
    with connection, suppress(EOFError, OSError):  # whoever has asked may be gone
        request: Request = connection.recv()
        try:
            answer = _answer(request, load or _loaded, partial(_progress, connection))
        except (HPINetError, MemoryError) as error:
            connection.send(error)
        except Exception as error:  # a defect: its own kind may not pass the socket
            connection.send(RuntimeError(f"{type(error).__name__}: {error}"))
        else:
            connection.send(answer)


def _answer(request: Request, load: Callable[[Path, int], Upscaler], progress: Progress) -> Answer:
    def upscaler(scale: int) -> Upscaler:
        return load(request.checkpoints[scale], scale)

    return carry_out(request.picture, request.plan, upscaler, request.treatment, progress)


@cache
def _loaded(checkpoint: Path, scale: int) -> Upscaler:
    return Upscaler.load(checkpoint, scale=scale, device="cpu")


def _progress(connection: Connection, done: int, total: int) -> None:
    connection.send((done, total))
    if not connection.recv():
        raise Cancelled
