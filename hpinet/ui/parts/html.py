"""Small pieces of HTML. Everything that comes from outside is escaped here."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

from hpinet.images import Picture, encode_picture
from hpinet.images.compression import Compression


def trouble(message: str) -> str:
    """Something went wrong; said aloud by screen readers."""
    return f'<p class="trouble" role="alert">{escape(message)}</p>'


def quiet(message: str) -> str:
    """A remark."""
    return f'<p class="quiet" role="status">{escape(message)}</p>'


def facts(items: Iterable[str]) -> str:
    """A line of facts, each a piece of HTML."""
    return f'<ul class="facts" role="list">{"".join(f"<li>{item}</li>" for item in items)}</ul>'


def losses(found: Compression | None, strength: float) -> list[str]:
    """A fact, if there is one: what losses were found, and what a treatment of that strength makes of them."""
    return [f"{found or 'no JPEG'}: " + ("<b>treated</b>" if strength else "as it is")] if found or strength else []


def folded(title: str, content: str) -> str:
    """A piece of HTML that shows when its title is clicked."""
    return f'<details class="folded"><summary>{escape(title)}</summary>{content}</details>'


def tip(label: str, explanation: str) -> str:
    """A term with an explanation that shows on hovering, tapping or tabbing to it."""
    return (
        f'<button type="button" class="tip">{escape(label)}<span role="tooltip">{escape(explanation)}</span></button>'
    )


def figures(pictures: Iterable[tuple[Picture, str]], *, zoom: int = 1) -> str:
    """Pictures side by side with captions, ``zoom`` screen pixels for each of theirs."""
    return f'<div class="crops">{"".join(_figure(picture, caption, zoom) for picture, caption in pictures)}</div>'


def _figure(picture: Picture, caption: str, zoom: int) -> str:
    data = base64.b64encode(encode_picture(picture)).decode()
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escape(caption)}" '
        f'width="{picture.width * zoom}" height="{picture.height * zoom}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0, caption: str, named: bool = False
) -> str:
    """A table whose last ``numbers`` columns are numbers; its first holds names, never translated, if ``named``."""
    first_number = len(header) - numbers

    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = [' class="number"' if index >= first_number else "" for index in range(len(row))]
        if named and tag == "td":
            kinds[0] += ' translate="no" dir="auto"'
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0"><table class="table" aria-label="{escape(caption)}">'
        f"<thead><tr>{cells('th', header)}</tr></thead><tbody>{body}</tbody></table></div>"
    )
