"""The page in a browser, in its languages."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpinet.ui import languages
from scripts.messages import messages

from ..conftest import EXAMPLES, OpenPage, settle
from ..test_accessibility import serious_violations, unfold
from ..test_browser import begin_long_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

OTHERS = [code for code in languages.LANGUAGES if code != languages.ENGLISH]
TABS = ("upscale", "batch", "measure", "look", "api")

NAMES = re.compile(
    r"HPINet|API|PNG|JPEG|WebP|AVIF|hpinet-\S+|(torch|openvino) on \w+|PSNR-Y|SSIM-Y|CC0|CSV|Markdown|Python|"
    r"JavaScript|[\w ]+\.png|Datei hier ablegen|common\.complete|Hochladen|Laden|Löschen|In queue: .*|"
    r"curl|upscale\.\w+|/\w+|EXIF, XMP, IPTC|[SML](-\w+)?|(\S+: )?HPINet[ -]\S+( ×\d)?|[\d×→ .,↓·%+()\[\]-]+"
)
"""What is the same in every language, and what Gradio says in German by itself."""

# Every text that can be read or heard, with where it stands, but for what is not ours: code, and Gradio's own words.
_TEXTS = """() => {
  const found = [];
  const skipped = "script, style, code, pre, strong, em, footer, [translate=no], .cm-editor, .hidden, .code_wrap, " +
    ".endpoint, .or, .file-preview td:not(:last-child)";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (text && parent && !parent.closest(skipped) && parent.offsetParent) found.push(text);
  }
  const viewer = document.querySelector("hpinet-viewer");
  for (const root of [document, viewer?.shadowRoot])
    for (const element of root?.querySelectorAll("[aria-label], [title], [alt]") ?? [])
      if (!element.closest(skipped))
        for (const name of ["aria-label", "title", "alt"])
          if (element.getAttribute(name)) found.push(element.getAttribute(name));
  return [...new Set(found)];
}"""


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """German whose every message is the English one in brackets, so that what nobody translates can be told."""
    entries = {message: "⟦" + re.sub(r":n\}", "}", message) + "⟧" for message in messages()}
    real = languages.catalogue
    caches = (languages.sentence, languages.templates_of)
    monkeypatch.setattr(languages, "catalogue", lambda language: entries if language == "de" else real(language))
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.slow
def test_every_word_of_the_page_is_translated(marked: None, open_page: OpenPage) -> None:
    page = open_page("?lang=de")
    page.locator("#examples button.thumbnail-item").first.click()
    page.wait_for_selector("hpinet-viewer[shown]")
    bare: list[str] = []
    for tab in TABS:
        page.locator(f"[role=tab][data-tab-id={tab}]").click()
        if tab in ("measure", "look"):
            page.locator(f"#{tab}-examples button.thumbnail-item").first.click()
            page.locator(
                f"#{tab}-status .facts, #{tab}-status .quiet", has_text=re.compile("bicubic|×|restored")
            ).wait_for()
        unfold(page)
        settle(page)
        bare += untranslated(page, tab)
    assert not bare, "\n".join(bare)


@pytest.mark.slow
def test_every_word_of_what_happens_is_translated(
    marked: None, open_page: OpenPage, picture: Path, tmp_path: Path
) -> None:
    page = open_page("?lang=de")
    page.locator("#picture input[type=file]").set_input_files(picture)
    page.locator("#status", has_text="Ready").wait_for()
    bare = untranslated(page, "chosen")
    begin_long_run(page)
    page.locator(".progress-level-inner", has_text="%").wait_for()
    bare += untranslated(page, "running")
    page.locator("#stop").click()
    page.locator("#status", has_text="Stopped").wait_for()
    bare += untranslated(page, "stopped")
    drawing = tmp_path / "x.svg"
    drawing.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    page.locator("#picture input[type=file]").set_input_files(drawing)
    page.locator("#refusal [role=alert]").wait_for()
    bare += untranslated(page, "refused")
    page.locator("[role=tab][data-tab-id=batch]").click()
    page.locator("#batch-files input[type=file]").set_input_files([picture, EXAMPLES / "cat.png"])
    page.locator("#batch-files", has_text="cat.png").wait_for()
    page.locator("#batch-run").click()
    page.locator("#batch-download").wait_for()
    bare += untranslated(page, "batch")
    assert not bare, "\n".join(bare)


def untranslated(page: "Page", where: str) -> list[str]:
    """Texts that are read or heard and that nobody has put into brackets."""
    bare, inside = [], 0
    for text in page.evaluate(_TEXTS):
        inside += text.count("⟦") - text.count("⟧")  # a message goes over several texts around its emphasis
        left = re.sub(r"⟦.*⟧", "", text, flags=re.DOTALL).strip(" ·,:()[]")
        if "⟦" in text or "⟧" in text or not re.search("[A-Za-z]{2}", left) or NAMES.fullmatch(left) or inside:
            continue
        bare.append(f"{where}: {text}")
    return bare


def test_the_browser_chooses_the_link_switches_and_it_is_remembered(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    assert page.evaluate("[document.documentElement.lang, document.dir]") == ["en", "ltr"]
    settle(page)
    page.locator("#language").select_option("ar")
    page.wait_for_url("**/?lang=ar")
    page.wait_for_selector("#run")
    assert page.evaluate("[document.documentElement.lang, document.dir, navigator.language]") == ["ar", "rtl", "ar"]
    assert page.locator("#run").inner_text() == languages.sentence("Upscale", "ar")
    settle(page)
    page.goto(page.url.partition("?")[0])
    page.wait_for_selector("#run")
    assert page.evaluate("document.documentElement.lang") == "ar"
    no_picture = tmp_path / "no picture.png"
    no_picture.write_text("nothing")
    page.locator("#picture input[type=file]").set_input_files(no_picture)
    refusal = page.locator("#refusal .trouble")
    refusal.wait_for()
    assert not re.search("picture|use", refusal.inner_text())
    settle(page)
    page.goto(page.url + "limits")
    assert page.locator("h1").inner_text() == languages.sentence("Limits and privacy", "ar")


@pytest.mark.slow
@pytest.mark.parametrize("language", ["de", "es", "ru", "ar", "hi"])  # the longest words, and from right to left
def test_nothing_overflows_on_a_phone(language: str, open_page: OpenPage) -> None:
    page = open_page(f"?lang={language}", width=390, height=800, phone=True)
    page.locator("#examples button.thumbnail-item").first.click()
    page.wait_for_selector("hpinet-viewer[shown]")
    wide: list[str] = []
    for tab in TABS[:4]:
        page.locator(f"[role=tab][data-tab-id={tab}]").first.evaluate("tab => tab.click()")
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab
        wide += page.evaluate(
            """() => [...document.querySelectorAll(
                "button, label > span, fieldset .wrap, summary, h1, h2, .facts li, p")]
              .filter((element) => element.offsetParent && !element.closest(
                ".tip, .cm-editor, [role=tablist], .label-wrap, .icon-button-wrapper"))
              .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth
                && getComputedStyle(element).display !== "inline" && !element.querySelector("[role=tooltip]"))
              .map((element) => `${element.tagName}.${element.className}: ${element.innerText.slice(0, 60)}`)"""
        )
    assert not wide, "\n".join(wide)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["de", "ar", "ja"])
def test_no_serious_violations_in_a_language(language: str, open_page: OpenPage, node_modules: Path) -> None:
    page = open_page(f"?lang={language}")
    page.locator("#picture input[type=file]").set_input_files(EXAMPLES / "line-art.png")
    page.locator("#forecast", has_text="176×176").wait_for()
    page.locator("#run").click()
    page.wait_for_selector("hpinet-viewer[shown]")
    page.add_script_tag(path=node_modules / "axe-core" / "axe.min.js")
    found = []
    for tab in TABS:
        page.locator(f"[role=tab][data-tab-id={tab}]").click()
        page.wait_for_timeout(400)
        found += serious_violations(page, tab)
    assert not found, "\n".join(found)
