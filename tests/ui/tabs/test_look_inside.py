"""The "Look inside" tab: its drawings, its handler, and the whole of it in real Chromium."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

from hpinet.attribution.explain import Explanation, explain
from hpinet.attribution.lam import BlurPath
from hpinet.errors import OptionError
from hpinet.images.compression import Compression
from hpinet.model import HPINet, HPINetConfig
from hpinet.ui.jobs import zerogpu
from hpinet.ui.jobs.explain import Question, expected_seconds
from hpinet.ui.jobs.models import choices
from hpinet.ui.parts import explanation_svg
from hpinet.ui.server import storage
from hpinet.ui.tabs import look_inside
from hpinet.ui.tabs.why import Asked

from ..conftest import EXAMPLES, OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    torch.manual_seed(7)
    model = HPINet(HPINetConfig(4, dim=8, qk_dim=4, ffn_dim=8, patch_sizes=(12, 16))).eval()
    with Image.open(EXAMPLES / "facade.png") as image:
        pixels = np.array(image.convert("RGB"))[:50, :60]
    return explain(model, pixels, x=30, y=20, path=BlurPath(steps=2), region=32)


def parts(html: str, tag: str) -> list[ET.Element]:
    """Elements of a drawing, which has to be well formed."""
    return ET.fromstring(re.sub(r"<(img|br)([^>]*)>", r"<\1\2/>", html)).findall(f".//{tag}")


# ------------------------------------------------------------------------------------------------------- drawings


def test_heat_view_has_layers_and_tells_what_they_show(explanation: Explanation) -> None:
    html = explanation_svg.heat_view(explanation)
    [svg] = parts(html, "svg")
    assert svg.get("viewBox") == "0 0 32 32"
    assert f"({explanation.x}, {explanation.y})" in (svg.get("aria-label") or "")
    assert [image.get("class") for image in parts(html, "image")] == ["", "heat pixels", "heat area"]
    [window] = parts(html, "rect")
    assert (float(window.get("width", 0)), float(window.get("height", 0))) == (4, 4)
    assert "0.1%" in html
    assert "0.1%" not in explanation_svg.heat_view(explanation, legend=False)


def test_chain_view_links_every_stage(explanation: Explanation) -> None:
    html = explanation_svg.chain_view(explanation)
    assert len(parts(html, "line")) == 2
    assert len(parts(html, "img")) == 4
    titles = [title.text or "" for title in parts(html, "title")]
    for match, title in zip(explanation.chain, titles, strict=True):
        assert title.startswith(f"stage {match.stage}, {match.distance:.0f} pixels away")
        assert f"similarity {match.similarity:.2f}" in title
    left, top, _, _ = explanation.chain[0].reference
    assert any((rect.get("x"), rect.get("y")) == (str(left), str(top)) for rect in parts(html, "rect"))


def test_distances_view_counts_every_patch(explanation: Explanation) -> None:
    counts = [
        int((title.text or "").split()[0]) for title in parts(explanation_svg.distances_view(explanation), "title")
    ]
    assert sum(counts) == sum(stage.grid.count for stage in explanation.stages)


@pytest.mark.parametrize("spot", look_inside.SPOTS, ids=lambda spot: spot.file)
def test_example_spots_are_in_their_pictures(spot: look_inside.Spot) -> None:
    with Image.open(EXAMPLES / spot.file) as image:
        assert 0 <= spot.x < image.width
        assert 0 <= spot.y < image.height
        # A spot with nothing to see would be refused.
        around = np.array(image.convert("L").crop((spot.x - 3, spot.y - 3, spot.x + 4, spot.y + 4)))
    assert np.ptp(around) > 50


# -------------------------------------------------------------------------------------------------------- handler


@pytest.fixture(autouse=True)
def _received() -> None:
    """Lets the handlers open these files as if they had been sent."""
    storage.show([EXAMPLES / "facade.png", Path(__file__)])


def ask(**changes: Any) -> tuple[Any, ...]:
    """What a run with these settings comes to."""
    settings: dict[str, Any] = {
        "image": {"path": str(EXAMPLES / "facade.png")},
        "x": 5,
        "y": 5,
        "model": "T",
        "path": "Quick",
        "scale": 4,
        "window": 16,
        "region": 48,
        "asked": None,
        "kept": [],
    }
    return look_inside.explain_spot(gr.Request(), **{**settings, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image": None}, "Choose a picture"),
        ({"x": None}, "Give the spot"),
        ({"x": 5000}, "outside the picture"),
        ({"y": -1}, "from 0"),
        ({"model": "Z"}, "no model"),
        ({"scale": 7}, "scale"),
        ({"path": "Slow"}, "How exactly"),
        ({"window": 500}, "window"),
        ({"image": {"path": __file__}}, "picture"),
    ],
)
def test_what_makes_no_sense_is_said(changes: dict[str, Any], words: str) -> None:
    told, results, *_ = ask(**changes)
    assert 'role="alert"' in told
    assert words in told
    assert results == gr.update(visible=False)  # of another spot, if there are any


def foreseen(**changes: Any) -> str:
    settings: dict[str, Any] = {
        "image": {"path": str(EXAMPLES / "facade.png")},
        "model": "T",
        "path": "Quick",
        "scale": 4,
        "region": 48,
    }
    return look_inside.foresee(**{**settings, **changes})


def test_the_wait_is_foretold() -> None:
    assert re.search(r"T ×4.*(about \d+|under 1) s", foreseen())
    assert "fetched on first use" not in foreseen()
    assert foreseen(image=None) == ""
    assert "not a picture" in foreseen(image={"path": __file__})

    def seconds(**changes: Any) -> float:
        settings: dict[str, Any] = {"model": "T", "scale": 4, "steps": 12, "region": 48}
        return expected_seconds(EXAMPLES / "facade.png", **{**settings, **changes})

    assert seconds() < seconds(region=96) < seconds(region=96, steps=50)
    assert seconds(model="M") > seconds()


def test_models_on_offer_are_those_that_can_be_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zerogpu, "IS_HERE", True)
    with gr.Blocks() as page:
        come, nothing, tabs, tab = gr.Button().click, gr.State(), gr.Tabs(), gr.Tab()
        look_inside.build(look_inside.Spotted(come, nothing, nothing), tabs, tab)
    [field] = [block for block in page.blocks.values() if isinstance(block, gr.Radio) and block.elem_id == "look-model"]
    assert [key for _, key in field.choices] == list(choices())


def test_what_was_asked_on_another_tab_is_answered_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(question: Question) -> None:
        how = f"{question.treatment}, {question.found}"
        raise OptionError(f"asked: {question.model} ×{question.scale} at {question.x}, {question.y}, {how}")

    monkeypatch.setattr(look_inside, "look", refuse)
    facade = EXAMPLES / "facade.png"
    source: Any = SimpleNamespace(path=facade, shown=facade, found=Compression("WEBP", None))
    asked = Asked(source, 3, 4, "T", 2, "clean")
    _, image, model, scale, x, y, kept, *_ = look_inside._bring(asked)
    fields = {"image": {"path": image}, "model": model, "scale": scale, "x": x, "y": y, "asked": kept}
    assert "asked: T ×2 at 3, 4, clean, WEBP" in ask(**fields)[0]
    storage.show([EXAMPLES / "cat.png"])
    assert "4, auto, None" in ask(**{**fields, "image": {"path": str(EXAMPLES / "cat.png")}})[0]  # another picture
    assert look_inside._bring(None) == (gr.skip(),) * 9


# -------------------------------------------------------------------------------------------------------- browser


def shown(page: "Page") -> str:
    """What the status says once a run is over."""
    page.locator("#look-status", has_text="diffusion index").wait_for(timeout=120_000)
    page.locator("#look-run:not([disabled])").wait_for(timeout=120_000)
    return page.locator("#look-status").inner_text()


@pytest.mark.slow
@pytest.mark.browser
def test_click_a_spot_see_it_explained_and_download_the_figure(
    open_page: OpenPage, picture: Path, tmp_path: Path
) -> None:
    page = open_page()
    page.get_by_role("tab", name="Look inside").click()
    page.locator("#look-picture input[type=file]").set_input_files(picture)
    page.locator("#look-status", has_text="click the spot").wait_for()
    page.locator("#look-picture img").click()  # the middle of 28 x 20 pixels
    status = shown(page)
    assert "hpinet-t-x4" in status
    assert re.search(r"adds up within \d+\.\d%", status)
    assert int(page.locator("#look-picture-x input").input_value()) in range(12, 17)
    assert int(page.locator("#look-picture-y input").input_value()) in range(8, 13)
    assert "28 by 20" in (page.locator("#look-heat svg").get_attribute("aria-label") or "")
    assert page.locator("#look-chain line").count() == 4
    assert page.locator("#look-cards figure").count() == 1

    # Layers, without the server.
    pixels, area = page.locator("#look-heat .pixels"), page.locator("#look-heat .area")
    assert pixels.is_visible()
    assert area.is_hidden()
    page.locator("#look-layer label", has_text="Contribution area").click()
    area.wait_for(state="visible")
    assert pixels.is_hidden()
    page.locator("#look-opacity input[type=number]").fill("30")
    page.locator("#look-opacity input[type=number]").press("Tab")
    page.wait_for_function("getComputedStyle(document.querySelector('#look-heat .area')).opacity == 0.3")

    # Figures.
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        page.locator(f"#look-{suffix[1:]}:not([disabled])").wait_for(timeout=60_000)
        with page.expect_download() as caught:
            page.locator(f"#look-{suffix[1:]}").click()
        file = tmp_path / f"figure{suffix}"
        caught.value.save_as(file)
        assert caught.value.suggested_filename.startswith("my-cat_")
        assert file.read_bytes().startswith(start)

    # Another spot joins the first for comparison.
    page.locator("#look-picture-x input").fill("3")
    page.locator("#look-run").click()
    page.locator("#look-cards figure").nth(1).wait_for(timeout=120_000)
    page.locator("#look-pdf:not([disabled])").wait_for(timeout=60_000)  # nothing runs on when the test is over

    # Nothing is said of no picture.
    page.locator("#look-picture [aria-label='Clear'], #look-picture [aria-label='Remove Image']").first.click()
    page.locator("#look-status", has_text="Choose a picture").wait_for()
    page.locator("#look-heat").wait_for(state="hidden")


@pytest.mark.slow
@pytest.mark.browser
def test_a_picture_that_browsers_cannot_show(open_page: OpenPage, deep_picture: Path) -> None:
    page = open_page()
    page.get_by_role("tab", name="Look inside").click()
    page.locator("#look-picture input[type=file]").set_input_files(deep_picture)
    page.locator("#look-status", has_text="click the spot").wait_for()
    page.wait_for_function("document.querySelector('#look-picture img')?.naturalWidth == 26")


@pytest.mark.slow
@pytest.mark.browser
def test_stop(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    page.get_by_role("tab", name="Look inside").click()
    page.locator("#look-path label", has_text="Full").click()
    page.get_by_role("button", name="More settings").click()
    page.get_by_label("number input for Pixels shown to the network, each way").fill("128")  # for a minute of work
    page.locator("#look-examples button.thumbnail-item").first.click()
    # At once: to aim at it takes a busy machine long.
    page.locator("#look-stop:not([disabled])").dispatch_event("click", timeout=60_000)
    page.locator("#look-status", has_text="Stopped").wait_for()
    page.locator("#look-run:not([disabled])").wait_for()
    assert page.locator("#look-heat svg").count() == 0
    # The machine is free again: another spot does not wait for the rest of fifty steps.
    page.locator("#look-path label", has_text="Quick").click()
    page.get_by_label("number input for Pixels shown to the network, each way").fill("48")
    page.locator("#look-picture [aria-label='Clear'], #look-picture [aria-label='Remove Image']").first.click()
    page.locator("#look-picture input[type=file]").set_input_files(picture)
    page.locator("#look-status", has_text="click the spot").wait_for()
    page.locator("#look-picture img").click()
    assert "12 steps" in page.locator("#look-cards").inner_text() or shown(page)
    page.locator("#look-pdf:not([disabled])").wait_for(timeout=60_000)
