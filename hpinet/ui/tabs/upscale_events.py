"""What happens behind the first tab."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import gradio as gr

from hpinet import wording
from hpinet.errors import Cancelled, HPINetError, OptionError
from hpinet.images import Metadata, MetadataChoice, Picture, check_size
from hpinet.images.compression import Compression
from hpinet.images.metadata import NOTHING
from hpinet.plan import Plan, Size, TargetSize
from hpinet.treatment import Treatment, check_treatment, examine
from hpinet.ui.jobs import previews, tiles, workable, zerogpu
from hpinet.ui.jobs.enlarge import Outcome, Wanted, enlarge
from hpinet.ui.jobs.examples import cached, remember
from hpinet.ui.jobs.formats import ResultFile, save_in_turn
from hpinet.ui.jobs.models import (
    Choice,
    check_memory,
    check_seconds,
    choice_of,
    expected_seconds,
    for_enlarging,
    line,
    offered,
)
from hpinet.ui.jobs.running import StopFlag, end_newest, gpu_seconds, only_one
from hpinet.ui.parts import html
from hpinet.ui.parts.controls import IN_PIXELS, SCALES, USUAL_SCALE, checked_format, wanted_from
from hpinet.ui.parts.events import chosen, uploaded
from hpinet.ui.parts.pictures import AS_IT_IS, instead
from hpinet.ui.parts.viewer import showing
from hpinet.ui.parts.wishes import Wishes
from hpinet.ui.server import values
from hpinet.ui.server.ending import Ending
from hpinet.ui.server.storage import new_folder
from hpinet.ui.server.visitors import cookie_of
from hpinet.upscaler import rounds_over

WELCOME = "Choose a picture or click an example."
NOTHING_FORESEEN = html.quiet("Size and time of the result show here.")
LARGE_MEGAPIXELS = 6
"""From here on a picture fills most screens as it is."""
RESULTS_KEPT = 12
"""Results of a visit that can be opened again."""
GONE = "That picture is gone from the server by now: enlarge it again."
_OFFERED, _LAST = "offered", "last"  # the folder of a result's files in the formats that were asked for; the latest
IMPOSSIBLE = "✕"
"""Marks scales that cannot be done; the page's script keeps them from being chosen."""


@dataclass(frozen=True, eq=False)
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
    said: Metadata = NOTHING  # beside colour
    follows: str = "PNG"  # the kind of file to make of it unless another is wished for

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return self.width, self.height

    def obstacle(self, choice: Choice, wanted: Wanted) -> str:
        """See `hpinet.ui.jobs.workable.obstacle`."""
        return workable.obstacle(choice, wanted, self.size, rounds=self.rounds, found=self.found)


@dataclass(frozen=True)
class Shown:
    """The result a visitor is looking at."""

    source: Source
    outcome: Outcome
    folder: Path
    view: tiles.View
    name: str  # of the view, see `hpinet.ui.jobs.tiles.VIEWS`
    model: str  # key of the choice that made it
    treatment: Treatment  # that was asked for
    label: str  # what made it: "HPINet T ×2"
    status: str  # what is told of it

    def in_viewer(self, results: Sequence["Shown"]) -> str:
        """The viewer's value; it compares with those of the ``results`` that were made of the same picture."""
        others = [one for one in results if one is not self and one.source.path == self.source.path]
        return showing(self.name, self.view, self.label, [(one.name, one.view, one.label) for one in others])


# ------------------------------------------------------------------------------------------------- before running


PRESELECTED = ("scale", "pixels", "model", "format")
"""The fields that follow the picture."""

FIRST = {"scale": USUAL_SCALE, "format": "PNG"}
"""What the page begins with."""


def open_source(
    *, image: dict[str, Any] | None, known: Source | None, wishes: object, placed: dict[str, Any], **present: object
) -> tuple[Any, ...]:
    """What to remember of a chosen picture, what to show instead (see `hpinet.ui.parts.pictures`), what went wrong.

    Then the status, the group of the result and what is shown in it: a result of another picture is taken away. Then a
    spot for the lens, the middle; then what `followed` says. A picture that cannot be opened leaves the one before.
    """
    untouched = [gr.skip()] * 4  # refusal to what is shown
    nothing_follows = gr.skip(), gr.skip(), None, gr.skip()
    path = None
    try:
        path = uploaded(image)
        if path is None:
            gone = gr.update(visible=False), html.quiet(WELCOME), gr.update(visible=False), None
            return None, *AS_IT_IS, *(gone if known else untouched), *nothing_follows
        original = previews.original_of(path)
        if known is not None and known.path == original:
            seen = AS_IT_IS if known.shown == path else instead(image, known.shown)
            return gr.skip(), *seen, *untouched, *_middle(known), *nothing_follows[2:]
        source = read_source(original)
    except HPINetError as error:
        refused = gr.update(value=html.trouble(str(error)), visible=True)
        before = instead(image, known.shown if known else None) if path else AS_IT_IS  # of no other is anything told
        return gr.skip(), *before, refused, *untouched[1:], *nothing_follows
    shown = AS_IT_IS if source.shown == path else instead(image, source.shown)
    fresh = gr.update(visible=False), html.quiet("Ready."), gr.update(visible=False), None
    return source, *shown, *fresh, *_middle(source), *followed(source, wishes, placed, **present)


def _middle(source: Source) -> tuple[int, int]:
    return source.width // 2, source.height // 2


def followed(source: Source, wishes: object, placed: dict[str, Any], **present: object) -> tuple[dict[str, Any], ...]:
    """What `preselect` says, for the browser to set, and to be remembered as ``placed``.

    A field that is ``present`` not as it was ``placed`` was just touched, though ``wishes`` may not tell yet. Nor may
    either have reached us: the browser, which knows what was touched last, is told what we have ``heard`` of that.
    """
    touched = {name: value for name, value in present.items() if value != placed.get(name, value)}
    wish = Wishes.read(touched).over(Wishes.read(wishes))
    pixels = present.get("pixels")  # nothing else of what was sent goes back: it might be the description of a file
    heard = {**asdict(wish), "pixels": pixels if isinstance(pixels, int | float) else None}
    following = preselect(source, wish)
    return {name: {"heard": heard[name], "becomes": value} for name, value in following.items()}, following


def preselect(source: Source, wish: Wishes) -> dict[str, Any]:
    """The values of the fields that follow a picture, each of which can be done."""
    known = for_enlarging()
    default = next(iter(known))
    treatment = check_treatment(wish.treatment or "auto")

    def works(model: str, size: TargetSize) -> bool:
        return not source.obstacle(known[model], Wanted(model, size, treatment=treatment))

    def scale_of(model: str) -> int | None:
        return workable.scale_for(
            source.size, SCALES.values(), lambda size: works(model, size), wish.scale_number, SCALES[USUAL_SCALE]
        )

    model, scale = next(
        ((key, found) for key in (wish.model or default, default) if (found := scale_of(key)) is not None),
        (default, None),
    )
    label = next((label for label, number in SCALES.items() if number == scale), next(iter(SCALES)))
    return {
        "scale": IN_PIXELS if wish.scale == IN_PIXELS and scale else label,
        "pixels": workable.side_for(source.size, lambda size: works(model, size), scale),
        "model": model,
        "format": workable.format_wished(wish.format, source.follows, source.traits),
    }


def read_source(path: Path) -> Source:
    """What the page needs to know of a picture. Raises ImageError if it cannot be read."""
    return source_of(path, previews.open_sent(path))


def source_of(path: Path, picture: Picture) -> Source:
    """The same of a file that is open already."""
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
        picture.metadata,
        workable.format_for(picture),
    )


def foresee(*, source: Source | None, more: object, **fields: object) -> tuple[Any, ...]:
    """What pressing the button would do; then the scales, models and formats with what each means for this picture."""
    if source is None:
        plain = [line(choice) for choice in offered(more=more is True, chosen=values.maybe_text(fields.get("model")))]
        return (
            NOTHING_FORESEEN,
            gr.update(choices=[*SCALES, IN_PIXELS], info=""),
            gr.update(choices=plain),
            gr.update(choices=list(previews.FORMATS)),
        )
    try:
        wanted = wanted_from(**fields)
    except HPINetError as error:
        return (html.trouble(str(error)), *[gr.skip()] * 3)
    try:
        forecast = _prospect(source, wanted)
    except HPINetError as error:
        forecast = html.trouble(str(error))
    found = offered(more=more is True, chosen=wanted.model)
    chosen = choice_of(wanted.model)
    return (
        forecast,
        _scales_for(source, wanted, chosen),
        gr.update(choices=[line(choice, _remark(source, choice, wanted)) for choice in found]),
        gr.update(choices=_formats_for(source, wanted, chosen)),
    )


def _scales_for(source: Source, wanted: Wanted, choice: Choice) -> Any:
    """The scales, those marked that cannot be done, with a sentence of advice if there is any."""
    obstacles = {
        label: source.obstacle(choice, workable.in_pixels(wanted, TargetSize(scale=number)))
        for label, number in SCALES.items()
    }
    labels = [(f"{label} {IMPOSSIBLE}" if obstacles[label] else label, label) for label in SCALES]
    return gr.update(choices=[*labels, IN_PIXELS], info=advice(source.size, obstacles))


def advice(source: Size, obstacles: dict[str, str]) -> str:
    """What makes sense for a picture that is large already; empty where nothing needs to be said."""
    megapixels = source[0] * source[1] / 1e6
    told = []
    possible = [label for label, trouble in obstacles.items() if not trouble]
    if megapixels >= LARGE_MEGAPIXELS and possible:
        told.append(
            f"This picture has {megapixels:.0f} megapixels already: {possible[0]} makes "
            f"{megapixels * SCALES[possible[0]] ** 2:.0f}, and most screens show 2 to 8."
        )
    reasons = [trouble for trouble in obstacles.values() if trouble]
    if reasons and not possible and "no treatment" not in reasons:
        told.append("This picture is too large for this page: even ×2 would take too much memory or time.")
    elif reasons:
        why = {
            "too large": "What is crossed out would be too large here.",
            "too long": "What is crossed out would take too long here.",
            "no treatment": "What is crossed out cannot do this here.",
        }
        told.extend(dict.fromkeys(why[reason] for reason in reasons))
    return " ".join(told)


def _remark(source: Source, choice: Choice, wanted: Wanted) -> str:
    """The seconds that a model takes for this picture, or why it cannot."""
    wanted = replace(wanted, format="PNG")
    trouble = source.obstacle(choice, wanted)
    if trouble == workable.TOO_SMALL:  # which the forecast tells
        return ""
    if trouble:
        return f"{IMPOSSIBLE} {trouble}"
    seconds = expected_seconds(choice, wanted.plan(source.size, choice), rounds=source.rounds)
    return wording.duration(seconds).removeprefix("about ")


def _formats_for(source: Source, wanted: Wanted, choice: Choice) -> list[tuple[str, str]]:
    """The kinds of files, with what each will weigh."""
    try:
        plan = workable.in_pixels(wanted, wanted.size).plan(source.size, choice)
    except HPINetError:
        return [(kind, kind) for kind in previews.FORMATS]

    def told(kind: str) -> str:
        try:
            check_size(*plan.target, kind)
        except HPINetError:
            return f"{kind} {IMPOSSIBLE} too large"
        weight = previews.expected_bytes(source.sample, plan, kind, wanted.quality)
        return f"{kind} · {wording.megabytes(weight)}"

    return [(told(kind), kind) for kind in previews.FORMATS]


def _prospect(source: Source, wanted: Wanted) -> str:
    plan = wanted.plan(source.size)
    how = " then ".join(f"×{scale}" for scale in plan.passes) + (", then reduced" if plan.is_reduced else "")
    choice = choice_of(wanted.model)
    check_memory(choice, plan)
    check_seconds(choice, plan, rounds=source.rounds)
    strength = choice.natives[plan.passes[0]].strength(source.found, wanted.treatment)
    return html.facts(
        [
            f"<b>{wording.size(plan.source)} → {wording.size(plan.target)}</b>",
            *source.traits,
            *html.losses(source.found, strength),
            how,
            wording.duration(expected_seconds(choice, plan, rounds=source.rounds)),
            *(
                [f"asks for {_quota(choice, plan, source.rounds)} s of your daily GPU time"]
                if zerogpu.IS_HERE and not choice.on_cpu
                else []
            ),
            *([] if choice.is_installed(plan) else ["fetched on first use"]),
            *_lost(source, wanted.format),
        ]
    )


def _quota(choice: Choice, plan: Plan, rounds: int) -> int:
    return zerogpu.quota_seconds(gpu_seconds([(choice, plan)], rounds=rounds))


def _lost(source: Source, format: str) -> list[str]:
    """What a format cannot keep of the picture."""
    told = {
        "transparent": f"<b>{format} has no transparency: white instead</b>",
        "16 bit": f"<b>{format} has 8 bits</b>",
    }
    return [told[trait] for trait in workable.lost(format, source.traits)]


# --------------------------------------------------------------------------------------------------------- running


def upscale(
    request: gr.Request,
    progress: gr.Progress = gr.Progress(),  # noqa: ARG001, B008 (Gradio looks for it)
    *,
    image: dict[str, Any] | None,
    source: Source | None,
    shown: Shown | None,
    results: tuple[Shown, ...] = (),
    **fields: object,
) -> tuple[Any, ...]:
    """The Upscale button: status, group of the result, viewer, download button, all results, what is shown."""
    try:
        path = chosen(image)
        if path is None:
            raise OptionError("Choose a picture first.")
        if source is None or source.path != path:  # the button was quicker than the upload's own event
            source = read_source(path)
        wanted = wanted_from(**fields)
        plan = wanted.plan((source.width, source.height))
        folder = new_folder()
        outcome = cached(source.path, plan, wanted, folder)
        is_kept = outcome is not None
        views: list[tiles.View] = []
        if outcome is None:
            stop = StopFlag.of(request, "upscale")
            outcome = enlarge(
                source.path,
                replace(wanted, format="PNG", metadata="drop"),  # others are made of it when they are offered
                target=lambda _: folder / "result.png",
                stop=stop,
                plan=plan,
                found=source.found,
                show=lambda done: views.append(tiles.keep(done.source, done.result, folder, upload=path)),
            )
            remember(source.path, wanted, outcome)
        view = views[0] if views else tiles.keep_files(source.path, outcome.picture, folder)
        name = opened(view, request)
        told = _details(outcome, source.found, is_kept)
        made = Shown(
            source, outcome, folder, view, name, wanted.model, wanted.treatment, _made_by(wanted.model, plan), told
        )
        results = (*results, made)[-RESULTS_KEPT:]
        return (
            told,
            gr.update(visible=True),
            made.in_viewer(results),
            offered_at_once(made, wanted.format, wanted.quality, wanted.metadata, request),
            results,
            made,
        )
    except Ending as ends:
        return html.quiet(str(ends)), *[gr.skip()] * 5
    except Cancelled:  # whatever stopped it says so
        return (gr.skip(),) * 6
    except HPINetError as error:
        earlier = html.quiet("Below is still the earlier result.") if shown else ""
        return html.trouble(str(error)) + earlier, *[gr.skip()] * 5


def opened(view: tiles.View, request: gr.Request) -> str:
    """The name by which this visitor, and nobody else, may see a view."""
    return tiles.VIEWS.open(view, cookie_of(request))


def _made_by(model: str, plan: Plan) -> str:
    """What the result is called beside what it is compared with: "HPINet T ×2"."""
    return f"HPINet {model} {f'×{plan.scale}' if plan.scale else wording.size(plan.target)}"


def _details(outcome: Outcome, found: Compression | None, is_kept: bool) -> str:
    plan = outcome.plan
    return html.facts(
        [
            f"<b>{wording.size(plan.source)} → {wording.size(plan.target)}</b>",
            f"<b>{outcome.seconds:.1f} s</b>" + (" when it was made" if is_kept else ""),
            f"{plan.target[0] * plan.target[1] / 1e6:.2f} megapixels",
            *outcome.notes,
            *html.losses(found, outcome.strength),
        ]
    ) + html.folded("Details", _technical_details(outcome))


def _technical_details(outcome: Outcome) -> str:
    return html.facts(
        [
            f"{outcome.checkpoint}, {outcome.origin}",
            outcome.engine,
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


def offer(request: gr.Request, *, shown: Shown | None, format: object, quality: object, metadata: object) -> Any:
    """The download in another format, without running anything again. It is skipped if one is offered meanwhile."""
    stop = _flag_of_offers(request)
    stop.lower()  # Gradio takes a connection that was lost for a moment for a page that was closed
    with only_one(stop):
        if shown is None:
            return gr.skip()
        if not shown.outcome.picture.is_file():
            raise OptionError(GONE)
        file = _file_for(shown, *checked_format(format, quality, metadata))
        if offered_last(shown) == file.path:
            return gr.skip()
        try:
            save_in_turn(file, stop)
        except Cancelled:
            return gr.skip()
        return gr.skip() if stop.is_raised else _offered(shown, file)


def offered_at_once(
    shown: Shown, format: str, quality: int, metadata: MetadataChoice, request: gr.Request | None
) -> Any:
    """The download button for a result that comes into sight: in that format if that is quick, else without losses.

    `offer` is to follow.
    """
    offer_no_more(request)
    file = _file_for(shown, format, quality, metadata)
    if not file.is_quick:
        file = _file_for(shown, "PNG", quality, "drop")
    file.save()
    return _offered(shown, file)


def offer_no_more(request: gr.Request | None) -> None:
    """What `offer` is about to answer would be of a result that is not in sight any more."""
    end_newest(_flag_of_offers(request))


def _flag_of_offers(request: gr.Request | None) -> StopFlag:
    return StopFlag.of(request, "file")


def _offered(shown: Shown, file: ResultFile) -> Any:
    (shown.folder / _OFFERED / _LAST).write_text(str(file.path.relative_to(shown.folder)), encoding="utf-8")
    return gr.update(
        visible=True,
        value=str(file.path),
        label=f"Download {file.format} · {wording.megabytes(file.path.stat().st_size)}",
    )


def _file_for(shown: Shown, format: str, quality: int, metadata: MetadataChoice) -> ResultFile:
    plan = shown.outcome.plan
    name = previews.result_name(shown.source.path.name, plan, shown.outcome.checkpoint, format)
    path = shown.folder / _OFFERED / f"{format}-{quality}-{metadata}" / name
    return ResultFile(shown.outcome.picture, plan.target, path, format, quality, metadata, shown.source.said)


def offered_last(shown: Shown) -> Path | None:
    """The file that was offered last; None once it is gone."""
    try:
        path = shown.folder / (shown.folder / _OFFERED / _LAST).read_text(encoding="utf-8")
    except OSError:
        return None
    return path if path.is_file() else None
