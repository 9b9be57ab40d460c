"""The files of the languages, and how texts are found in them."""

import re

import pytest
from starlette.types import Scope

from hpinet.ui import languages
from scripts.messages import messages

OTHERS = [code for code in languages.LANGUAGES if code != languages.ENGLISH]
HOLE = re.compile(r"\{(\w+)(:n)?\}")
MESSAGES = messages()


def forms(translation: languages.Translation) -> list[str]:
    return [translation] if isinstance(translation, str) else list(translation.values())


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_message_and_no_other(language: str) -> None:
    has = set(languages.catalogue(language))
    assert not set(MESSAGES) - has, "missing: python -m scripts.messages --missing " + language
    assert not has - set(MESSAGES), "nothing says this"


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_values_of_its_message(language: str) -> None:
    for message, translation in languages.catalogue(language).items():
        values = sorted(name for name, _ in HOLE.findall(message))
        for form in forms(translation):
            told = sorted(name for name, _ in HOLE.findall(form))
            # One thing may go without its number: "one file", "two files" where the language has a word for two.
            spelled = isinstance(translation, dict) and form is not translation["other"] and told == values[: len(told)]
            assert told == values or spelled, (message, form)
            assert form.strip(), message


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_is_plain_text(language: str) -> None:
    """What is put into HTML and attributes; emphasis and headings stay as they are in the message."""
    for message, translation in languages.catalogue(language).items():
        for form in forms(translation):
            assert not re.search(r'[<>]|"', form), (message, form)
            assert form.count("**") == message.count("**"), (message, form)
            assert form.count("`") == message.count("`"), (message, form)
            assert re.findall("^#*", form) == re.findall("^#*", message), message


@pytest.mark.parametrize("language", OTHERS)
def test_plurals_are_those_of_the_language(language: str) -> None:
    rule = languages.locale_of(language).plural_form
    for message, translation in languages.catalogue(language).items():
        if isinstance(translation, dict):
            assert set(translation) <= {*rule.tags, "other"}, message
            assert "other" in translation, message


def sample(message: str) -> tuple[str, dict[str, str]]:
    """The message with values in it, as the page would say it."""
    values = {name: "7.5" if kind else f"x{number}.png" for number, (name, kind) in enumerate(HOLE.findall(message))}
    return HOLE.sub(lambda match: values[match[1]], message), values


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_found_with_its_values(language: str) -> None:
    """Whatever stands in it, and with its numbers as the language writes them."""
    catalogue = languages.catalogue(language)
    for message in catalogue:
        said, values = sample(message)
        found = languages.sentence(said, language)
        told = re.sub("[\u2066\u2069]", "", found).strip()
        expected = set()
        for other, translation in catalogue.items():
            if HOLE.sub("{}", other) == HOLE.sub("{}", message):  # two say the same of things named otherwise
                names = [name for name, _ in HOLE.findall(other)]
                inside = dict(zip(names, (languages.sentence(each, language) for each in values.values()), strict=True))
                expected |= {re.sub("[\u2066\u2069]", "", form.format(**inside)).strip() for form in forms(translation)}
        assert told in expected, (message, said, found)


@pytest.mark.parametrize(
    ("language", "number", "share"),
    [
        ("de", "31,74", "12,3\xa0%"),
        ("fr", "31,74", "12,3\xa0%"),
        ("ru", "31,74", "12,3\xa0%"),
        ("ja", "31.74", "12.3%"),
    ],
)
def test_numbers_are_written_as_the_language_writes_them(language: str, number: str, share: str) -> None:
    assert languages.number("31.74", language) == number
    assert languages.number("12.3%", language) == share
    assert languages.number("-0.50", "de") == "\N{MINUS SIGN}0,50"
    assert languages.number("1920", language) == "1920", "sizes have no thousands marked"


def test_what_a_text_is_put_together_of_is_translated_too() -> None:
    assert languages.sentence("Picture 2 of 3: 1 min 5 s left", "de") != "Picture 2 of 3: 1 min 5 s left"
    assert "min" in languages.sentence("Picture 2 of 3: 1 min 5 s left", "de")
    quick = languages.sentence("Quick · under\N{NO-BREAK SPACE}1\N{NO-BREAK SPACE}s", "es")
    assert quick == "Rápido · menos\N{NO-BREAK SPACE}de\N{NO-BREAK SPACE}1\N{NO-BREAK SPACE}s"  # may break where it may
    for told in ("Quick · under 1 s", "Best · ✕ too long", "JPEG ✕ too large", "PNG · 519 kB"):
        parts = re.split("( · ✕ | · | ✕ )", told)
        assert languages.sentence(told.replace(" ", "\N{NO-BREAK SPACE}"), "ru").replace("\N{NO-BREAK SPACE}", " ") == (
            "".join(part if part.strip() in {"·", "✕", "· ✕"} else languages.sentence(part, "ru") for part in parts)
        )
    unknown = languages.sentence("done, nobody has ever said this", "de")
    assert unknown == f"{languages.sentence('done', 'de')}, nobody has ever said this"


def test_html_keeps_its_tags_and_names_stay() -> None:
    told = languages.in_html('<td translate="no">done</td><td class="done" title="done">done &amp; gone.png</td>', "de")
    done = languages.sentence("done", "de")
    assert told == f'<td translate="no">done</td><td class="done" title="{done}">done &amp; gone.png</td>'


def test_what_strangers_wrote_stays_escaped() -> None:
    told = languages.in_html("<p>&lt;img src=x onerror=alert(1)&gt;: take a smaller picture.</p>", "de")
    assert "<img" not in told
    assert "&lt;img src=x" in told


def test_sizes_are_not_turned_around_from_right_to_left() -> None:
    assert "\u2066100×200 → 400×800\u2069" in languages.in_html("<b>100×200 → 400×800</b>", "ar")
    assert languages.in_html("<b>100×200 → 400×800</b>", "de") == "<b>100×200 → 400×800</b>"


def test_values_of_fields_stay() -> None:
    told = languages.properties("radio", {"label": "File", "value": "done", "choices": [["done", "done"]]}, "de")
    assert told["value"] == "done"
    assert told["choices"] == [[languages.sentence("done", "de"), "done"]]


def scope(query: str = "", accept: str = "", cookie: str = "") -> Scope:
    headers = [(b"accept-language", accept.encode()), (b"cookie", cookie.encode())]
    return {"type": "http", "query_string": query.encode(), "headers": headers}


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        (scope(), "en"),
        (scope(accept="*"), "en"),
        (scope(accept="de-AT,de;q=0.9,en;q=0.5"), "de"),
        (scope(accept="xx,en;q=0.3,ar-EG;q=0.7"), "ar"),
        (scope(accept="de;q=0, es;q=nonsense"), "en"),
        (scope(accept="de", cookie="hpinet-language=ar"), "ar"),
        (scope(accept="de", cookie="hpinet-language=<script>"), "de"),
        (scope("lang=AR", accept="de", cookie="hpinet-language=en"), "ar"),
        (scope("lang=../../etc/passwd", accept="de"), "de"),
    ],
)
def test_a_link_comes_before_a_choice_before_the_browser(asked: Scope, language: str) -> None:
    assert languages.asked_for(asked) == language
