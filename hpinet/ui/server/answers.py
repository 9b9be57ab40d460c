"""The stream of answers to a visitor, which goes on for as long as any is due.

Gradio ends it with the last one. Its clients open another with their next call, unless they believe the old one to be
open still: a call that comes in just then would hear nothing until the one after it.
"""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CALLING_SECONDS = 0.05
"""How long the end is held back: far longer than a call that is on its way takes from the wire to the queue."""

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
            await asyncio.sleep(CALLING_SECONDS)
            goes_on = is_due()
        if not goes_on:
            await send(message)

    while True:
        goes_on = False
        await app(dict(scope), receive, passing)
        if not goes_on:
            return
