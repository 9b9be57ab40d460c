"""One enlargement: one decode of the source and one plan, whoever asks for it."""

import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import gradio as gr
import pytest
from gradio_client import handle_file

from hpinet import plan
from hpinet.images import reading
from hpinet.ui.server import storage
from hpinet.ui.tabs import upscale_events

if TYPE_CHECKING:
    from gradio_client import Client


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often pictures are decoded, and sizes planned, from here on."""
    counter = Counter[str]()

    def count(module: object, name: str, what: str) -> None:
        original = getattr(module, name)

        def counting(*args: object, **kwargs: object) -> object:
            counter[what] += not any(isinstance(each, reading._Looking) for each in args)  # at headers alone
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, counting)

    count(reading, "_decode", "decodes")
    count(plan, "_cascades", "plans")
    return counter


def test_through_the_endpoint(client: "Client", picture: Path, counts: Counter[str]) -> None:
    client.predict(handle_file(str(picture)), model="T", scale=2, format="jpeg", api_name="/upscale")
    assert counts == {"decodes": 1, "plans": 1}


def test_through_a_batch(client: "Client", picture: Path, counts: Counter[str], tmp_path: Path) -> None:
    files = [shutil.copy(picture, tmp_path / f"{number}.png") for number in range(3)]
    client.predict([handle_file(file) for file in files], model="T", scale=2, api_name="/upscale_batch")
    assert counts == {"decodes": 3, "plans": 3}


@pytest.mark.parametrize("format", ["PNG", "WebP"])
def test_through_the_page(picture: Path, counts: Counter[str], format: str) -> None:
    storage.show([picture])
    source = upscale_events.read_source(picture)
    counts.clear()
    status, *_, shown = upscale_events.upscale(
        cast(gr.Request, SimpleNamespace(session_hash="a-visit", cookies={}, client=None)),
        image={"path": str(picture)},
        source=source,
        model="T",
        scale="×2",
        side="Width",
        pixels=1,
        treatment="auto",
        format=format,
        quality=90,
        metadata="drop",
        shown=None,
    )
    assert "hpinet-t-x2" in status
    assert shown is not None
    # Another format than the lossless one that the page keeps is made of that.
    assert counts == {"decodes": 1 if format == "PNG" else 2, "plans": 1}
