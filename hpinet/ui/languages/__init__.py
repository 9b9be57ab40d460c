"""The languages of the page. Its code speaks English; on the way to a visitor each text is looked up and replaced.

A file a language, ``CODE.json``, from each message in English to its translation; `scripts.messages` lists what there
is to translate. A message may hold values: ``about {seconds:n} s`` is what ``about 8 s`` is found by, and the 8 comes
back formatted for the language (`babel` knows how, and which plural a number takes). So nothing below the page knows of
languages, and programs, which speak no language of visitors, get what the code says.
"""

import json
import re
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from html import escape, unescape
from pathlib import Path
from urllib.parse import parse_qs

from babel import Locale, negotiate_locale
from babel.numbers import format_decimal, format_percent
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Scope

ENGLISH = "en"
_FOLDER = Path(__file__).parent
LANGUAGES = {
    "en": "English",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
    "pt": "Português",
    "ru": "Русский",
    "ar": "العربية",
    "hi": "हिन्दी",
    "zh-CN": "简体中文",
    "ja": "日本語",
    "ko": "한국어",
}
"""By their codes, what each calls itself; each but English has its file."""

COOKIE = "hpinet-language"
"""What a visitor has chosen by hand."""

SPOKEN: ContextVar[str] = ContextVar("SPOKEN", default=ENGLISH)
"""The language of the visitor whose call is handled."""

Translation = str | dict[str, str]
"""One text, or one for each plural category of the language."""

_NUMBER = r"[+-]?\d+(?:\.\d+)?%?"
_HOLE = re.compile(r"\{(\w+)(:n)?\}")
_PIECE = re.compile(r"(<style>.*?</style>|<script>.*?</script>|<[^>]*>|\n\s*\n|(?:^|\n)- )", re.DOTALL)
_SHOWN = re.compile(r'\b(aria-label|alt|title|placeholder|data-model)="([^"]*)"')
_BREAKS = ("^#+ ", " · ", "\n", r"(?<=[.!?]) (?=[A-Z])", r" \(|\)$", " [↓→]$", "^[✕✓✗–…·] ", ", ", ": ", r" \+ ")
"""Where a text that is no message may be put together of several, tried in this order."""

_LTR = re.compile(r"×?\d[\d.,]*(?: ?[×→/] ?\d[\d.,]*)+|×\d+|[+-]\d[\d.,]*")
"""What a text from right to left would turn around: sizes, scales, signs."""


# ------------------------------------------------------------------------------------------------------- which language


def asked_for(scope: Scope) -> str:
    """The language of a request: of its link, or else chosen before, or else the browser's, or else English."""
    if told := linked(scope) or known(HTTPConnection(scope).cookies.get(COOKIE, "")):
        return told
    accepted = []
    for part in Headers(scope=scope).get("accept-language", "")[:400].split(","):
        code, _, quality = part.strip().partition(";q=")
        try:
            accepted.append((-float(quality or 1), len(accepted), code))
        except ValueError:
            continue
    wanted = [code for weight, _, code in sorted(accepted) if weight < 0 and code]
    return known((negotiate_locale(wanted, list(LANGUAGES), sep="-") or "").replace("_", "-")) or ENGLISH


def linked(scope: Scope) -> str:
    """The language that the link names, empty if it names none of ours."""
    return known(parse_qs(scope.get("query_string", b"").decode("latin-1")).get("lang", [""])[0])


def known(code: str) -> str:
    """A language's code as we write it; empty for any other."""
    return next((each for each in LANGUAGES if each.casefold() == code.casefold()), "")


def direction(language: str) -> str:
    """ltr or rtl."""
    return locale_of(language).text_direction


@lru_cache
def locale_of(language: str) -> Locale:
    """What Unicode's common locale data say of a language."""
    return Locale.parse(language, sep="-")


# ---------------------------------------------------------------------------------------------------------- translating


@lru_cache
def catalogue(language: str) -> dict[str, Translation]:
    """The file of a language; English has none."""
    path = _FOLDER / f"{language}.json"
    return {} if language == ENGLISH else json.loads(path.read_text("utf-8"))


def in_html(text: str, language: str) -> str:
    """A piece of HTML, its texts and the attributes that are read or heard translated; ``translate="no"`` is heeded."""
    return _in_pieces(text, language, is_html=True)


def in_text(text: str, language: str) -> str:
    """A text or a piece of Markdown, translated block by block."""
    return _in_pieces(text, language, is_html=False)


def pieces(text: str) -> list[str]:
    """What of a text is translated by itself: see `in_html`. For those who list messages."""
    found = []
    for part in _PIECE.split(text):
        if part.startswith("<"):
            found += [match[2] for match in _SHOWN.finditer(part)]
        elif part.strip() and not part.lstrip("\n").startswith("- "):
            found.append(part.strip())
    return found


def _in_pieces(text: str, language: str, *, is_html: bool) -> str:
    if language == ENGLISH or not text:
        return text
    done, untouched = [], False
    for part in _PIECE.split(text):
        if part.startswith("<"):
            untouched = 'translate="no"' in part
            done.append(_SHOWN.sub(lambda match: f'{match[1]}="{_escaped(match[2], language)}"', part))
        elif untouched or not part.strip():
            done.append(part)
        else:
            done.append(_escaped(part, language) if is_html else _around(part, language))
    return "".join(done)


def _escaped(part: str, language: str) -> str:
    return escape(_around(unescape(part), language))


def _around(part: str, language: str) -> str:
    """A piece with the space around it as it was."""
    bare = part.strip(" \n")
    told = sentence(bare, language)
    return part.replace(bare, told, 1) if bare else part


@lru_cache(maxsize=8192)
def sentence(text: str, language: str) -> str:
    """One text, translated as a whole, or else what it is put together of, or else its numbers formatted."""
    if language == ENGLISH:
        return text
    if "\N{NO-BREAK SPACE}" in text and len(parts := text.split(" · ")) > 1:
        return " · ".join(sentence(part, language) for part in parts)  # lines may end between them, and only there
    plain = text.replace("\N{NO-BREAK SPACE}", " ")
    told = _told(plain, language)
    if plain != text:
        told = told.replace(" ", "\N{NO-BREAK SPACE}")
    if direction(language) == "rtl":
        told = _LTR.sub("\N{LEFT-TO-RIGHT ISOLATE}\\g<0>\N{POP DIRECTIONAL ISOLATE}", told)
    return told


def _told(text: str, language: str, depth: int = 0) -> str:
    if depth > 6:  # sentences in sentences: nobody writes more
        return text
    entries = catalogue(language)
    if text in entries:
        return _plain(entries[text])
    if re.fullmatch(_NUMBER, text):
        return number(text, language)
    for template in templates_of(language):
        if (match := template.pattern.fullmatch(text)) is not None:
            values = {name: _inside(value, language, depth + 1) for name, value in match.groupdict().items()}
            return _filled(entries[template.message], values, match.groupdict(), language)
    for break_ in _BREAKS:
        if len(parts := re.split(f"({break_})", text)) > 1:
            told = _in_parts(parts, language, depth + 1)
            if told != text:
                return told
    return text


def _inside(value: str, language: str, depth: int) -> str:
    """What stands in a sentence, with the space around it as it was."""
    bare = value.strip()
    return value.replace(bare, _told(bare, language, depth), 1) if bare else value


def _in_parts(parts: list[str], language: str, depth: int) -> str:
    """A text in its parts, every other one of which is what stands between: the longest that are messages first."""
    entries = catalogue(language)
    for count in range(len(parts) - 2, 0, -2):
        if (text := "".join(parts[:count])) in entries:
            return _plain(entries[text]) + parts[count] + _in_parts(parts[count + 1 :], language, depth)
    if not parts:
        return ""
    between = "".join(parts[1:2])
    return _told(parts[0], language, depth) + between + _in_parts(parts[2:], language, depth)


@dataclass(frozen=True)
class _Template:
    """A message with values, as what it looks like once they are in."""

    message: str
    pattern: re.Pattern[str]


@lru_cache
def templates_of(language: str) -> tuple[_Template, ...]:
    """Those of a language, the most telling ones first."""
    found = [message for message in catalogue(language) if _HOLE.search(message)]
    found.sort(key=lambda message: -len(_HOLE.sub("", message)))
    return tuple(_Template(message, _pattern(message)) for message in found)


def _pattern(message: str) -> re.Pattern[str]:
    parts = _HOLE.split(message)  # text, name, kind, text, ...
    text = re.escape(parts[0])
    for name, kind, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        something = ".*?" if text[-1:].isalpha() else ".+?"  # what follows a word without a space may be missing
        text += f"(?P<{name}>{_NUMBER if kind else something}){re.escape(after)}"
    return re.compile(text, re.DOTALL)


def _plain(translation: Translation) -> str:
    return translation if isinstance(translation, str) else translation["other"]


def _filled(translation: Translation, values: dict[str, str], english: dict[str, str], language: str) -> str:
    if isinstance(translation, dict):
        first = next(iter(english.values()))
        count = float(first) if re.fullmatch(r"[+-]?\d+(\.\d+)?", first) else 0
        category = locale_of(language).plural_form(int(count) if count == int(count) else count)
        translation = translation.get(category, translation["other"])
    return _HOLE.sub(lambda match: values.get(match[1], match[0]), translation)


def number(text: str, language: str) -> str:
    """A number as Python writes it, with as many decimals and no thousands marked, as the language writes it."""
    locale = locale_of(language)
    bare = text.rstrip("%").lstrip("+-")
    decimals = len(bare.partition(".")[2])
    pattern = "0" + ("." + "0" * decimals if decimals else "")
    if text.endswith("%"):
        space = re.sub(r"[#,0%\u200e\u200f]", "", locale.percent_formats[None].pattern)
        told = format_percent(float(bare) / 100, f"{pattern}{space}%", locale=locale, group_separator=False)
    else:
        told = format_decimal(bare, pattern, locale=locale, group_separator=False)
    sign = text[0] if text[0] in "+-" else ""
    return sign.replace("-", "\N{MINUS SIGN}") + told


# ----------------------------------------------------------------------------------------------------- Gradio's answers

_LABELS = ("label", "info", "placeholder", "title")
_SHOW_TEXT = {"markdown", "button", "downloadbutton"}


def properties(kind: str, told: dict[str, object], language: str) -> dict[str, object]:
    """What Gradio tells of a component of that kind, in its configuration or an update; values of fields stay."""
    changed = dict(told)
    for name in _LABELS:
        if isinstance(text := told.get(name), str):
            changed[name] = in_text(text, language)
    if isinstance(choices := told.get("choices"), list):
        changed["choices"] = [_choice(choice, language) for choice in choices]
    if isinstance(tabs := told.get("initial_tabs"), list):
        changed["initial_tabs"] = [properties("tab", tab, language) if isinstance(tab, dict) else tab for tab in tabs]
    if "value" in told:
        changed["value"] = value(kind, told["value"], language)
    return changed


def value(kind: str, shown: object, language: str) -> object:
    """The value of a component of that kind, translated where it is text to read and not what a visitor chose."""
    if kind == "html" and isinstance(shown, str):
        return in_html(shown, language)
    if kind in _SHOW_TEXT and isinstance(shown, str):
        return in_text(shown, language)
    if kind == "gallery" and isinstance(shown, list):
        return [
            {**tile, "caption": in_text(tile["caption"], language)}
            if isinstance(tile, dict) and isinstance(tile.get("caption"), str)
            else tile
            for tile in shown
        ]
    return shown


def _choice(choice: object, language: str) -> object:
    """A choice's label; what is sent to the server is its value."""
    if isinstance(choice, (list, tuple)) and len(choice) == 2 and isinstance(choice[0], str):
        return [in_text(choice[0], language), choice[1]]
    return choice


_SAID = re.compile(r'\bsay\(\s*("(?:[^"\\]|\\.)*")')


def said_in(script: str) -> list[str]:
    """The messages of a script: what stands in ``say("...")``."""
    return list(dict.fromkeys(json.loads(match[1]) for match in _SAID.finditer(script)))


def for_scripts(messages: list[str], language: str) -> str:
    """A script that gives ``window.hpinet.say`` to those that follow, in the visitor's language.

    It also tells Gradio that the browser speaks this language: else it would use the browser's own amid ours.
    """
    entries = catalogue(language)
    words = {message: _plain(entries[message]) for message in messages if message in entries}
    told = json.dumps({"language": language, "words": words}, ensure_ascii=False).replace("<", "\\u003c")
    return f"<script>(({_SPEAKER})({told}))</script>\n"


_SPEAKER = """({ language, words }) => {
  for (const [name, value] of [["language", language], ["languages", [language]]])
    Object.defineProperty(navigator, name, { get: () => value });
  const isNumber = /^[+-]?\\d+(\\.\\d+)?$/;
  const format = (value) => {
    const digits = String(value).split(".")[1]?.length ?? 0;
    return new Intl.NumberFormat(`${language}-u-nu-latn`, {
      minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false,
    }).format(value);
  };
  const say = (message, values = {}) => (words[message] ?? message).replace(/\\{(\\w+)(:n)?\\}/g, (hole, name) =>
    isNumber.test(values[name]) ? format(values[name]) : values[name] ?? hole);
  window.hpinet = { language, say };
}"""
