"""Calls that nobody waits for any more. Gradio lets their work run on; here it hears of that, by a file.

A file is the one thing that reaches a forked worker too.
"""

import hashlib
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.server_messages import ProcessCompletedMessage

from hpinet.ui.server.storage import results_root


def flag_of(event: str) -> Path:
    """The file that is there once the call with that number is given up. Swept with the results."""
    return results_root() / f"{hashlib.sha256(f'call {event}'.encode()).hexdigest()}.stop"


async def cancel(queue: Any, number: str) -> None:
    """Gives up one call of Gradio's queue, and no other of the same session and handler.

    One that waits leaves the queue, one that runs is asked to stop; whoever listens is told at once that it is over.
    The page needs a value for each output, and shows "Error" without: those of one of its own calls stay as they are.
    """
    event = queue.event_ids_to_events[number]
    flag_of(number).touch()
    await queue.remove_from_queue(number)
    if event.session_hash in queue.pending_messages_per_session:
        is_of_page = event.fn.api_visibility == "private"
        output = {"data": [gr.skip() for _ in event.fn.outputs]} if is_of_page else {}
        queue.send_message(event, ProcessCompletedMessage(output=output, success=True))
    event.alive = False  # nothing more is told of it


def give_up_unheard(queue: Any) -> None:
    """Asks the calls to stop that Gradio knows nobody to listen to."""
    for event in (event for events in queue.active_jobs if events for event in events):
        if not event.alive:
            flag_of(event._id).touch()
