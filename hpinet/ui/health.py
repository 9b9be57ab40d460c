"""How the server fares, for whoever watches over it: no secrets, and nothing of any visitor."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hpinet.ui.jobs.running import CREW, turns
from hpinet.ui.server.routes import HEALTH
from hpinet.version import __version__


async def _health(_request: Request) -> JSONResponse:
    waiting, under_way = turns().counts
    told = {"ready": not CREW.closing, "waiting": waiting, "running": under_way, "version": __version__}
    return JSONResponse(told, headers={"cache-control": "no-store"})


ROUTE = Route(HEALTH, _health)
"""Answers GET: whether new work is taken, how many jobs wait for room and are under way, and the version."""
