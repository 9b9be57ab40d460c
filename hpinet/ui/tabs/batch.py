"""The second tab: many pictures at once."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from hpinet.errors import Cancelled, HPINetError, OptionError
from hpinet.settings import settings
from hpinet.ui.jobs.batch import (
    ACCEPTED_SUFFIXES,
    Batch,
    Item,
    check_count,
    format_for_all,
    gather,
    prospect,
    run_batch,
)
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.parts import html
from hpinet.ui.parts.controls import (
    format_fields,
    model_details,
    model_field,
    run_buttons,
    size_fields,
    treatment_field,
    wanted_from,
    zip_of,
)
from hpinet.ui.parts.events import FORESIGHT, LIGHT, PRIVATE, RAW
from hpinet.ui.server import values
from hpinet.ui.server.archive import is_extra
from hpinet.ui.server.storage import given_name, received

ICONS = {"waiting": "·", "running": "…", "done": "✓", "failed": "✗", "stopped": "–"}
FORMAT_FIELD = "batch-format"
# In the browser, which knows whether the visitor has said what it shall be, this moment too.
_FOLLOW = f"(told, value) => window.restored(told, ['{FORMAT_FIELD}'], [value])"
_LEFT_OUT = '<p class="quiet" data-suffixes="{}" data-megabytes="{}"></p>'
"""Where hooks.js tells how many files of a folder it has left out, and which it takes."""

_EMPTY = "Choose pictures, a ZIP of pictures or a folder. One bad file does not stop the others."


def build() -> None:
    """Lays out the tab and wires it."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            files = gr.File(
                file_count="multiple",
                file_types=ACCEPTED_SUFFIXES,
                label=f"Pictures or ZIPs, up to {settings().max_upload_mb} MB each",
                height=200,
                elem_id="batch-files",
            )
            gr.HTML('<div class="thumbs" role="group" aria-label="Chosen pictures"></div>', elem_id="batch-thumbs")
            with gr.Accordion("A whole folder", open=False, elem_id="batch-tree"):
                tree = gr.File(file_count="directory", label="Folder", height=140, elem_id="batch-folder")
                gr.HTML(
                    _LEFT_OUT.format(" ".join(ACCEPTED_SUFFIXES), settings().max_upload_mb), elem_id="batch-left-out"
                )
            size = size_fields("batch-")
            treatment = treatment_field("batch-")
            model = model_field("batch-")
            buttons = run_buttons("Upscale all", "batch", "batch-")
            forecast = gr.HTML(elem_id="batch-forecast", elem_classes="forecast")
            file = format_fields("batch-")
            model_details(model, "batch-")
        with gr.Column(scale=7, min_width=320):
            status = gr.HTML(html.quiet(_EMPTY), elem_id="batch-status", elem_classes="status", container=True)
            table = gr.HTML(elem_id="batch-table")
            download = gr.DownloadButton("Download ZIP", variant="primary", visible=False, elem_id="batch-download")

    wanted = {"model": model, **size.inputs, "treatment": treatment, **file.inputs}
    gr.on([files.change, tree.change], _count, [files, tree], status, **LIGHT, **RAW)
    tree.clear(None, None, None, js="() => { window.tellLeftOut(0); return []; }", queue=False, **PRIVATE)
    told = gr.JSON(visible=False)
    foreseen = gr.on(
        [files.change, tree.change, *(field.change for field in wanted.values())],
        foresee,
        inputs_kwargs={"files": files, "tree": tree, **wanted},
        outputs=[forecast, told],
        **FORESIGHT,
        **RAW,
    )
    foreseen.then(None, [told, file.format], file.format, js=_FOLLOW, queue=False, **PRIVATE)
    buttons.start(
        upscale_all,
        inputs={"files": files, "tree": tree, **wanted},
        outputs=[status, table, download],
        status=status,
    )
    buttons.hand_over_on_stop()


def _count(files: object, tree: object) -> str:
    count = len(values.many("The files", files)) + len(_of_folder(tree))
    if not count:
        return html.quiet(_EMPTY)
    return html.quiet(f"{count} {'file' if count == 1 else 'files'} to upscale.")


def foresee(*, files: object, tree: object, **fields: object) -> tuple[str, dict[str, str]]:
    """How long the batch would take, as far as the pictures' headers tell, and the format that follows from them.

    What is in a ZIP is not looked at yet.
    """
    try:
        paths = [path for path, _ in _chosen(files, tree)]
        wanted = wanted_from(**fields)
        if not paths:
            return "", {}
        return html.facts(prospect(paths, wanted)), {FORMAT_FIELD: format_for_all(paths, wanted)}
    except HPINetError as error:
        return html.trouble(str(error)), {}


def upscale_all(
    request: gr.Request,
    progress: gr.Progress = gr.Progress(),  # noqa: ARG001, B008 (Gradio looks for it)
    *,
    files: object,
    tree: object,
    **fields: object,
) -> Iterator[tuple[Any, ...]]:
    """The button: status, table and download, anew after every picture."""
    stop = StopFlag.of(request, "batch")
    try:
        wanted = wanted_from(**fields)
        chosen = _chosen(files, tree)
        if not chosen:
            raise OptionError("Choose pictures first.")
        items = gather([path for path, _ in chosen], stop, [name for _, name in chosen])
        for batch in run_batch(items, wanted, stop):
            yield _summary(batch), _table(batch.items), _offer(batch)
    except Cancelled as ends:
        yield html.quiet(str(ends)), gr.skip(), gr.skip()
    except HPINetError as error:
        yield html.trouble(str(error)), gr.skip(), gr.skip()


def _chosen(files: object, tree: object) -> list[tuple[Path, str]]:
    """The files to work on and their names; those of a folder with their folders, less what is no one's picture.

    Raises OptionError, before any is looked for, where they are more than a batch has.
    """
    loose, kept = values.many("The files", files), _of_folder(tree)
    check_count(len(loose) + len(kept))
    found = [(path, path.name) for path in map(received, loose)]
    return found + [(path, name or path.name) for path, name in ((received(file), name) for file, name in kept)]


def _of_folder(tree: object) -> list[tuple[object, str]]:
    """The files of a folder that count, not looked for yet, with their paths in it."""
    named = [(file, values.path_in_folder(given_name(file), "")) for file in values.many("The folder", tree)]
    return [(file, name) for file, name in named if not is_extra(name)]


def _summary(batch: Batch) -> str:
    counts = Counter(item.status for item in batch.items)
    words = [
        f"<b>{counts[status]}</b> {status}"
        for status in ("done", "running", "waiting", "failed", "stopped")
        if counts[status]
    ]
    count = len(batch.items)
    return html.facts([f"{count:d} {'file' if count == 1 else 'files'}", *words])


def _table(items: list[Item]) -> str:
    rows = [(item.name, f"{ICONS[item.status]} {item.status}", item.detail) for item in items]
    return html.table(("File", "Status", "Details"), rows, caption="Files of the batch", named=True)


def _offer(batch: Batch) -> Any:
    if not batch.finished or not batch.done:
        return gr.update(visible=False)  # that of the batch before
    return zip_of(batch.archive, batch.done)
