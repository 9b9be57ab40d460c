"""What a link to the page looks like where it is shared: title, description and picture, each said once.

Gradio's page carries tags of its own twice over, the first of them about Gradio itself. These take their place.
"""

import re
from html import escape
from pathlib import Path

from gradio.route_utils import get_root_url
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PICTURE = Path(__file__).with_name("preview.jpg")  # made by scripts/make_preview.py
SIZE = (1200, 630)  # pixels, as the sites that show previews advise
DESCRIPTION = "Makes small pictures large, and shows which parts of the picture it looked at."

_ROUTE = "/preview.jpg"
_TAGS = re.compile(r"<meta\s+(?:property|name)=\"(?:og|twitter):[^>]*>\s*")


class LinkPreview:
    """ASGI middleware that puts our preview tags into the page, and serves their picture."""

    def __init__(self, app: ASGIApp, *, title: str) -> None:
        self.app = app
        self.title = title

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves the picture, rewrites the page, and hands everything else on."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or scope["path"] not in ("/", _ROUTE):
            await self.app(scope, receive, send)
        elif scope["path"] == _ROUTE:
            await FileResponse(PICTURE, media_type="image/jpeg")(scope, receive, send)
        else:
            await self._page(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = [(name, value) for name, value in scope["headers"] if name.lower() != b"accept-encoding"]
        root = get_root_url(Request(scope), route_path="/", root_path=scope.get("root_path") or None)
        start: Message = {}
        body = bytearray()

        async def rewrite(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            headers = dict(start["headers"])
            if headers.get(b"content-type", b"").startswith(b"text/html"):
                content = self.with_tags(body.decode("utf-8"), root).encode("utf-8")
                if b"content-length" in headers and scope["method"] == "GET":
                    headers[b"content-length"] = str(len(content)).encode()
                    start["headers"] = list(headers.items())
            else:
                content = bytes(body)
            await send(start)
            await send({"type": "http.response.body", "body": content})

        await self.app({**scope, "headers": plain}, receive, rewrite)

    def with_tags(self, page: str, root: str) -> str:
        """The page with our tags and no others; ``root`` is its address, without a slash at the end."""
        width, height = SIZE
        tags = {
            'property="og:type"': "website",
            'property="og:url"': f"{root}/",
            'property="og:title"': self.title,
            'property="og:description"': DESCRIPTION,
            'property="og:image"': root + _ROUTE,
            'property="og:image:width"': str(width),
            'property="og:image:height"': str(height),
            'name="twitter:card"': "summary_large_image",
            'name="twitter:title"': self.title,
            'name="twitter:description"': DESCRIPTION,
            'name="twitter:image"': root + _ROUTE,
        }
        ours = "".join(f'<meta {name} content="{escape(value)}" />\n' for name, value in tags.items())
        return _TAGS.sub("", page).replace("</head>", f"{ours}</head>", 1)
