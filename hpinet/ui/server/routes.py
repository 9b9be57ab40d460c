"""Which of Gradio's routes are open: those that the page, its clients and MCP need. Paths are as Starlette writes them.

What is on neither list is closed too; a test then fails, so that a new Gradio's routes get judged before they serve.
"""

from starlette.routing import compile_path

API = "/gradio_api"
HEALTH = "/healthz"
PRIVACY = "/limits"
METRICS = "/metrics"
MANIFEST = "/manifest.json"
FAVICON = "/favicon.ico"
ICON = "/icon-{side}.png"
TILE = "/tiles/{view}/{layer}/{level}/{column}/{row}"
FILE = f"{API}/file="
MCP = f"{API}/mcp"
UPLOAD = f"{API}/upload"
PROGRESS = f"{API}/upload_progress"
JOIN = f"{API}/queue/join"
DATA = f"{API}/queue/data"
CANCEL = f"{API}/cancel"
CALLS = (f"{API}/call/{{api_name}}", f"{API}/call/v2/{{api_name}}")
RESULTS = tuple(f"{call}/{{event_id}}" for call in CALLS)
HEARTBEAT = f"{API}/heartbeat/{{session_hash}}"

OPEN: dict[str, frozenset[str]] = {
    path: frozenset(methods.split())
    for path, methods in {
        # The page and what it is made of.
        "/": "GET HEAD",
        "/config": "GET",
        "/theme.css": "GET",
        f"{API}/theme.css": "GET",
        "/static/{path:path}": "GET",
        "/assets/{path:path}": "GET",
        FAVICON: "GET HEAD",
        MANIFEST: "GET HEAD",
        ICON: "GET HEAD",
        "/robots.txt": "GET",
        f"{API}/app_id": "GET",
        f"{API}/startup-events": "GET",  # the server calls itself when it starts
        HEALTH: "GET",
        PRIVACY: "GET",
        METRICS: "GET",  # where a setting says so
        # Files: what visitors send, and what is made for them.
        UPLOAD: "POST",
        PROGRESS: "GET",
        f"{FILE}{{path_or_url:path}}": "GET HEAD",
        TILE: "GET HEAD",
        # Work.
        JOIN: "POST",
        DATA: "GET",
        CANCEL: "POST",
        f"{API}/reset": "POST",
        HEARTBEAT: "GET",
        # Programs.
        f"{API}/info": "GET",
        **dict.fromkeys(CALLS, "POST"),
        **dict.fromkeys(RESULTS, "GET"),
        MCP: "GET HEAD POST DELETE",
        f"{MCP}/{{path:path}}": "GET HEAD POST DELETE",
    }.items()
}

CLOSED: frozenset[str] = frozenset(
    {
        # Signing in: there are no accounts.
        "/login",
        "/login/",
        "/logout",
        f"{API}/login_check",
        f"{API}/login_check/",
        f"{API}/user",
        f"{API}/user/",
        f"{API}/token",
        f"{API}/token/",
        # What makes the server fetch, or run, something else.
        f"{API}/proxy={{url_path:path}}",
        f"{API}/component_server",
        f"{API}/component_server/",
        f"{API}/custom_component/{{id}}/{{environment}}/{{type}}/{{file_name}}",
        "/svelte/{path:path}",
        f"{API}/process_recording",
        # Tools of developers.
        f"{API}/dev/reload",
        f"{API}/vibe-edit",
        f"{API}/vibe-edit/",
        f"{API}/undo-vibe-edit",
        f"{API}/undo-vibe-edit/",
        f"{API}/vibe-code",
        f"{API}/vibe-code/",
        f"{API}/vibe-starter-queries",
        f"{API}/vibe-starter-queries/",
        "/monitoring",
        "/monitoring/summary",
        "/monitoring/{key}",
        "/openapi.json",
        f"{API}/openapi.json",
        # Features that this page has not: histories, links to states, streams, installing.
        f"{API}/runs",
        f"{API}/runs/",
        f"{API}/run-history/connect",
        f"{API}/run-history/buckets",
        f"{API}/run-history/records",
        f"{API}/run-history/records/{{endpoint}}/{{record_id}}/assets/{{asset_id}}",
        f"{API}/deep_link",
        f"{API}/queue/status",
        f"{API}/stream/{{event_id}}",
        f"{API}/stream/{{event_id}}/close",
        f"{API}/stream/{{session_hash}}/{{run}}/{{component_id}}/playlist.m3u8",
        f"{API}/stream/{{session_hash}}/{{run}}/{{component_id}}/{{segment_id}}.{{ext}}",
        f"{API}/stream/{{session_hash}}/{{run}}/{{component_id}}/playlist-file",
        "/pwa_icon",
        "/pwa_icon/{size}",
        # Older ways to what is open.
        f"{API}/file/{{path:path}}",
        f"{API}/run/{{api_name}}",
        f"{API}/run/{{api_name}}/",
        f"{API}/api/{{api_name}}",
        f"{API}/api/{{api_name}}/",
        # Second spellings, which nothing uses.
        "/config/",
        f"{API}/app_id/",
        f"{API}/info/",
        f"{API}/reset/",
        *(f"{call}/" for call in CALLS),
    }
)

_PATTERNS = [(path, compile_path(path)[0]) for path in OPEN]


def open_route(path: str, method: str) -> tuple[str, dict[str, str]] | None:
    """The open route that an address leads to, with the parts of the address that it names; None if it is closed."""
    for route, pattern in _PATTERNS:
        if found := pattern.match(path):
            return (route, found.groupdict()) if method in OPEN[route] else None
    return None
