"""The door of the page: every call of a handler comes through here, and nothing leaves it in foreign words."""

from copy import copy
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.exceptions import InvalidPathError
from gradio.helpers import TrackedIterable
from gradio.queueing import Queue
from gradio.state_holder import SessionState
from gradio.utils import get_upload_folder

from hpinet.errors import HPINetError, OptionError
from hpinet.ui import languages
from hpinet.ui.parts import html
from hpinet.ui.server.defects import reported
from hpinet.ui.server.sessions import forget
from hpinet.ui.server.storage import FULL, NOT_SENT_HERE, is_full, leave, make_room
from hpinet.ui.server.tools import as_made_by_name
from hpinet.ui.server.values import MISFIT


class _Queue(Queue):
    """Gradio's, with progress told in the visitor's language.

    A class of its own, not a method put on the queue: ZeroGPU replaces methods of Gradio's class in its workers.
    """

    def set_progress(self, event_id: str, iterables: list[TrackedIterable] | None) -> None:
        """See Gradio's."""
        events = (event for job in self.active_jobs for event in job or () if event._id == event_id)
        language = next((_language_of(event.request) for event in events), languages.ENGLISH)
        super().set_progress(event_id, iterables and [_tracked_in(iterable, language) for iterable in iterables])


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
        is_public = handler.api_visibility != "private"
        call = kwargs.get("event_id")
        kwargs["request"] = request = as_made_by_name(kwargs.get("request"), call)
        languages.SPOKEN.set(languages.ENGLISH if is_public else _language_of(request))
        try:
            return await super().process_api(handler, *args, **kwargs)
        except Exception as error:  # whatever it is, it must not reach a visitor
            words = in_our_words(error, handler)
            if is_public:
                raise gr.Error(words, print_exception=False) from error
        finally:
            if call and call == getattr(request, "session_hash", None):
                forget(self, call)  # begun by an endpoint's name: a session for this call alone
                leave(request)
        return await self._unchanged(handler, words, **kwargs)

    async def postprocess_data(
        self, block_fn: BlockFunction, predictions: list[Any] | dict[str, Any], state: SessionState | None
    ) -> list[Any]:
        """What handlers answer, in the visitor's language."""
        data, language = await super().postprocess_data(block_fn, predictions, state), languages.SPOKEN.get()
        if language == languages.ENGLISH:
            return data
        return [_told(output, one, language) for output, one in zip(block_fn.outputs, data, strict=False)]

    def queue(self, *args: Any, **kwargs: Any) -> "Page":
        """Gradio's, with progress told in the visitor's language."""
        super().queue(*args, **kwargs)
        self._queue.__class__ = _Queue  # Gradio makes it itself
        return self

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
            self._queue.log_message(event_id, languages.in_text(words, languages.SPOKEN.get()), "", "warning")
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


def _language_of(request: Any) -> str:
    """The language of whoever made a request, which Gradio may have wrapped; English for none."""
    scope = getattr(request.request if isinstance(request, gr.Request) else request, "scope", None)
    return languages.asked_for(scope) if isinstance(scope, dict) else languages.ENGLISH


def _told(output: Any, data: Any, language: str) -> Any:
    """The answer for one component: an update, or a value."""
    kind = output.get_block_name()
    if isinstance(data, dict) and data.get("__type__") == "update":
        return languages.properties(kind, data, language)
    return languages.value(kind, data, language)


def _tracked_in(iterable: TrackedIterable, language: str) -> TrackedIterable:
    told = copy(iterable)
    told.desc = iterable.desc and languages.in_text(iterable.desc, language)
    return told


def in_our_words(error: Exception, handler: BlockFunction) -> str:
    """What a visitor is told. Whatever no one has foreseen is logged under the number that the sentence names."""
    if is_full(error):
        make_room()
        return FULL
    if isinstance(error, HPINetError) and get_upload_folder() not in str(error):
        return str(error)
    if isinstance(error, gr.Error):  # only Gradio raises it, at files within the data of an event
        return NOT_SENT_HERE
    return reported(error, f"handler {handler.name}")
