"""What a server says of itself to whoever watches over it."""

import httpx

from hpinet.ui.jobs.running import turns
from hpinet.ui.jobs.turns import Load, Visitor
from hpinet.version import __version__


def test_it_tells_how_much_work_there_is_and_no_more(server: str) -> None:
    idle = httpx.get(f"{server}/healthz")
    assert idle.json() == {"ready": True, "waiting": 0, "running": 0, "version": __version__}
    assert idle.headers["cache-control"] == "no-store"
    with turns().job(Load(Visitor("somebody"), megabytes=1, seconds=1), stopped=lambda: False):
        assert httpx.get(f"{server}/healthz").json()["running"] == 1
    assert httpx.post(f"{server}/healthz").status_code == 404
