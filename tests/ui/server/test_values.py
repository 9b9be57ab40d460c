"""Values of every kind that JSON has: each comes back in its type, or with a sentence of ours."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpinet.errors import OptionError
from hpinet.ui.server import values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
PARSERS: list[tuple[Any, type]] = [
    (lambda value: values.number("It", value, 1, 100), int),
    (lambda value: values.clamped("It", value, 1, 100), int),
    (lambda value: values.choice("It", value, ["a", "b"]), str),
    (lambda value: values.choice("It", value, [2, 3]), int),
    (lambda value: values.flag("It", value), bool),
    (lambda value: values.many("It", value), list),
    (lambda value: values.several("They", value, lambda item: values.number("It", item, 1, 9)), list),
    (lambda value: values.file_name(value, "x.png"), str),
    (lambda value: values.picked({"index": value}, "abc"), int),
    (lambda value: values.spot({"index": value}), tuple),
    (values.spot, tuple),
]


@pytest.mark.parametrize(("parse", "kind"), PARSERS)
@settings(max_examples=40)
@given(value=JSON)
def test_a_value_of_the_kind_or_a_sentence(parse: Any, kind: type, value: Any) -> None:
    assert outcome(parse, value, kind)


def outcome(parse: Any, value: Any, kind: type) -> bool:
    try:
        return type(parse(value)) is kind
    except OptionError as error:
        words = str(error)
    return words.endswith(".") and len(words) < 200 and ("{" not in words or isinstance(value, (str, list)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "4", 4.5, 0, 101, 1e300, None, [4]])
def test_no_number_from_1_to_100(value: Any) -> None:
    with pytest.raises(OptionError, match="whole number from 1 to 100"):
        values.number("It", value, 1, 100)


def test_numbers() -> None:
    assert values.number("It", 4.0, 1, 100) == 4
    assert values.clamped("It", -3.5, 0, 9) == 0
    assert values.clamped("It", 4.6, 0, 9) == 5
    assert values.spot({"index": [3, 4.4]}) == (3, 4)
    assert values.picked({"index": 2}, "abc") == 2


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("cat.png", "cat.png"),
        ("../../etc/cat.png", "cat.png"),
        ("C:\\pictures\\cat.png", "cat.png"),
        ("..", "x.png"),
        ("", "x.png"),
        (None, "x.png"),
        ({}, "x.png"),
        ("a\x00b\ud800.png", "ab.png"),
        ("n" * 500 + ".png", "n" * 196 + ".png"),
    ],
)
def test_names_of_files(given_name: Any, kept: str) -> None:
    assert values.file_name(given_name, "x.png") == kept


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("a.png", "a.png"),
        ("trip∕1∕a.png", "trip/1/a.png"),
        ("∕etc∕a.png", "etc/a.png"),
        ("..∕..∕a.png", "a.png"),
        ("C:\\pictures∕../a.png", "pictures/a.png"),
        ("∕", "x.png"),
        ("", "x.png"),
        (None, "x.png"),
        (["a.png"], "x.png"),
    ],
)
def test_names_of_files_in_a_folder(given_name: Any, kept: str) -> None:
    assert values.path_in_folder(given_name, "x.png") == kept
