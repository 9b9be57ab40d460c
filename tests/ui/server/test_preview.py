"""What sites that show previews of links find in the page."""

import io
from collections import Counter
from html.parser import HTMLParser

import httpx
from PIL import Image

from hpinet.ui.page import TITLE
from hpinet.ui.server.preview import SIZE


class Tags(HTMLParser):
    """Collects the preview tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        name = told.get("property") or told.get("name") or ""
        if tag == "meta" and name.startswith(("og:", "twitter:")):
            self.found.append((name, told.get("content") or ""))


def test_every_tag_is_ours_and_there_once(server: str) -> None:
    page = httpx.get(server, follow_redirects=True)
    found = Tags(page.text).found
    tags = dict(found)
    assert set(Counter(name for name, _ in found).values()) == {1}
    assert tags["og:title"] == tags["twitter:title"] == TITLE
    assert tags["og:url"] == f"{server}/"
    assert not [value for value in tags.values() if "gradio" in value.lower() or not value]
    picture = httpx.get(tags["og:image"])
    assert picture.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(picture.content)).size == SIZE
    assert (tags["og:image:width"], tags["og:image:height"]) == tuple(map(str, SIZE))


def test_addresses_are_those_that_visitors_use(server: str) -> None:
    headers = {"X-Forwarded-Host": "owner-hpinet.example", "X-Forwarded-Proto": "https"}
    tags = dict(Tags(httpx.get(server, headers=headers).text).found)
    assert tags["og:image"] == tags["twitter:image"] == "https://owner-hpinet.example/preview.jpg"


def test_a_host_cannot_write_into_the_page(server: str) -> None:
    page = httpx.get(server, headers={"X-Forwarded-Host": '"><script>alert(1)</script>'})
    assert "<script>alert(1)" not in page.text
