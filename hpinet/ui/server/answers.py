"""The stream of answers to a visitor, which goes on for as long as any is due.

Gradio ends it with the last one. Its clients open another with their next call, unless they believe the old one to be
open still: a call that comes in just then would hear nothing until the one after it.
"""

import asyncio
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CALLING_SECONDS = 0.5
"""How long the end is held back: longer than the steps of a page that follow each other are apart.

A call that came in right at the end would be answered on another connection than the one that the end goes out on, and
nothing says which of the two a browser hears first.
"""

_ASK_SECONDS = 0.02  # between two looks whether an answer is due

_END = b'data: {"msg":"close_stream"'  # as Gradio writes it


async def follow(app: ASGIApp, scope: Scope, receive: Receive, send: Send, is_due: Callable[[], bool]) -> None:
    """Sends the stream that ``app`` answers with; where it would end while an answer ``is_due``, what follows too."""
    started = goes_on = False

    async def passing(message: Message) -> None:
        nonlocal started, goes_on
        if message["type"] == "http.response.start":
            if started:
                return
            started = True
        elif message.get("body", b"").startswith(_END):
            goes_on = await _comes_in(is_due)
        if not goes_on:
            await send(message)

    while True:
        goes_on = False
        await app(dict(scope), receive, passing)
        if not goes_on:
            return


async def _comes_in(is_due: Callable[[], bool]) -> bool:
    """Whether another answer is due soon; returns as soon as one is."""
    end = time.monotonic() + CALLING_SECONDS
    while not (due := is_due()) and time.monotonic() < end:
        await asyncio.sleep(_ASK_SECONDS)
    return due
