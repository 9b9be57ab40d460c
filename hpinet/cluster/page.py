"""The page for many visitors, on a cluster: one ingress with the page and its queue, and replicas that enlarge.

Visitors' sessions, uploads and turns live in one process, so the page needs no sticky sessions; the work is elsewhere.
"""

# pyright: reportMissingImports=false
# ruff: noqa: PLC0415 (Ray is an extra, and slow to import)

import logging
import os
from typing import Any

from hpinet.cluster.connection import ClusterError, Workers
from hpinet.cluster.order import PROCESS_MEGABYTES
from hpinet.cluster.replicas import MODELS, Replica, Replicas
from hpinet.settings import settings
from hpinet.version import __version__

PAGE = "hpinet-page"
ONGOING = 2  # pictures that a replica holds at a time: a small one beside a large one


def start(workers: Workers, *, host: str, port: int) -> None:
    """Serves the page at ``host`` and ``port`` of the head, with replicas on the cluster that this process has joined.

    Returns when the page answers. Raises ClusterError if it does not come up.
    """
    try:
        _start(workers, host=host, port=port)
    except RuntimeError as error:
        words = str(error).strip().partition("\n")[0]
        raise ClusterError(f"The page does not come up: {words} `ray logs` tells more.") from error


def _start(workers: Workers, *, host: str, port: int) -> None:
    from ray import serve
    from ray.serve.config import HTTPOptions

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serve.start(proxy_location="HeadOnly", http_options=HTTPOptions(host=host, port=port))
    replicas: Any = serve.deployment(
        Replica,
        ray_actor_options={
            "num_cpus": workers.cpus,
            "num_gpus": workers.gpus,
            "memory": workers.megabytes * 1_000_000,
            "runtime_env": {"env_vars": workers.environment()},
        },
        autoscaling_config={
            "min_replicas": workers.least,
            "max_replicas": workers.most,
            "target_ongoing_requests": 1,
            "upscale_delay_s": 5,
            "downscale_delay_s": 120,
        },
        max_ongoing_requests=ONGOING,
        max_queued_requests=settings().jobs,
        health_check_period_s=5,
        graceful_shutdown_timeout_s=600,
    )
    serve.run(replicas.bind(__version__), name=MODELS, route_prefix=None)
    page: Any = serve.deployment(
        _page_class(workers.most),
        ray_actor_options={"num_cpus": 0, "runtime_env": {"env_vars": of_the_page(workers)}},
        num_replicas=1,
        max_ongoing_requests=100_000,  # the page has limits of its own, and says so in words
        health_check_period_s=5,
    )
    serve.run(page.bind(), name=PAGE, route_prefix="/")


def stop() -> None:
    """Ends page and replicas."""
    from ray import serve

    serve.shutdown()


def of_the_page(workers: Workers) -> dict[str, str]:
    """Settings of this process that the page has too; its largest job is one that a replica has memory for."""
    own = ("HPINET_CACHE", "HPINET_THREADS")
    told = {name: value for name, value in os.environ.items() if name.startswith("HPINET_") and name not in own}
    room = max(1, workers.megabytes - PROCESS_MEGABYTES)
    return told | {"HPINET_JOB_MB": str(min(settings().job_mb or room, room))}


def _page_class(at_once: int) -> type:
    """What Serve runs as the page."""
    from ray import serve

    def build() -> Any:
        import ray
        from ray import serve

        from hpinet.ui.jobs import elsewhere
        from hpinet.ui.mounting import mounted_page

        handle = serve.get_app_handle(MODELS)
        elsewhere.use(Replicas(handle, at_once=at_once, host=ray.util.get_node_ip_address()))
        return mounted_page()

    @serve.ingress(build)
    class Page:
        def check_health(self) -> None:
            """Asked by Serve, which starts another where this raises."""
            from hpinet.ui.jobs.running import CREW

            if CREW.closing:
                raise RuntimeError("The page is ending.")

    return Page
