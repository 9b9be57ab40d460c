"""The page under another server is the page."""

import pytest
from starlette.testclient import TestClient

from hpinet.settings import settings
from hpinet.ui.mounting import mounted_page


@pytest.mark.slow
def test_a_mounted_page_has_all_that_a_launched_one_has(server: str) -> None:
    import httpx

    launched = httpx.get(f"{server}/config").json()
    with TestClient(mounted_page()) as client:
        config = client.get("/config").json()
        for name in ("css", "js", "head", "theme_hash", "mcp_server", "footer_links", "show_error", "max_file_size"):
            assert config.get(name) == launched.get(name), name
        assert client.get("/healthz").json()["ready"]
        page = client.get("/")
        assert page.headers["content-security-policy"] == httpx.get(server).headers["content-security-policy"]
        assert client.get("/login_check").status_code == 404
        too_large = b"x" * (settings().max_upload_mb * 1_000_000 + 1)
        assert client.post("/gradio_api/upload", files={"files": ("a.png", too_large)}).status_code == 413
