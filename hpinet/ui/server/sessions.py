"""What the server remembers of visitors while they are here, kept small.

Gradio keeps with each session the whole description of every component of the page, 330 KB, so that links to a state
can restore it, and does so for the last ten thousand sessions; each call by an endpoint's name is a session of its own.
This page has no such links.
"""

from typing import Any

from gradio.blocks import Blocks
from gradio.state_holder import SessionState, StateHolder

CAPACITY = 2000
"""Sessions remembered; of those that were not heard of for longest, the chosen picture and the result are forgotten."""


class Session(SessionState):
    """A session without the descriptions of components, but for what it has changed of them."""

    def __init__(self, blocks: Blocks) -> None:
        super().__init__(blocks)
        self.config_values = {}

    def __setitem__(self, key: int, value: Any) -> None:
        super().__setitem__(key, value)
        self.config_values.clear()

    def _update_config(self, key: int) -> None:
        """Nothing: only links to a state would read it."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Nothing, as above."""


class Sessions(StateHolder):
    """Gradio's sessions, each of our kind."""

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = Session(self.blocks)
        return super().__getitem__(session_id)


def keep_small(app: Any) -> None:
    """Lets an app of Gradio's that is about to start keep its sessions so."""
    app.state_holder = Sessions()
    app.state_holder.set_blocks(app.get_blocks())


def forget(blocks: Blocks, session: str) -> None:
    """Drops what is remembered of a session; whoever names it again begins anew. In the loop of the server."""
    blocks.state_holder.session_data.pop(session, None)
    blocks.state_holder.time_last_used.pop(session, None)
