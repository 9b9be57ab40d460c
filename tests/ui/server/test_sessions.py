"""What is remembered of visitors."""

import gc
import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from hpinet.ui.page import Page, _delete
from hpinet.ui.server import sessions, storage


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


class Piece:
    """Stands for what a session remembers of a picture."""


_made = list["weakref.ref[Piece]"]()


def remember() -> Piece:
    storage.new_folder()
    _made.append(weakref.ref(piece := Piece()))
    return piece


@pytest.fixture
def page_to_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its address; handler 0 remembers a picture, 1 deletes what there is, 2 tells whether there is any."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with Page() as page:
        state, shown = gr.State(None), gr.Checkbox()
        gr.Button().click(remember, None, state)
        gr.Button().click(_delete, None, None)
        gr.Button().click(lambda piece: piece is not None, state, shown)
    made, address, _ = page.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    sessions.keep_small(made)
    yield f"{address}gradio_api/queue"
    page.close(verbose=False)


def answer(address: str, session: str, handler: int, browser: str) -> list[Any]:
    """What a page's call of a handler answers."""
    values = [None] if handler == 2 else []
    call = {"fn_index": handler, "session_hash": session, "data": values}
    cookies = {"cookie": f"hpinet-visitor={browser}"}
    assert httpx.post(f"{address}/join", json=call, headers=cookies, timeout=30).status_code == 200
    told = httpx.get(f"{address}/data", params={"session_hash": session}, headers=cookies, timeout=30).text
    [line] = [line for line in told.splitlines() if "process_completed" in line]
    return json.loads(line.removeprefix("data:"))["output"]["data"]


def test_what_is_deleted_is_remembered_no_longer(page_to_leave: str) -> None:
    """Nor by a page of the same browser that was loaded before; what others have stays, and the page works on."""
    _made.clear()
    for session, browser in (("before", "mine"), ("now", "mine"), ("others", "theirs")):
        answer(page_to_leave, session, 0, browser)
        assert answer(page_to_leave, session, 2, browser) == [True]
    answer(page_to_leave, "now", 1, "mine")
    gc.collect()
    assert [piece() is None for piece in _made] == [True, True, False]
    assert answer(page_to_leave, "others", 2, "theirs") == [True]
    assert answer(page_to_leave, "now", 2, "mine") == [False]
    answer(page_to_leave, "now", 0, "mine")
    assert answer(page_to_leave, "now", 2, "mine") == [True]
