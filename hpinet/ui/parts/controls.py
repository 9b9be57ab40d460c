"""Groups of controls that several tabs have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from hpinet.errors import HPINetError
from hpinet.images.formats import READABLE_LABELS
from hpinet.plan import TargetSize
from hpinet.settings import settings
from hpinet.treatment import TREATMENTS, check_treatment
from hpinet.ui.jobs import previews
from hpinet.ui.jobs.enlarge import Wanted
from hpinet.ui.jobs.models import as_key, lines
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.parts.events import COMPUTE, LIGHT, RAW
from hpinet.ui.server import values

SCALES = {"×2": 2, "×3": 3, "×4": 4, "×8": 8, "×16": 16}
IN_PIXELS = "Pixels…"
MODEL_INFO = (
    "Millions of parameters; dB: how near the truth it comes on Set5, the field's usual test, at ×4 (bicubic: 28.42). "
    "↓ is fetched on first use."
)
# On a phone the progress bar is below what was tapped.
_SHOW = """() => {
  const status = document.getElementById("%s");
  if (window.innerWidth <= 640) status?.scrollIntoView({ block: "center", behavior: "smooth" });
  return [];
}"""
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
    scale = gr.Radio([*SCALES, IN_PIXELS], value="×4", label="How large", elem_id=f"{prefix}scale")
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

    @property
    def inputs(self) -> dict[str, Any]:
        """For handlers that take ``format`` and ``quality``."""
        return {"format": self.format, "quality": self.quality}


def format_fields(prefix: str = "") -> FormatFields:
    """A choice of file formats, folded away since the default loses nothing."""
    with gr.Accordion("File format", open=False):
        format = gr.Radio(list(previews.FORMATS), value="PNG", label="Format", elem_id=f"{prefix}format")
        quality = gr.Slider(
            1,
            100,
            90,
            step=1,
            label="Quality",
            info="For WebP, 100 is lossless.",
            visible=False,
            elem_id=f"{prefix}quality",
        )
    format.change(lambda chosen: gr.update(visible=chosen != "PNG"), format, quality, **LIGHT)
    return FormatFields(format, quality)


def checked_format(format: object, quality: object) -> tuple[str, int]:
    """The two fields, checked. Raises OptionError."""
    return values.choice("The format", format, previews.FORMATS), values.number("The quality", quality, 1, 100)


def model_field(prefix: str = "") -> gr.Radio:
    """The models on offer, each with what is known of it."""
    known = lines()
    return gr.Radio(
        known,
        value=known[0][1],
        label="Model",
        info=MODEL_INFO,
        elem_classes="lines",
        elem_id=f"{prefix}model",
    )


def treatment_field(prefix: str = "") -> gr.Radio:
    """What to do about the traces of compression."""
    return gr.Radio(
        [(name.capitalize(), name) for name in TREATMENTS],
        value="auto",
        label="What it is",
        info="Auto frees photographs of the blocks and ringing of JPEG, as far as the file asks for it. Clean changes "
        "nothing: for drawings and screenshots.",
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
) -> Wanted:
    """What the fields of an enlargement ask for, by the names of their `inputs`. Raises OptionError."""
    size = asked(scale=scale, side=side, pixels=pixels)
    return Wanted(as_key(model), size, *checked_format(format, quality), check_treatment(treatment))


@dataclass(frozen=True)
class RunButtons:
    """A button that starts heavy work and one that stops it."""

    run: gr.Button
    stop: gr.Button
    work: str  # kind of work, see `StopFlag`

    def start(
        self,
        trigger: Callable[..., Any],
        handler: Callable[..., Any],
        *,
        inputs: dict[str, Any],
        outputs: list[Any],
        status: gr.HTML,
    ) -> Any:
        """On ``trigger`` (such as ``button.click``) runs ``handler`` with progress shown on ``status``.

        Its inputs arrive raw, see `hpinet.ui.parts.events.RAW`, for it to check.

        Returns the event, for `stop_on_click`.
        """
        ready = trigger(self._busy, None, [self.run, self.stop], js=_SHOW % status.elem_id, **LIGHT)
        running = ready.then(
            handler, inputs_kwargs=inputs, outputs=outputs, show_progress_on=[status], **COMPUTE, **RAW
        )
        running.then(self._idle, None, [self.run, self.stop], **LIGHT)
        return running

    def stop_on_click(self, running: list[Any], status: gr.HTML, stopped: str) -> None:
        """Makes Stop end the events given, at once if they wait in the queue, within a moment if they run."""

        def halt(request: gr.Request) -> tuple[Any, ...]:
            StopFlag.of(request, self.work).raise_it()
            return (stopped, *self._idle())

        self.stop.click(halt, None, [status, self.run, self.stop], cancels=running, **LIGHT)

    def _busy(self, request: gr.Request) -> tuple[Any, Any]:
        StopFlag.of(request, self.work).lower()
        return gr.update(interactive=False), gr.update(interactive=True)

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
        placeholder=f"# Drop a picture here\n{hint}\n\n{READABLE_LABELS}\n"
        f"up to {limits.max_upload_mb} MB, {limits.max_megapixels:g} MP; deleted after {limits.keep_hours:g} hours",
        elem_id=elem_id,
        elem_classes=classes,
    )


def example_gallery(title: str, tiles: Sequence[tuple[Path, str]], elem_id: str) -> gr.Gallery:
    """Small pictures to click, each with a caption; nothing where there are none."""
    if tiles:
        gr.Markdown(f"#### {title}")
    return gr.Gallery(
        [(str(path), caption) for path, caption in tiles],
        label="Examples",
        show_label=False,
        columns=4,
        allow_preview=False,
        interactive=False,
        object_fit="cover",
        height="auto",
        buttons=[],
        elem_id=elem_id,
        elem_classes="plain-gallery tiles",
        visible=bool(tiles),
    )


def run_buttons(label: str, work: str, prefix: str = "") -> RunButtons:
    """The pair of buttons, side by side."""
    with gr.Row(elem_classes="actions"):
        run = gr.Button(label, variant="primary", elem_id=f"{prefix}run", scale=3)
        stop = gr.Button("Stop", variant="stop", interactive=False, elem_id=f"{prefix}stop", scale=1)
    return RunButtons(run, stop, work)


def trouble_with(error: HPINetError) -> str:
    """The message of an error, also shown as a notice for those who look elsewhere on the page."""
    gr.Warning(str(error))
    return str(error)
