"""The door of the page: every call of a handler comes through here, and nothing leaves it in foreign words."""

from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.exceptions import InvalidPathError
from gradio.state_holder import SessionState

from hpinet.errors import HPINetError, OptionError
from hpinet.ui.parts import html
from hpinet.ui.server.defects import reported
from hpinet.ui.server.storage import NOT_SENT_HERE
from hpinet.ui.server.values import MISFIT


class Page(gr.Blocks):
    """Blocks whose handlers may raise what they like.

    Gradio shows visitors whatever any exception says, prints its traceback, and runs nothing that was to follow, so
    that buttons stay grey. Here, an HPINetError is told as it is worded; anything else is logged with a number, and
    the visitor gets one sentence with that number. Endpoints fail with that sentence; a handler of the page leaves
    everything as it is, shows it as a notice and on the status among its outputs, and whatever follows it goes on.
    """

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], state: SessionState | None, explicit_call: bool = False
    ) -> list[Any]:
        """Gradio's own reading of the values, in our words where it fails."""
        try:
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except InvalidPathError as error:
            raise OptionError(NOT_SENT_HERE) from error
        except Exception as error:  # as many kinds as there are components
            raise OptionError(MISFIT) from error

    async def process_api(self, block_fn: BlockFunction | int, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """A call from a visitor or a program, from its values to the answer."""
        handler = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        try:
            return await super().process_api(handler, *args, **kwargs)
        except Exception as error:  # whatever it is, it must not reach a visitor
            words = in_our_words(error, handler)
            if handler.api_visibility != "private":
                raise gr.Error(words, print_exception=False) from error
        return await self._unchanged(handler, words, **kwargs)

    async def _unchanged(
        self,
        handler: BlockFunction,
        words: str,
        *,
        state: SessionState | None = None,
        event_id: str | None = None,
        session_hash: str | None = None,
        iterator: Any = None,
        **_: Any,
    ) -> dict[str, Any]:
        """The answer of a handler that has failed: nothing changes but what is said."""
        self._drop_run_streams(session_hash, iterator)
        if event_id is not None:
            self._queue.log_message(event_id, words, "", "warning")
        left = [
            gr.update(value=html.trouble(words))
            if "status" in (getattr(output, "elem_classes", None) or [])
            else gr.skip()
            for output in handler.outputs
        ]
        data = await self.postprocess_data(handler, left if len(left) != 1 else left[0], state) if left else []
        return {
            "data": data,
            "is_generating": False,
            "iterator": None,
            "duration": 0.0,
            "average_duration": None,
            "render_config": None,
            "changed_state_ids": [],
            "used_cache": None,
        }


def in_our_words(error: Exception, handler: BlockFunction) -> str:
    """What a visitor is told. Whatever no one has foreseen is logged under the number that the sentence names."""
    if isinstance(error, HPINetError):
        return str(error)
    if isinstance(error, gr.Error):  # only Gradio raises it, at files within the data of an event
        return NOT_SENT_HERE
    return reported(error, f"handler {handler.name}")
