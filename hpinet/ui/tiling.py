"""The route of the viewer's tiles: small answers beside the queue, to the visitor alone whose picture it is."""

import re

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hpinet.errors import HPINetError
from hpinet.ui.jobs.tiles import VIEWS, tile
from hpinet.ui.server.routes import TILE
from hpinet.ui.server.visitors import cookie_of

AT_ONCE = 4
"""Tiles under way; each takes some milliseconds, and jobs want the processor too."""

_NUMBER = re.compile(r"[0-9]{1,6}")
_limiter = CapacityLimiter(AT_ONCE)


async def _tile(request: Request) -> Response:
    given = request.path_params
    numbers = [given[name] for name in ("level", "column", "row")]
    is_numbered = all(_NUMBER.fullmatch(number) for number in numbers)
    view = VIEWS.of(given["view"], cookie_of(request))
    if view is None or not is_numbered:
        return Response(status_code=404)  # the guard has the words
    try:
        level, column, row = map(int, numbers)
        content, kind = await to_thread.run_sync(tile, view, given["layer"], level, column, row, limiter=_limiter)
    except HPINetError:
        return Response(status_code=404)  # the guard has the words
    return Response(content, media_type=kind, headers={"cache-control": "private, max-age=10800, immutable"})


ROUTE = Route(TILE, _tile)
"""Answers GET: one tile, see `hpinet.ui.jobs.tiles`."""
