"""What the page says of itself: the numbers that hold."""

from dataclasses import replace
from pathlib import Path

import gradio as gr
import httpx
import pytest

from hpinet.settings import settings
from hpinet.ui import privacy
from hpinet.ui.parts.controls import picture_field
from hpinet.ui.tabs import api


def test_its_numbers_are_those_of_the_settings() -> None:
    told = privacy.text(replace(settings(), max_upload_mb=77, keep_hours=1.5, batch_files=33, max_seconds=120))
    for words in ("up to 77 MB", "for 1.5 hours", "33 pictures", "about 2 min"):
        assert words in told
    assert "for 1 hour at most" in privacy.text(replace(settings(), keep_hours=1))


def test_all_that_say_how_long_files_lie_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = replace(settings(), keep_hours=1)
    monkeypatch.setattr("hpinet.ui.parts.controls.settings", lambda: limits)
    monkeypatch.setattr("hpinet.ui.tabs.api.settings", lambda: limits)
    with gr.Blocks():
        field = picture_field("Your picture", "", "picture")
    assert str(field.placeholder).endswith("kept for 1 hour")
    with gr.Blocks() as page, gr.Tab("API"):
        api.build()
    assert any("deleted after 1 hour." in str(getattr(block, "value", "")) for block in page.blocks.values())


def test_it_is_served_and_linked(server: str) -> None:
    page = httpx.get(f"{server}/limits")
    assert page.headers["content-type"].startswith("text/html")
    assert "Limits and privacy" in page.text
    assert "./limits" in httpx.get(f"{server}/config").text


def test_the_page_does_not_say_where_it_lies(server: str) -> None:
    """Its example pictures are named as they lie below the folder it is served from."""
    project = str(Path(__file__).parents[2])
    for page in ("/", "/config"):
        assert project not in httpx.get(f"{server}{page}").text
    gallery = next(
        component["props"]["value"]
        for component in httpx.get(f"{server}/config").json()["components"]
        if component["props"].get("elem_id") == "examples"
    )
    for tile in gallery:
        assert httpx.get(f"{server}/gradio_api/file={tile['image']['path']}").status_code == 200
