"""What is remembered of visitors."""

import json
from collections.abc import Iterator
from typing import Any

import gradio as gr
import httpx
import pytest

from hpinet.ui.page import Page
from hpinet.ui.server import sessions


@pytest.fixture
def app() -> Iterator[Any]:
    with Page() as page:
        count, shown = gr.State(0), gr.Number()

        def more(before: int) -> tuple[int, Any]:
            return before + 1, gr.update(value=before + 1, label="More")

        gr.Button().click(more, count, [count, shown], api_name="more")
        gr.Button().click(abs, shown, shown, api_name="size")
    made, _, _ = page.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    sessions.keep_small(made)
    yield made
    page.close(verbose=False)


def test_a_session_keeps_what_it_changed_and_no_description_of_the_page(app: Any) -> None:
    held, blocks = app.state_holder, app.get_blocks()
    assert blocks.state_holder is held
    state, shown = blocks.fns[0].inputs[0], blocks.fns[1].inputs[0]
    session = held["visitor-1"]
    session[state._id] = 7
    session._update_value_in_config(shown._id, 7)
    session[shown._id] = gr.Number(label="More", render=False)
    assert held["visitor-1"][state._id] == 7
    assert held["visitor-1"][shown._id].label == "More"
    assert held["visitor-2"][state._id] == 0
    assert not session.config_values


def test_the_longest_unheard_session_is_forgotten_first(app: Any) -> None:
    held = app.state_holder
    held.capacity = 3
    for name in "abcad":
        held[name]
    assert list(held.session_data) == ["c", "a", "d"]


def test_calls_by_name_leave_nothing(app: Any) -> None:
    address = f"{app.get_blocks().local_url}gradio_api/call/size"
    for _ in range(3):
        call = httpx.post(address, json={"data": [-2]}, timeout=30).json()["event_id"]
        answer = httpx.get(f"{address}/{call}", timeout=30).text
        assert json.loads(answer.rpartition("data: ")[2]) == [2]
    assert not app.state_holder.session_data
