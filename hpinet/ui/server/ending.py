"""How a server ends that is told to (SIGTERM): its work stops, whoever waits for some is told, and nothing is cut off.

Gradio leaves that signal to the system, which ends the process at once: callers wait for what never comes, and files of
visitors stay behind. Its threads are daemons, and Python ends a daemon where it comes back from native code, which
aborts the process.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gradio.server_messages import ProcessCompletedMessage

from hpinet.errors import Cancelled

CLOSING_SECONDS = 5.0
"""How long a server that ends waits for its work to notice."""

TELLING_SECONDS = 0.7
"""How long it lets words reach those who listen: those of the work, then those for whoever is left."""


class Ending(Cancelled):
    """The work is over because the server is."""

    def __init__(
        self, message: str = "This server is being restarted, and the work on it ended: try again soon."
    ) -> None:
        super().__init__(message)


class Crew:
    """The calls of heavy work that are under way, so that the server can end without cutting one off inside C++."""

    def __init__(self) -> None:
        self.closing = False
        self._busy = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._busy += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Asks all work to stop, and waits until it has; a second time it waits no longer."""
        if not self.closing:
            self.closing = True
            with self._changed:
                self._changed.wait_for(lambda: not self._busy, CLOSING_SECONDS)


def end_in_order(crew: Crew) -> None:
    """Lets SIGTERM end this process as described above, within ten seconds; a second one ends it at once.

    To be called in the main thread, before the server starts.
    """
    own = os.getpid()

    def end(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != own:  # a worker that was forked: it has no callers
            os.kill(os.getpid(), number)
            return
        crew.close()
        if _SERVERS:
            time.sleep(TELLING_SECONDS)
        for server in list(_SERVERS):
            server.tell()
        if _SERVERS:
            time.sleep(TELLING_SECONDS)
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)


class _Server:
    """A queue of Gradio's, and the loop that it belongs to."""

    def __init__(self, queue: Any) -> None:
        self._queue, self._loop = queue, asyncio.get_running_loop()

    def tell(self) -> None:
        """Ends all calls that are still under way or wait, for those who listen to them."""
        self._loop.call_soon_threadsafe(self._end_all)

    def _end_all(self) -> None:
        active = [event for events in self._queue.active_jobs if events for event in events]
        waiting = [event for each in self._queue.event_queue_per_concurrency_id.values() for event in each.queue]
        for event in (*active, *waiting):
            if event.session_hash in self._queue.pending_messages_per_session:
                told = {"error": str(Ending()), "visible": True, "duration": None, "title": "Error"}
                self._queue.send_message(event, ProcessCompletedMessage(output=told, success=False))


_SERVERS: list[_Server] = []


@asynccontextmanager
async def heard(app: Any) -> AsyncIterator[None]:
    """While this lasts, an end of the process is told to the callers of that app of Gradio's."""
    server = _Server(app.get_blocks()._queue)
    _SERVERS.append(server)
    try:
        yield
    finally:
        _SERVERS.remove(server)
