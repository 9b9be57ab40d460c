"""What every answer tells browsers of itself: that it is what it says, what it may load, and who may frame it."""

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

from hpinet.ui.server.routes import FILE

_PAGE = "; ".join(
    (
        "default-src 'self'",
        # Gradio writes its configuration and our script into the page, and evaluates what handlers run in the browser.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)
"""Nothing of any other server. Frames are open to all: a Space is shown in one, and people put pages into theirs."""

_SENT_FILE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""A file that somebody sent or got can do nothing, whatever it is."""


def with_policies(scope: Scope, send: Send) -> Send:
    """Adds the headers to the answer of a request."""
    policy = _SENT_FILE if scope["path"].startswith(FILE) else _PAGE

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["x-content-type-options"] = "nosniff"
            headers["referrer-policy"] = "same-origin"
            headers["content-security-policy"] = policy
        await send(message)

    return sending
