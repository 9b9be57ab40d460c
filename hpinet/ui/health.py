"""How the server fares, for whoever watches over it: no secrets, and nothing of any visitor."""

from collections.abc import Iterator, Mapping

import psutil
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hpinet.settings import settings
from hpinet.ui.jobs import journal
from hpinet.ui.jobs.running import CREW, turns
from hpinet.ui.server.routes import HEALTH, METRICS
from hpinet.version import __version__


async def _health(_request: Request) -> JSONResponse:
    waiting, under_way = turns().counts
    told = {"ready": not CREW.closing, "waiting": waiting, "running": under_way, "version": __version__}
    return JSONResponse(told, headers={"cache-control": "no-store"})


async def _metrics(_request: Request) -> Response:
    if settings().metrics == "off":
        return Response(status_code=404)
    return PlainTextResponse("".join(_figures()), media_type="text/plain; version=0.0.4")


def _figures() -> Iterator[str]:
    """Prometheus' text format, whose few lines need no library with a registry of its own."""
    waiting, under_way = turns().counts
    ended, seconds = journal.totals()
    yield from _family("hpinet_jobs_waiting", "gauge", "Jobs that wait for room.", {"": waiting})
    yield from _family("hpinet_jobs_running", "gauge", "Jobs under way.", {"": under_way})
    outcomes = {f'{{kind="{kind}",outcome="{outcome}"}}': number for (kind, outcome), number in ended.items()}
    yield from _family("hpinet_jobs_total", "counter", "Jobs that have ended.", outcomes)
    kinds = {f'{{kind="{kind}"}}': took for kind, took in seconds.items()}
    yield from _family("hpinet_job_seconds_total", "counter", "Seconds that jobs took.", kinds)
    memory = psutil.Process().memory_info().rss
    yield from _family("hpinet_resident_memory_bytes", "gauge", "Memory of the server.", {"": memory})


def _family(name: str, kind: str, what: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {name} {what}\n# TYPE {name} {kind}\n"
    for labels, value in values.items():
        yield f"{name}{labels} {value}\n" if isinstance(value, int) else f"{name}{labels} {value:.3f}\n"


ROUTES = (Route(HEALTH, _health), Route(METRICS, _metrics))
"""Answer GET: whether new work is taken, how many jobs wait for room and are under way, and the version; and, where the
setting says so, figures for Prometheus. Neither has anything of any visitor."""
