"""Who is who: a cookie tells browsers apart, whatever pages they open; a program is as old as its session."""

from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import Scope

COOKIE = "hpinet-visitor"


def cookie_in(scope: Scope) -> str:
    """The cookie that comes with a request of ASGI; empty for programs."""
    return cookie_of(HTTPConnection(scope))


def cookie_of(request: Any) -> str:
    """The cookie that comes with a request of Starlette's or Gradio's; empty for programs, and without a request."""
    return (getattr(request, "cookies", None) or {}).get(COOKIE, "")
