"""What happens behind the first tab."""

from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import gradio as gr

from hpinet import wording
from hpinet.errors import Cancelled, HPINetError, OptionError
from hpinet.images import Picture, open_picture
from hpinet.images.compression import Compression
from hpinet.plan import Plan
from hpinet.treatment import examine
from hpinet.ui.jobs import previews, zerogpu
from hpinet.ui.jobs.enlarge import Outcome, Wanted, enlarge
from hpinet.ui.jobs.examples import cached, remember
from hpinet.ui.jobs.models import Choice, caption, choice_of, choices, expected_seconds, lines
from hpinet.ui.jobs.running import StopFlag, gpu_seconds
from hpinet.ui.parts import html
from hpinet.ui.parts.controls import checked_format, trouble_with, wanted_from
from hpinet.ui.parts.events import uploaded
from hpinet.ui.server import values
from hpinet.ui.server.storage import new_folder
from hpinet.upscaler import rounds_over

NOTHING_FORESEEN = html.quiet("Size and time of the result show here.")


@dataclass(frozen=True)
class Source:
    """The picture a visitor has chosen, as far as the page needs to remember it."""

    path: Path
    shown: Path  # what the page shows of it: the same file unless browsers cannot show that kind
    width: int
    height: int
    rounds: int  # how often the network goes over it, see `hpinet.upscaler.rounds_over`
    traits: tuple[str, ...]  # what is unusual about it and will be kept
    found: Compression | None  # what losses it went through
    sample: Picture  # a piece of it, to guess file sizes by


@dataclass(frozen=True)
class Shown:
    """The result a visitor is looking at."""

    source: Source
    outcome: Outcome
    folder: Path


# ------------------------------------------------------------------------------------------------- before running


def open_source(image: dict[str, Any] | None, known: Source | None) -> tuple[Any, ...]:
    """What to remember of a chosen picture, what to show instead if browsers cannot show it, and what went wrong.

    Then the group of the result and what is shown in it: a result of another picture is taken away. Then a spot for
    the lens, the middle.
    """
    gone = gr.update(visible=False), None
    nowhere = gr.skip(), gr.skip()
    try:
        path = uploaded(image)
        if path is None:
            return None, gr.skip(), gr.skip(), *gone, *nowhere
        if known is not None and known.shown == path:
            middle = known.width // 2, known.height // 2
            return known, *[gr.skip()] * 4, *middle
        source = read_source(path)
    except HPINetError as error:
        return None, gr.skip(), html.trouble(trouble_with(error)), *gone, *nowhere
    shown = gr.skip() if source.shown == path else str(source.shown)
    return source, shown, html.quiet("Ready."), *gone, source.width // 2, source.height // 2


def read_source(path: Path) -> Source:
    """What the page needs to know of a picture. Raises ImageError if it cannot be read."""
    picture = open_picture(path)
    traits = {
        "grey": picture.is_grey,
        f"{picture.depth} bit": picture.depth != 8,
        "transparent": picture.alpha is not None,
        "own colour profile": picture.icc_profile is not None,
    }
    kept = tuple(trait for trait, holds in traits.items() if holds)
    shown = previews.shown_instead(path, picture)
    return Source(
        path,
        shown,
        picture.width,
        picture.height,
        rounds_over(picture),
        kept,
        examine(picture),
        previews.sample_of(picture),
    )


def foresee(*, source: Source | None, **fields: object) -> tuple[str, Any]:
    """What pressing the button would do, and the models' lines for this picture."""
    if source is None:
        return NOTHING_FORESEEN, gr.update(choices=lines())
    try:
        wanted = wanted_from(**fields)
        words = _prospect(source, wanted)
    except HPINetError as error:
        return html.trouble(str(error)), gr.skip()
    return words, gr.update(choices=[(_truth_for(key, source, wanted), key) for key in choices()])


def _truth_for(key: str, source: Source, wanted: Wanted) -> str:
    try:
        plan = replace(wanted, model=key).plan((source.width, source.height))
        return caption(choice_of(key), plan, rounds=source.rounds)
    except HPINetError:
        return caption(choice_of(key))


def _prospect(source: Source, wanted: Wanted) -> str:
    plan = wanted.plan((source.width, source.height))
    how = " then ".join(f"×{scale}" for scale in plan.passes) + (", then reduced" if plan.is_reduced else "")
    weight = previews.expected_bytes(source.sample, plan, wanted.format, wanted.quality)
    choice = choice_of(wanted.model)
    strength = choice.natives[plan.passes[0]].strength(source.found, wanted.treatment)
    return html.facts(
        [
            f"<b>{wording.size(plan.source)} → {wording.size(plan.target)}</b>",
            *source.traits,
            *_said_of_losses(source.found, strength),
            f"{wanted.model} {how}",
            wording.duration(expected_seconds(choice, plan, rounds=source.rounds)),
            *([f"asks for {_quota(choice, plan, source.rounds)} s of your daily GPU time"] if zerogpu.IS_HERE else []),
            *([] if choice.is_installed(plan) else ["fetched on first use"]),
            f"{wanted.format} of about {wording.megabytes(weight)}",
            *_lost(source, wanted.format),
        ]
    )


def _said_of_losses(found: Compression | None, strength: float) -> list[str]:
    """What was found of losses, and what a treatment of that strength makes of them."""
    return [f"{found or 'no JPEG'}: " + ("<b>treated</b>" if strength else "as it is")] if found or strength else []


def _quota(choice: Choice, plan: Plan, rounds: int) -> int:
    return zerogpu.quota_seconds(gpu_seconds([(choice, plan)], rounds=rounds))


def _lost(source: Source, format: str) -> list[str]:
    """What a format cannot keep of the picture."""
    losses = []
    if "transparent" in source.traits and format == "JPEG":
        losses.append("<b>JPEG has no transparency: white instead</b>")
    if "16 bit" in source.traits and format != "PNG":
        losses.append(f"<b>{format} has 8 bits</b>")
    return losses


# --------------------------------------------------------------------------------------------------------- running


def upscale(
    request: gr.Request,
    progress: gr.Progress = gr.Progress(),  # noqa: ARG001, B008 (Gradio looks for it)
    *,
    image: dict[str, Any] | None,
    source: Source | None,
    before: object,
    shown: Shown | None,
    **fields: object,
) -> tuple[Any, ...]:
    """The Upscale button: status, group of the result, slider, download button, what is shown."""
    try:
        path = uploaded(image)
        if path is None:
            raise OptionError("Choose a picture first.")
        if source is None or source.shown != path:  # the button was quicker than the upload's own event
            source = read_source(path)
        left, wanted = values.choice("The comparison", before, previews.ENLARGERS), wanted_from(**fields)
        plan = wanted.plan((source.width, source.height))
        folder = new_folder()
        outcome = cached(source.path, plan, wanted, folder)
        is_kept = outcome is not None
        if outcome is None:
            stop = StopFlag.of(request, "upscale")
            outcome = enlarge(
                source.path,
                replace(wanted, format="PNG"),  # others are made of it when they are offered
                target=lambda _: folder / "result.png",
                stop=stop,
                plan=plan,
                show=lambda done: previews.write_slides(done, left, folder),
            )
            remember(source.path, wanted, outcome)
        made = Shown(source, outcome, folder)
        slides = previews.before_and_after(source.path, outcome.picture, plan.target, left, folder)
        return (
            _details(outcome, source.found, is_kept),
            gr.update(visible=True),
            slides,
            _offer(made, wanted.format, wanted.quality),
            made,
        )
    except Cancelled:
        return html.quiet("Stopped."), *[gr.skip()] * 4
    except HPINetError as error:
        earlier = html.quiet("Below is still the earlier result.") if shown else ""
        return html.trouble(trouble_with(error)) + earlier, *[gr.skip()] * 4


def _details(outcome: Outcome, found: Compression | None, is_kept: bool) -> str:
    plan = outcome.plan
    return html.facts(
        [
            f"<b>{wording.size(plan.source)} → {wording.size(plan.target)}</b>",
            f"{outcome.checkpoint}, {outcome.origin}",
            outcome.engine,
            f"<b>{outcome.seconds:.1f} s</b>" + (" when it was made" if is_kept else ""),
            f"{plan.target[0] * plan.target[1] / 1e6:.2f} megapixels",
            *outcome.notes,
            *_said_of_losses(found, outcome.strength),
            html.tip(
                f"peak memory {outcome.peak_memory_mb:.0f} MB",
                "The most that the whole server held while this ran, models and other visitors' work included.",
            ),
            html.tip(
                f"consistent to {outcome.consistency_db:.1f} dB" if isfinite(outcome.consistency_db) else "consistent",
                "The result, reduced to the size of your picture, compared with it. Above 40 dB nothing that shows in "
                "your picture was changed. It says how faithful a result is, not how pretty.",
            ),
            *([] if outcome.explained is None else [_agreement(outcome.explained)]),
        ]
    )


def _agreement(explained: float) -> str:
    return html.tip(
        f"explains {100 * explained:.0f} % of the JPEG",
        "A JPEG says of each detail between which values it lies. The result, reduced to the size of your picture, "
        "keeps to so many of these statements: at 100 % your file could be a JPEG of it.",
    )


# --------------------------------------------------------------------------------------------- looking at the result


def compare_with(shown: Shown | None, before: object) -> Any:
    """Another kind of enlargement on the left of the slider."""
    if shown is None:
        return gr.skip()
    left = values.choice("The comparison", before, previews.ENLARGERS)
    return previews.before_and_after(
        shown.source.path, shown.outcome.picture, shown.outcome.plan.target, left, shown.folder
    )


def offer(shown: Shown | None, format: object, quality: object) -> Any:
    """The download in another format, without running anything again."""
    if shown is None:
        return gr.skip()
    return _offer(shown, *checked_format(format, quality))


def _offer(shown: Shown, format: str, quality: int) -> Any:
    name = previews.result_name(shown.source.path.name, shown.outcome.plan, shown.outcome.checkpoint, format)
    folder = shown.folder / f"{format}-{quality}"
    folder.mkdir(exist_ok=True)
    path = previews.save_as(shown.outcome.picture, folder / name, format, quality)
    return gr.update(value=str(path), label=f"Download {format} · {wording.megabytes(path.stat().st_size)}")
