"""The results of this visit: to open one again, to compare it with another of the same picture, to take all along."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from hpinet.errors import ImageError, OptionError
from hpinet.ui.jobs import tiles
from hpinet.ui.jobs.batch import free_name
from hpinet.ui.parts import html
from hpinet.ui.parts.controls import checked_format, tile_gallery, zip_of
from hpinet.ui.parts.events import LIGHT, PRIVATE
from hpinet.ui.server import values
from hpinet.ui.server.storage import new_folder
from hpinet.ui.server.visitors import cookie_of
from hpinet.ui.tabs.upscale_events import GONE, Shown, offered_at_once, offered_last

ABOUT = (
    "Click one to open it again; *Before* in the viewer compares results of the same picture. "
    "They are forgotten when this page is closed or loaded anew."
)

# The browser takes the file as soon as the button has it.
_TAKE = """() => { setTimeout(() => document.querySelector("#results-zip")?.click(), 300); return []; }"""


@dataclass(frozen=True)
class MyResults:
    """The strip, to be wired by `connect`."""

    strip: gr.Column
    gallery: gr.Gallery
    pack: gr.Button
    archive: gr.DownloadButton


def build() -> MyResults:
    """Lays out the strip, which shows once there is a result."""
    with gr.Column(visible=False, elem_id="results") as strip:
        gr.Markdown("## My results")
        gallery = tile_gallery("My results")
        with gr.Row():
            pack = gr.Button("All as one ZIP", size="sm", elem_id="results-pack")
            archive = gr.DownloadButton("Download ZIP", size="sm", visible=False, elem_id="results-zip")
        gr.Markdown(ABOUT, elem_classes="remark")
    return MyResults(strip, gallery, pack, archive)


def connect(mine: MyResults, results: gr.State, run: Any, *, formats: dict[str, Any], outputs: list[Any]) -> Any:
    """Shows the ``results`` after each ``run``, and opens one again in the ``outputs`` of `open_again`.

    Returns the event of that.
    """
    run.then(show, results, [mine.strip, mine.gallery, mine.archive, results], **LIGHT)
    opened = mine.gallery.select(open_again, inputs_kwargs={"results": results, **formats}, outputs=outputs, **LIGHT)
    packed = mine.pack.click(pack, results, mine.archive, **LIGHT)
    packed.success(None, None, None, js=_TAKE, queue=False, **PRIVATE)
    return opened


def show(results: tuple[Shown, ...]) -> tuple[Any, ...]:
    """The strip, the latest result first; an archive made before, which does not hold that one; what is still there."""
    there = [(one, thumbnail) for one in results if (thumbnail := _thumbnail(one))]
    tiles_ = [(str(thumbnail), f"{one.source.path.name}: {one.label}") for one, thumbnail in reversed(there)]
    return gr.update(visible=bool(there)), tiles_, gr.update(visible=False), tuple(one for one, _ in there)


def _thumbnail(one: Shown) -> Path | None:
    """A small picture of a result; None once that is gone."""
    known = list(one.folder.glob("thumbnail.*"))
    if known:
        return known[0]
    try:
        content, kind = tiles.tile(one.view, tiles.RESULT, tiles.levels(one.view.result) - 1, 0, 0)
        path = one.folder / f"thumbnail.{kind.removeprefix('image/')}"
        path.write_bytes(content)
    except (ImageError, FileNotFoundError):
        return None
    return path


def open_again(
    request: gr.Request,
    event: gr.EventData,
    *,
    results: tuple[Shown, ...],
    format: object,
    quality: object,
    metadata: object,
) -> tuple[Any, ...]:
    """Picture, source, status, group of the result, viewer, download button, and what is shown."""
    newest_first = results[::-1]
    one = newest_first[values.picked(event._data, newest_first)]
    if not (one.outcome.picture.is_file() and one.source.path.is_file() and one.source.shown.is_file()):
        return gr.skip(), gr.skip(), html.trouble(GONE), *[gr.skip()] * 4
    for made in results:  # those that it can be compared with, too
        tiles.VIEWS.renew(made.name, made.view, cookie_of(request))
    return (
        str(one.source.shown),
        one.source,
        one.status,
        gr.update(visible=True),
        one.in_viewer(results),
        offered_at_once(one, *checked_format(format, quality, metadata), request),
        one,
    )


def pack(results: tuple[Shown, ...]) -> Any:
    """An archive of all results that are still there, each as the file that was offered of it last."""
    files = [file for one in results if (file := offered_last(one))]
    if not files:
        raise OptionError(GONE)
    path = new_folder() / "hpinet-results.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # pictures are compressed already
        for file in files:
            archive.write(file, free_name(file.name, file.suffix, set(archive.namelist())))
    return zip_of(path, len(files))
