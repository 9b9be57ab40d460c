"""What a link to the page looks like where it is shared: title, description and picture, each once; and its language.

Gradio's page carries tags of its own twice over, the first of them about Gradio itself. These take their place. Its
configuration lies in the page too, with every label: it is translated here, on the way out.
"""

import json
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from gradio.route_utils import get_root_url
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hpinet.ui import languages
from hpinet.ui.server.guard import cookie_rules

PICTURE = Path(__file__).with_name("preview.jpg")  # made by scripts/make_preview.py
SIZE = (1200, 630)  # pixels, as the sites that show previews advise
DESCRIPTION = "Makes small pictures large, and shows which parts of the picture it looked at."

_ROUTE = "/preview.jpg"

_YEAR_SECONDS = 365 * 24 * 3600
_CONFIG = "/config"
_PATHS = ("/", _CONFIG, _ROUTE)
_EMBEDDED = "window.gradio_config = "

_TAGS = re.compile(r"<meta\s+(?:property|name)=\"(?:og|twitter):[^>]*>\s*")


class LinkPreview:
    """ASGI middleware that puts our preview tags into the page, serves their picture, and speaks visitors' languages.

    Args:
        app: What it stands before.
        title: The page's, in English.
        said: The messages of its scripts, see `hpinet.ui.languages.said_in`.
    """

    def __init__(self, app: ASGIApp, *, title: str, said: list[str]) -> None:
        self.app = app
        self.title = title
        self.said = said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves the picture, rewrites the page, and hands everything else on."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or scope["path"] not in _PATHS:
            await self.app(scope, receive, send)
        elif scope["path"] == _ROUTE:
            await FileResponse(PICTURE, media_type="image/jpeg")(scope, receive, send)
        elif scope["path"] == _CONFIG:
            language = languages.asked_for(scope)
            await self._rewritten(scope, receive, send, "application/json", lambda body: _config_in(body, language))
        else:
            root = get_root_url(Request(scope), route_path="/", root_path=scope.get("root_path") or None)
            language = languages.asked_for(scope)
            await self._rewritten(scope, receive, send, "text/html", lambda body: self.page_in(body, root, language))

    async def _rewritten(
        self, scope: Scope, receive: Receive, send: Send, kind: str, change: Callable[[str], str]
    ) -> None:
        """Hands the request on, and changes the answer if it is of that kind."""
        plain = [(name, value) for name, value in scope["headers"] if name.lower() != b"accept-encoding"]
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
            headers, content = MutableHeaders(scope=start), bytes(body)
            if headers.get("content-type", "").startswith(kind):
                content = change(body.decode("utf-8")).encode("utf-8") if body else content
                headers.add_vary_header("accept-language, cookie")
                if chosen := languages.linked(scope):
                    cookie = f"{languages.COOKIE}={chosen}; Path=/; Max-Age={_YEAR_SECONDS}; {cookie_rules(scope)}"
                    headers.append("set-cookie", cookie)
                if "content-length" in headers and scope["method"] == "GET":
                    headers["content-length"] = str(len(content))
            await send(start)
            await send({"type": "http.response.body", "body": content})

        await self.app({**scope, "headers": plain}, receive, rewrite)

    def page_in(self, page: str, root: str, language: str) -> str:
        """The page in a language, with our tags and no others; ``root`` is its address, without a slash at the end."""
        width, height = SIZE
        title, description = (languages.in_text(text, language) for text in (self.title, DESCRIPTION))
        tags = {
            'property="og:type"': "website",
            'property="og:url"': f"{root}/",
            'property="og:title"': title,
            'property="og:description"': description,
            'property="og:image"': root + _ROUTE,
            'property="og:image:width"': str(width),
            'property="og:image:height"': str(height),
            'name="twitter:card"': "summary_large_image",
            'name="twitter:title"': title,
            'name="twitter:description"': description,
            'name="twitter:image"': root + _ROUTE,
        }
        ours = "".join(f'<meta {name} content="{escape(value)}" />\n' for name, value in tags.items())
        page = _TAGS.sub("", page).replace("</head>", f"{ours}</head>", 1)
        page = page.replace("<head>", f"<head>\n{languages.for_scripts(self.said, language)}", 1)
        page = _LANGUAGE.sub(f'<html\\1lang="{language}" dir="{languages.direction(language)}"', page, count=1)
        before, found, after = page.partition(_EMBEDDED)
        if not found or language == languages.ENGLISH:
            return page
        config, end = json.JSONDecoder().raw_decode(after)
        told = json.dumps(_in_language(config, language), ensure_ascii=False)
        return before + found + re.sub(r"[<>&]", lambda match: f"\\u{ord(match[0]):04x}", told) + after[end:]


_LANGUAGE = re.compile(r'<html(\s+)lang="[^"]*"')


def _config_in(body: str, language: str) -> str:
    return body if language == languages.ENGLISH else json.dumps(_in_language(json.loads(body), language))


def _in_language(config: dict[str, Any], language: str) -> dict[str, Any]:
    """Gradio's configuration with every component in a language."""
    components = [
        {**each, "props": languages.properties(str(each.get("type")), each["props"], language)}
        for each in config.get("components", [])
    ]
    return {**config, "title": languages.in_text(config.get("title") or "", language), "components": components}
