"""Groups of controls that several tabs have in common."""

import functools
import inspect
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from hpinet import wording
from hpinet.images import MetadataChoice
from hpinet.images.metadata import check_choice
from hpinet.plan import TargetSize
from hpinet.settings import settings
from hpinet.treatment import Treatment, check_treatment
from hpinet.ui.jobs import previews
from hpinet.ui.jobs.enlarge import Wanted
from hpinet.ui.jobs.models import ORIGINS, Choice, as_key, line, offered
from hpinet.ui.jobs.running import StopFlag, announce, is_under_way, only_one
from hpinet.ui.parts import html
from hpinet.ui.parts.events import COMPUTE, LIGHT, PRIVATE, RAW
from hpinet.ui.server import values
from hpinet.ui.server.storage import as_served

SCALES = {"×2": 2, "×3": 3, "×4": 4, "×8": 8, "×16": 16}
IN_PIXELS = "Pixels…"
USUAL_SCALE = "×4"
_BEGINS = "() => { window.runBegins(); return []; }"
_ENDS = "() => { setTimeout(window.showOutcome, 150, '%s'); return []; }"
_IDLE = "() => [true, false].map((interactive) => ({ __type__: 'update', interactive }))"  # the same as `_idle`
TREATMENT_LABELS: dict[Treatment, str] = {"auto": "Auto", "photo": "Photo", "clean": "Clean"}
LONGEST, WIDTH = "Longest side", "Width"


@dataclass(frozen=True)
class SizeFields:
    """How large the result shall be."""

    scale: gr.Radio
    side: gr.Radio
    pixels: gr.Number

    @property
    def inputs(self) -> dict[str, Any]:
        """For handlers that take ``scale``, ``side`` and ``pixels``."""
        return {"scale": self.scale, "side": self.side, "pixels": self.pixels}


def size_fields(prefix: str = "") -> SizeFields:
    """A choice of scales, and a size in pixels instead. ``prefix`` keeps the element ids of tabs apart."""
    scale = gr.Radio([*SCALES, IN_PIXELS], value=USUAL_SCALE, label="How large", elem_id=f"{prefix}scale")
    with gr.Row(visible=False) as in_pixels:
        side = gr.Radio([LONGEST, WIDTH], value=LONGEST, label="Which side", elem_id=f"{prefix}side")
        pixels = gr.Number(1920, label="Pixels", precision=0, elem_id=f"{prefix}pixels")
    scale.change(lambda chosen: gr.update(visible=chosen == IN_PIXELS), scale, in_pixels, **LIGHT)
    return SizeFields(scale, side, pixels)


def asked(*, scale: object, side: object, pixels: object) -> TargetSize:
    """The size that the fields ask for. Raises OptionError."""
    chosen = values.choice("How large", scale, [*SCALES, IN_PIXELS])
    if chosen != IN_PIXELS:
        return TargetSize(scale=SCALES[chosen])
    length = values.number("The size in pixels", pixels, 1, values.MAX_PIXELS)
    along = values.choice("The side", side, [LONGEST, WIDTH])
    return TargetSize(width=length) if along == WIDTH else TargetSize(longest_side=length)


@dataclass(frozen=True)
class FormatFields:
    """What file the result shall be."""

    format: gr.Radio
    quality: gr.Slider
    metadata: gr.Radio

    @property
    def inputs(self) -> dict[str, Any]:
        """For handlers that take ``format``, ``quality`` and ``metadata``."""
        return {"format": self.format, "quality": self.quality, "metadata": self.metadata}


def format_fields(prefix: str = "") -> FormatFields:
    """A choice of file formats in sight, what else there is to say about files folded away."""
    format = gr.Radio(list(previews.FORMATS), value="PNG", label="File", elem_id=f"{prefix}format")
    with gr.Accordion("About the file", open=False):
        quality = gr.Slider(
            1,
            100,
            90,
            step=1,
            label="Quality of a JPEG, WebP or AVIF",
            info="A WebP of 100 loses nothing.",
            elem_id=f"{prefix}quality",
        )
        metadata = gr.Radio(
            [("Leave out", "drop"), ("Keep", "keep"), ("Keep all", "keep-all")],
            value="drop",
            label="EXIF, XMP, IPTC",
            info="Keep leaves out places, serial numbers and makers' notes.",
            elem_id=f"{prefix}metadata",
        )
    return FormatFields(format, quality, metadata)


def checked_format(format: object, quality: object, metadata: object) -> tuple[str, int, MetadataChoice]:
    """The fields, checked. Raises OptionError."""
    loss = values.number("The quality", quality, 1, 100)
    return values.choice("The format", format, previews.FORMATS), loss, check_choice(metadata)


def model_field(prefix: str = "", *, among: Iterable[Choice] = ()) -> gr.Radio:
    """A word for each model: the main ones, unless it says ``among`` which to choose."""
    found = list(among) or offered()
    return gr.Radio(
        [line(choice) for choice in found],
        value=found[0].key,
        label="How good",
        elem_classes="tiers",
        elem_id=f"{prefix}model",
    )


def model_details(model: gr.Radio, prefix: str = "") -> gr.Checkbox:
    """What is known of the models, folded away, with the wish for more of them in the field ``model``."""
    with gr.Accordion("About the models", open=False):
        gr.HTML(_models_table(), elem_id=f"{prefix}models")
        more = gr.Checkbox(False, label="Offer all of them", elem_id=f"{prefix}more")
    more.change(_offer_models, [more, model], model, **LIGHT)
    return more


def _offer_models(more: object, model: object) -> Any:
    found = offered(more=values.flag("The box", more), chosen=as_key(model))
    return gr.update(choices=[line(choice) for choice in found])


def _models_table() -> str:
    rows = []
    for choice in offered(more=True):
        info = choice.checkpoint()
        scores = [
            f"{one.psnr_set5:.2f}" if (one := choice.natives.get(s)) and one.psnr_set5 else "–" for s in (2, 3, 4)
        ]
        word, key = line(choice)
        rows.append((word, f"HPINet-{key}", ORIGINS[info.origin], f"{info.parameters / 1e6:.2f}", *scores))
    header = ("", "Network", "Weights", "Millions of parameters", "dB at ×2", "×3", "×4")
    return html.table(header, rows, numbers=4, caption="Models") + html.quiet(
        "dB: how near the truth it comes on Set5, the field's usual test pictures; bicubic has 33.64, 30.38 and 28.42. "
        "What is not bundled is fetched on first use."
    )


def treatment_field(prefix: str = "") -> gr.Radio:
    """What to do about the traces of compression."""
    return gr.Radio(
        [(label, name) for name, label in TREATMENT_LABELS.items()],
        value="auto",
        label="What it is",
        info="Auto removes the marks of JPEG. Clean changes nothing.",
        elem_id=f"{prefix}treatment",
    )


def wanted_from(
    *,
    model: object,
    scale: object,
    side: object,
    pixels: object,
    treatment: object,
    format: object,
    quality: object,
    metadata: object,
) -> Wanted:
    """What the fields of an enlargement ask for, by the names of their `inputs`. Raises OptionError."""
    size = asked(scale=scale, side=side, pixels=pixels)
    kind, loss, kept = checked_format(format, quality, metadata)
    return Wanted(as_key(model), size, kind, loss, check_treatment(treatment), kept)


@dataclass(frozen=True)
class RunButtons:
    """A button that starts heavy work and one that stops it."""

    run: gr.Button
    stop: gr.Button
    work: str  # kind of work, see `StopFlag`
    go: gr.State  # what handlers change (`new_word`) after which work shall start without the button; not if they fail
    unasked: gr.State  # its value once work has started for it

    def start(
        self,
        handler: Callable[..., Any],
        *,
        inputs: dict[str, Any],
        outputs: list[Any],
        status: gr.HTML,
    ) -> Any:
        """On a click, or whatever `start_after` names, runs ``handler`` with progress shown on ``status``.

        Its inputs arrive raw, see `hpinet.ui.parts.events.RAW`, for it to check. It is all of
        the work: where events follow each other, one that is cancelled lets the next one begin.

        Returns the event, for `stop_on_click`, and for ``cancels`` of whatever begins something else.
        """
        triggers = [self.run.click, self.unasked.change]
        ready = gr.on(triggers, self._busy, None, [self.run, self.stop], js=_BEGINS, trigger_mode="once", **LIGHT)
        running = ready.then(
            self._alone(handler),
            inputs_kwargs=inputs,
            outputs=outputs,
            show_progress_on=[status],
            trigger_mode="multiple",  # not passed over because the one before is still being ended
            **COMPUTE,
            **RAW,
        )
        after = running.then(self._after, None, [self.run, self.stop], js=_ENDS % status.elem_id, **LIGHT)
        for refused in (running, after):  # by a queue that is full, say, which takes no other call then
            refused.failure(None, None, [self.run, self.stop], js=_IDLE, queue=False, **PRIVATE)
        return running

    def _alone(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """The handler, in which a run ends the one before it in its visit."""
        if inspect.isgeneratorfunction(handler):

            @functools.wraps(handler)
            def steps(request: gr.Request, *arguments: Any, **fields: Any) -> Iterator[Any]:
                with only_one(StopFlag.of(request, self.work)):
                    yield from handler(request, *arguments, **fields)

            return steps

        @functools.wraps(handler)
        def whole(request: gr.Request, *arguments: Any, **fields: Any) -> Any:
            with only_one(StopFlag.of(request, self.work)):
                return handler(request, *arguments, **fields)

        return whole

    def start_after(self, chosen: Any) -> None:
        """Starts, too, after an event whose handler has `go` among its ``outputs``."""
        chosen.then(lambda word: word, self.go, self.unasked, **LIGHT)

    def stop_on_click(self, running: Any, status: gr.HTML, stopped: str) -> None:
        """Makes Stop end the event given, at once if it waits in the queue, within a moment if it runs."""

        def halt(request: gr.Request) -> tuple[Any, ...]:
            StopFlag.of(request, self.work).raise_it()
            return (stopped, *self._idle())

        self.stop.click(halt, None, [status, self.run, self.stop], cancels=running, **LIGHT)

    def hand_over_on_stop(self) -> None:
        """Makes Stop ask the work to end, which hands over what is done so far; where there is none, it is over."""

        def halt(request: gr.Request) -> tuple[Any, Any]:
            StopFlag.of(request, self.work).raise_it()
            return self._after(request)

        self.stop.click(halt, None, [self.run, self.stop], **LIGHT)

    def end_on(self, triggers: list[Any], running: Any) -> None:
        """Makes the event given end, and the buttons be as before, when something else begins.

        To be said before the ``triggers`` get handlers that begin it: the browser takes them in that order.
        """
        for trigger in triggers:  # not `gr.on`, which takes no events of the viewer's
            # Apart: with a handler, Gradio waits for its answer, and may end a run that has begun meanwhile.
            trigger(None, None, None, cancels=running, **PRIVATE)
            trigger(self._idle, None, [self.run, self.stop], **LIGHT)

    def _busy(self, request: gr.Request) -> tuple[Any, Any]:
        stop = StopFlag.of(request, self.work)
        stop.lower()
        announce(stop)
        return gr.update(interactive=False), gr.update(interactive=True)

    def _after(self, request: gr.Request) -> tuple[Any, Any]:
        if is_under_way(StopFlag.of(request, self.work)):  # another one, which has ended this one
            return gr.skip(), gr.skip()
        return self._idle()

    def _idle(self) -> tuple[Any, Any]:
        return gr.update(interactive=True), gr.update(interactive=False)


def picture_field(label: str, hint: str, elem_id: str, *, height: int = 240, classes: str = "") -> gr.Image:
    """A place to drop, paste or choose a picture; ``hint`` follows the invitation to do so."""
    limits = settings()
    return gr.Image(
        type="filepath",
        image_mode=None,  # the raw file: `hpinet.images` decodes it
        sources=["upload", "clipboard"],
        label=label,
        height=height,
        buttons=["fullscreen"],
        placeholder=f"# Drop a picture here\n{hint}\n"
        f"up to {limits.max_upload_mb} MB, {limits.max_megapixels:g} MP; kept for {wording.hours(limits.keep_hours)}",
        elem_id=elem_id,
        elem_classes=classes,
    )


def example_gallery(title: str, tiles: Sequence[tuple[Path, str]], elem_id: str) -> gr.Gallery:
    """Small pictures to click, each with a caption; nothing where there are none."""
    if tiles:
        gr.Markdown(f"## {title}")
    return tile_gallery("Examples", tiles, elem_id=elem_id, visible=bool(tiles))


def tile_gallery(
    label: str, tiles: Sequence[tuple[Path, str]] = (), *, elem_id: str | None = None, visible: bool = True
) -> gr.Gallery:
    """Small pictures to click, each with a caption; ``label`` is for those who hear the page."""
    return gr.Gallery(
        [(str(as_served(path)), caption) for path, caption in tiles],
        label=label,
        show_label=False,
        columns=4,
        allow_preview=False,
        interactive=False,
        object_fit="cover",
        height="auto",
        buttons=[],
        elem_id=elem_id,
        elem_classes="plain-gallery tiles",
        visible=visible,
    )


def zip_of(archive: Path, pictures: int) -> Any:
    """A button for a ZIP of so many pictures."""
    label = f"Download ZIP · {wording.pictures(pictures)} · {wording.megabytes(archive.stat().st_size)}"
    return gr.update(value=str(archive), visible=True, label=label)


def new_word() -> str:
    """Says that work may start, see `RunButtons.go`."""
    return secrets.token_hex(8)


def run_buttons(label: str, work: str, prefix: str = "") -> RunButtons:
    """The pair of buttons, side by side."""
    with gr.Row(elem_classes="actions"):
        run = gr.Button(label, variant="primary", elem_id=f"{prefix}run", scale=3)
        stop = gr.Button("Stop", variant="stop", interactive=False, elem_id=f"{prefix}stop", scale=1)
    return RunButtons(run, stop, work, gr.State(""), gr.State(""))
