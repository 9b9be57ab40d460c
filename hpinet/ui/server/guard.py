"""What reaches Gradio: open routes, bodies of bounded size, files that were uploaded, and each visitor's own work.

Gradio limits uploads alone, fetches any public address that is given in place of a file, decodes `data:` addresses,
serves a session to whoever names it, and answers errors with whatever an exception says.
"""

import asyncio
import gc
import json
import re
import secrets
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Iterator
from inspect import Parameter, signature
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hpinet.settings import settings
from hpinet.ui import languages
from hpinet.ui.server.answers import follow
from hpinet.ui.server.cancelling import cancel, give_up_unheard
from hpinet.ui.server.defects import reported
from hpinet.ui.server.policies import with_policies
from hpinet.ui.server.routes import (
    CALLS,
    CANCEL,
    DATA,
    FILE,
    HEARTBEAT,
    JOIN,
    MCP,
    PROGRESS,
    RESULTS,
    UPLOAD,
    open_route,
)
from hpinet.ui.server.storage import FULL, NOT_SENT_HERE, drop_torn, is_full, is_shown, make_room
from hpinet.ui.server.visitors import COOKIE, cookie_in

_JSON_BYTES = 8_000_000  # far more than any request of ours; MCP clients may send whole pictures instead
_REFUSAL = "Give an uploaded file, not an address: this server fetches nothing on request."
_NOTHING = "There is nothing here."
_NOT_UNDERSTOOD = "This request is not one that the page or its clients make."
_WORDS = {
    413: "The file is too large.",
    503: "Too many people are waiting: try again in a minute.",
    **dict.fromkeys((401, 403, 404, 405), _NOTHING),
}
_MOVING_SECONDS = 3.0  # far longer than Gradio takes to move a whole upload to its folder
_JOINING = {"fn_index", "session_hash", "data", "event_data", "trigger_id"}  # what its clients send
_SESSION = re.compile(r"[A-Za-z0-9_-]{6,64}")  # shorter ones can be guessed
_SESSIONS_KEPT = 100_000


class Refused(Exception):
    """A request that is answered here."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class Guard:
    """ASGI middleware in front of Gradio.

    Closed routes and other visitors' sessions answer 404, over-long bodies 413, requests for files that were not
    uploaded here 422. Errors of Gradio's keep their status and get our words; defects get a number, see `reported`.
    """

    def __init__(self, app: ASGIApp, *, max_upload_bytes: int) -> None:
        self.app = app
        self.max_mcp_bytes = _JSON_BYTES + max_upload_bytes * 4 // 3  # base64
        self._later: set[asyncio.Task[None]] = set()
        self.owners: OrderedDict[str, str] = OrderedDict()  # of sessions, by the cookie of who began them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request itself or hands it on."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            send = with_policies(scope, send)
            try:
                scope, receive, send = await self._admitted(scope, receive, send)
            except Refused as refused:
                await refused.response(scope, receive, send)
                return
            try:
                await self._in_our_words(scope, receive, send)
            finally:
                if _is_stream(scope):
                    give_up_unheard(_queue(scope))

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> tuple[Scope, Receive, Send]:
        """The request as it is handed on. Raises Refused."""
        found = open_route(scope["path"], scope["method"])
        if found is None:
            raise Refused(_saying(404, _NOTHING))
        route, parts = found
        if route == "/" and not cookie_in(scope):
            send = _with_cookie(scope, send)
        self._check_address(scope, route, parts)
        if scope["method"] != "POST" or route == UPLOAD:
            return scope, receive, send
        is_mcp = scope["path"].startswith(MCP)
        body = await _read(receive, self.max_mcp_bytes if is_mcp else _JSON_BYTES)
        if body is None:
            raise Refused(_saying(413, "The request is too large."))
        if is_mcp:  # its files come back through here as uploads
            if (refusal := _refusal_of_tool(body)) is not None:
                raise Refused(refusal)
        else:
            body = await self._work_asked_for(scope, route, parts, body)
            scope = {**scope, "headers": _with_length(scope["headers"], len(body))}
        return scope, _replay(body, receive), send

    async def _work_asked_for(self, scope: Scope, route: str, parts: dict[str, str], body: bytes) -> bytes:
        """The body of a request for work, to be handed on. Raises Refused."""
        try:
            data, body = self._checked(scope, route, parts, body)
        except ValueError as error:
            raise Refused(_invalid(str(error))) from error
        if route == CANCEL:  # Gradio's own ends every call of session and handler, and no work
            if _is_of_session(scope, data.get("event_id"), data.get("session_hash")):
                await cancel(_queue(scope), data["event_id"])
            raise Refused(JSONResponse({"success": True}))  # or it was over by now, or somebody else's
        return body

    def _check_address(self, scope: Scope, route: str, parts: dict[str, str]) -> None:
        """Raises Refused if the address names a file, a session or work that is not this visitor's to name."""
        named = Path(parts.get("path_or_url", "/"))
        if not named.is_absolute() and not is_shown(named):
            raise Refused(_saying(404, _NOTHING))  # an address, or nothing that we have ever told
        if route == HEARTBEAT:
            self._check_owner(scope, parts["session_hash"])
        elif route == DATA:
            self._check_owner(scope, session := _asked(scope, "session_hash"))
            if session not in _queue(scope).pending_messages_per_session:
                raise Refused(_no_session())
        elif route == PROGRESS or (route == UPLOAD and _asked(scope, "upload_id")):
            self._check_owner(scope, _asked(scope, "upload_id"))  # it names the files
        elif route in RESULTS:
            self._check_public_event(scope, parts["api_name"], parts["event_id"])

    def _checked(self, scope: Scope, route: str, parts: dict[str, str], body: bytes) -> tuple[dict[str, Any], bytes]:
        """A request for work, and its body to be handed on. Raises Refused, or ValueError with what is wrong."""
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            raise Refused(_saying(400, _NOT_UNDERSTOOD)) from None
        if not isinstance(data, dict):
            raise Refused(_saying(400, _NOT_UNDERSTOOD))
        if route in (JOIN, CALLS[0]) and not isinstance(data.get("data"), list):
            raise Refused(_saying(400, _NOT_UNDERSTOOD))
        if route == JOIN and not (data.keys() <= _JOINING and isinstance(data.get("trigger_id"), int | None)):
            raise Refused(_saying(400, _NOT_UNDERSTOOD))  # Gradio believes more, and trips over what is no number
        if route in (JOIN, CANCEL):
            self._check_owner(scope, data.get("session_hash"))
        if route == JOIN and not _runs_here(scope, data.get("fn_index")):
            raise Refused(_saying(404, _NOTHING))
        if route in CALLS:
            takes = _parameters(scope, parts["api_name"])
            if route == CALLS[1]:
                _check_arguments(takes, data)
            elif "session_hash" in data or "fn_index" in data:
                raise Refused(_saying(400, _NOT_UNDERSTOOD))
        return data, _with_uploads_only(data, body)

    def _check_owner(self, scope: Scope, session: object) -> None:
        """Binds a session, or an upload, to who begins it. Raises Refused if it is another's, or has no such name."""
        if not isinstance(session, str) or not _SESSION.fullmatch(session):
            raise Refused(_saying(400, _NOT_UNDERSTOOD))
        visitor = cookie_in(scope)
        if self.owners.setdefault(session, visitor) != visitor:
            raise Refused(_saying(404, _NOTHING))
        self.owners.move_to_end(session)
        if len(self.owners) > _SESSIONS_KEPT:
            self.owners.popitem(last=False)

    def _check_public_event(self, scope: Scope, name: str, event: str) -> None:
        """Raises Refused unless this is work that was begun by the endpoint's name, and not by a page.

        It has a session of its own, called like the event, that nobody else has named. Of an event that it does not
        know, Gradio takes the name for that of a session: it might be a visitor's.
        """
        queue = _queue(scope)
        known = queue.event_ids_to_events.get(event)
        is_of_name = known is None or known.fn.api_name == name
        if not is_of_name or event in self.owners or event not in queue.pending_messages_per_session:
            raise Refused(_saying(404, _NOTHING))

    async def _in_our_words(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the request on; errors come back in our words."""
        started = replaced = False

        async def telling(message: Message) -> None:
            nonlocal started, replaced
            if message["type"] == "http.response.start":
                started = True
                if replaced := message["status"] >= 400 and not scope["path"].startswith(MCP):
                    status = 404 if _WORDS.get(message["status"]) == _NOTHING else message["status"]
                    await _saying(status, _WORDS.get(status, _NOT_UNDERSTOOD))(scope, receive, send)
            if not replaced:
                await send(message)

        try:
            if scope["path"] == DATA:
                await follow(self.app, scope, receive, telling, lambda: _is_due(scope))
            else:
                await self.app(scope, receive, telling)
        except HTTPException:  # Gradio raises it within a stream that has begun, to end it
            if not started:
                raise
        except Exception as error:  # whatever it is, it must not reach a visitor
            if full := is_full(error):
                await asyncio.to_thread(make_room)
            words = FULL if full else reported(error, f"{scope['method']} {scope['path'][:80]!r}")
            if not started:
                await _saying(507 if full else 500, words)(scope, receive, send)
        finally:
            if scope["path"] == UPLOAD and not started:  # the visitor has gone
                self._later.add(task := asyncio.create_task(_drop_torn_soon()))
                task.add_done_callback(self._later.discard)


async def _drop_torn_soon() -> None:
    await asyncio.sleep(_MOVING_SECONDS)
    gc.collect()  # Gradio leaves the file open, in a cycle of what failed
    await asyncio.to_thread(drop_torn, _MOVING_SECONDS)


class _Saying(JSONResponse):
    """One sentence, in the language of a visitor, in English for programs."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__({"detail": words}, status_code=status)
        self.words = words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        words = languages.in_text(self.words, languages.asked_for(scope)) if cookie_in(scope) else self.words
        await JSONResponse({"detail": words}, self.status_code)(scope, receive, send)


def _saying(status: int, words: str) -> JSONResponse:
    return _Saying(status, words)


def _no_session() -> Response:
    """The end of a stream that there never was, as Gradio's clients expect it."""
    told = {"msg": "unexpected_error", "message": _NOTHING, "session_not_found": True, "success": False}
    return Response(f"data: {json.dumps(told)}\n\n", media_type="text/event-stream")


# ------------------------------------------------------------------------------------------------- visitors and work


def cookie_rules(scope: Scope) -> str:
    """Who gets a cookie of the page: also the page within another one, where that is possible."""
    first, *_ = Headers(scope=scope).get("x-forwarded-proto", "").split(",")  # of several proxies, the visitor's own
    is_https = "https" in (scope["scheme"], first.strip())
    return "SameSite=None; Secure; Partitioned" if is_https else "SameSite=Lax"


def _with_cookie(scope: Scope, send: Send) -> Send:
    """Gives a new visitor a cookie. On a Space, the page lies in a frame of another site."""
    rules = cookie_rules(scope)

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            cookie = f"{COOKIE}={secrets.token_urlsafe(16)}; Path=/; HttpOnly; {rules}"
            MutableHeaders(scope=message).append("set-cookie", cookie)
        await send(message)

    return sending


def _asked(scope: Scope, name: str) -> str:
    """A value in the address after the question mark; empty if there is none.

    Raises Refused if there are several: Gradio would heed another one than was checked.
    """
    given = QueryParams(scope["query_string"]).getlist(name)
    if len(given) > 1:
        raise Refused(_saying(400, _NOT_UNDERSTOOD))
    return "".join(given)


def _queue(scope: Scope) -> Any:
    return scope["app"].get_blocks()._queue


def _is_stream(scope: Scope) -> bool:
    """Whether somebody has listened to what becomes of their work."""
    found = open_route(scope["path"], scope["method"])
    return found is not None and found[0] in (DATA, *RESULTS)


def _is_due(scope: Scope) -> bool:
    """Whether any work of the session is not answered yet."""
    return bool(_queue(scope).pending_event_ids_session.get(_asked(scope, "session_hash")))


def _runs_here(scope: Scope, handler: object) -> bool:
    """Whether a handler's number is one, and of a handler that runs on the server rather than in the page."""
    if not isinstance(handler, int) or isinstance(handler, bool):
        return False
    known = scope["app"].get_blocks().fns.get(handler)
    return known is not None and known.fn is not None


def _is_of_session(scope: Scope, event: object, session: object) -> bool:
    known = _queue(scope).event_ids_to_events.get(event) if isinstance(event, str) else None
    return known is not None and known.session_hash == session


def _parameters(scope: Scope, name: str) -> dict[str, Parameter]:
    """What an endpoint takes. Raises Refused if there is no public one of that name."""
    for handler in scope["app"].get_blocks().fns.values():
        if handler.api_name == name and handler.api_visibility == "public":
            takes = signature(handler.fn).parameters
            return {name: parameter for name, parameter in takes.items() if name != "request"}
    raise Refused(_saying(404, _NOTHING))


def _check_arguments(takes: dict[str, Parameter], given: dict[str, Any]) -> None:
    """Raises ValueError if arguments are missing, or are none of this endpoint's."""
    unknown = [name for name in given if name not in takes]
    if unknown:
        raise ValueError(f"There is no argument {unknown[0][:40]!r}; there are {', '.join(takes) or 'none'}.")
    missing = [name for name, taken in takes.items() if taken.default is Parameter.empty and name not in given]
    if missing:
        raise ValueError(f"The argument {missing[0]} is missing.")


# ------------------------------------------------------------------------------------------------------------ bodies


def _invalid(message: str) -> JSONResponse:
    """The answer to a bad argument, in the form in which Gradio's clients look for a message."""
    fault = {"__type__": "validate", "is_valid": False, "parameter_name": "file", "message": message}
    return JSONResponse({"detail": [fault]}, status_code=422)


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None if it is longer than ``limit``."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives ``body`` once, then whatever else happens on the connection."""
    unread = [body]

    async def replay() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        return await receive()

    return replay


def _with_length(headers: list[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    return [*kept, (b"content-length", str(length).encode())]


def _with_uploads_only(data: dict[str, Any], body: bytes) -> bytes:
    """The body with links to files of this server replaced by their paths. Raises ValueError at any other address."""
    changed = False
    for file in _files(data):
        path, url = file.get("path"), file.get("url")
        if isinstance(path, str) and "\0" in path:  # no file has such a name, and Python trips over it
            raise ValueError(NOT_SENT_HERE)
        if isinstance(url, str) and url.startswith("data:"):
            if not url.startswith("data:image/svg+xml") or not isinstance(path, str) or not Path(path).is_absolute():
                raise ValueError(_REFUSAL)
            del file["url"]  # the page shows an SVG file so; refused here, nothing on it would ever answer
            changed = True
        if isinstance(path, str) and "://" in path:
            file["path"] = _own_path(path)
            file.pop("url", None)
            changed = True
    return json.dumps(data).encode() if changed else body


def _refusal_of_tool(body: bytes) -> Response | None:
    """The answer to a call of an MCP tool with a file that is no link to an upload, nor whole itself; None for others.

    Gradio would answer in its own words, with whatever it was sent. What is no such call is left to the protocol.
    """
    try:
        call = json.loads(body)
        given = call["params"]["arguments"] if call["method"] == "tools/call" else {}
        many = given.get("files")
        files = [given.get("image"), *(many if isinstance(many, list) else [])]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    most = settings().batch_files
    if len(files) > most + 1:  # Gradio looks through all of them for each: of a hundred thousand, for minutes
        words = f"A batch has at most {most} pictures."
    elif all(not isinstance(file, str) or _is_link(file) or _is_whole(file) for file in files):
        return None
    else:
        words = _REFUSAL
    told = {"content": [{"type": "text", "text": words}], "isError": True}
    return JSONResponse({"jsonrpc": "2.0", "id": call.get("id"), "result": told})


def _is_link(given: str) -> bool:
    return given.startswith(("http://", "https://"))


def _is_whole(given: str) -> bool:
    """Whether this is a whole file, as `data:` addresses hold them."""
    try:
        return given.startswith("data:") and bool(b64decode(given.partition(",")[2]))
    except ValueError:
        return False


def _own_path(address: str) -> str:
    """The path in a link such as `gradio upload` hands out; Gradio then checks that it is an upload."""
    _, own, path = unquote(urlsplit(address).path).partition(FILE)
    if not own or "://" in path:
        raise ValueError(_REFUSAL)
    return path


def _files(data: Any) -> Iterator[dict[str, Any]]:
    """Every file description anywhere in ``data``."""
    rest = [data]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            if "path" in value or "url" in value:
                yield value
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)
