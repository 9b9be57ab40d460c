"""What a server says of itself to whoever watches over it."""

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from gradio_client import handle_file

from hpinet.settings import settings
from hpinet.ui.jobs.running import turns
from hpinet.ui.jobs.turns import Load, Visitor
from hpinet.version import __version__

if TYPE_CHECKING:
    from gradio_client import Client


def test_it_tells_how_much_work_there_is_and_no_more(server: str) -> None:
    idle = httpx.get(f"{server}/healthz")
    assert idle.json() == {"ready": True, "waiting": 0, "running": 0, "version": __version__}
    assert idle.headers["cache-control"] == "no-store"
    with turns().job(Load(Visitor("somebody"), megabytes=1, seconds=1), stopped=lambda: False):
        assert httpx.get(f"{server}/healthz").json()["running"] == 1
    assert httpx.post(f"{server}/healthz").status_code == 404


def test_figures_for_prometheus_where_they_are_wished_for(
    server: str, picture: Path, client: "Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    assert httpx.get(f"{server}/metrics").status_code == 404
    monkeypatch.setenv("HPINET_METRICS", "on")
    settings.cache_clear()
    try:
        before = _figures(server)
        client.predict(handle_file(picture), api_name="/upscale")
        after = _figures(server)
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    done = 'hpinet_jobs_total{kind="enlarge",outcome="done"}'
    assert after[done] == before.get(done, 0) + 1
    took = 'hpinet_job_seconds_total{kind="enlarge"}'
    assert after[took] > before.get(took, 0)
    assert after["hpinet_jobs_running"] == 0
    assert after["hpinet_resident_memory_bytes"] > 50_000_000
    assert not any(picture.stem in name for name in after)


def _figures(server: str) -> dict[str, float]:
    """Each figure by its name and labels."""
    answer = httpx.get(f"{server}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
