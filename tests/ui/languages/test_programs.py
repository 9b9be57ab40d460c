"""Programs are answered in English, visitors in their language, whatever answers."""

import httpx
import pytest

from hpinet.ui import languages
from hpinet.ui.server.visitors import COOKIE


@pytest.fixture
def visitor(server: str) -> httpx.Client:
    """A browser that asks for German."""
    return httpx.Client(base_url=server, headers={"accept-language": "de"}, cookies={COOKIE: "a-visitor-of-a-test"})


def test_refusals_are_in_the_language_of_a_visitor(server: str, visitor: httpx.Client) -> None:
    words = "There is nothing here."
    assert visitor.get("/nowhere").json()["detail"] == languages.sentence(words, "de") != words
    assert httpx.get(f"{server}/nowhere", headers={"accept-language": "de"}).json()["detail"] == words


def test_an_endpoint_speaks_english(visitor: httpx.Client) -> None:
    call = visitor.post("/gradio_api/call/models", json={"data": []}).json()["event_id"]
    assert "bundled" in visitor.get(f"/gradio_api/call/models/{call}").text


def test_the_page_says_what_it_depends_on(visitor: httpx.Client) -> None:
    answer = visitor.get("/")
    assert 'lang="de" dir="ltr"' in answer.text
    assert {"accept-language", "cookie"} <= {name.strip() for name in answer.headers["vary"].lower().split(",")}
    assert languages.COOKIE not in answer.headers.get("set-cookie", "")
    assert f"{languages.COOKIE}=ar" in visitor.get("/?lang=ar").headers["set-cookie"]
    assert "set-cookie" not in visitor.get("/?lang=xx").headers


def test_the_configuration_is_translated_and_values_are_not(server: str, visitor: httpx.Client) -> None:
    english, german = httpx.get(f"{server}/config").json(), visitor.get("/config").json()
    for one, other in zip(english["components"], german["components"], strict=True):
        if one["props"].get("elem_id") == "scale":
            assert other["props"]["label"] == languages.sentence("How large", "de") != one["props"]["label"]
            assert other["props"]["value"] == one["props"]["value"]
            assert [value for _, value in other["props"]["choices"]] == [value for _, value in one["props"]["choices"]]
            return
    pytest.fail("There is no field of scales.")
