"""What programs call: typed functions with stable signatures, served over HTTP and as MCP tools.

Signatures and docstrings are the documentation that clients see; of each argument Gradio reads one line. Values arrive
unchecked, so each is checked here.
"""

from pathlib import Path
from typing import Any, Literal

import gradio as gr
from gradio import FileData
from gradio.events import api

from hpinet.attribution.explain import in_words
from hpinet.comparison import Comparison
from hpinet.images.metadata import MetadataChoice, check_choice
from hpinet.plan import MAX_SCALE, Plan, TargetSize
from hpinet.progress import Progress
from hpinet.treatment import Treatment, check_treatment
from hpinet.ui.jobs import previews
from hpinet.ui.jobs.batch import check_count, gather, run_batch
from hpinet.ui.jobs.enlarge import Wanted, enlarge
from hpinet.ui.jobs.explain import PATHS, WINDOWS, Question, look
from hpinet.ui.jobs.measure import measure as measure_file
from hpinet.ui.jobs.models import as_key, choice_of, choices, for_enlarging
from hpinet.ui.jobs.running import StopFlag
from hpinet.ui.parts.events import COMPUTE, LIGHT
from hpinet.ui.server import values
from hpinet.ui.server.storage import new_folder, received

Format = Literal["png", "jpeg", "webp", "avif"]


def upscale(  # noqa: PLR0917 (programs name the arguments)
    image: FileData,
    model: str = "T",
    scale: int = 4,
    longest_side: int | None = None,
    width: int | None = None,
    format: Format = "png",
    quality: int = 90,
    treatment: Treatment = "clean",
    metadata: MetadataChoice = "drop",
    request: gr.Request | None = None,
) -> FileData:
    """Makes a picture larger by super-resolution and returns the full-resolution file.

    Args:
        image: A PNG, JPEG, WebP, TIFF, AVIF, HEIC, JPEG XL, BMP or GIF. Upload it first; addresses are not fetched.
        model: Which network, by the keys that `models` lists: T is the fastest, L the largest.
        scale: How many times larger along each side, 2 to 16. Ignored if a size in pixels is given.
        longest_side: Size of the result's longest side in pixels, in place of scale.
        width: Width of the result in pixels, in place of scale.
        format: png (lossless), jpeg, webp or avif.
        quality: 1 to 100, for all but png; webp is lossless at 100.
        treatment: Of JPEG marks. clean: none; auto: as far as there are any; photo: always, if the model knows how.
        metadata: What the result keeps. drop: none; keep: all but places, serial numbers, makers' notes; keep-all: all.

    Returns:
        The larger picture, named after the one given. A PNG keeps transparency, 16 bits, grey and the colour profile;
        the other formats have 8 bits, JPEG no transparency, WebP and AVIF no grey.
    """
    source = received(image)
    wanted = _wanted(model, scale, longest_side, width, format, quality, treatment, metadata)
    folder, stop = new_folder(), _stop(request)

    def target(plan: Plan) -> Path:
        info = choice_of(wanted.model).checkpoint(plan)
        return folder / previews.result_name(source.name, plan, info.name, wanted.format)

    return _answer(enlarge(source, wanted, target=target, stop=stop).picture)


def upscale_batch(  # noqa: PLR0917 (programs name the arguments)
    files: list[FileData],
    model: str = "T",
    scale: int = 4,
    longest_side: int | None = None,
    width: int | None = None,
    format: Format = "png",
    quality: int = 90,
    treatment: Treatment = "clean",
    metadata: MetadataChoice = "drop",
    request: gr.Request | None = None,
) -> tuple[FileData, list[dict[str, str]]]:
    """Makes many pictures larger. A file that fails is reported and does not stop the others.

    Args:
        files: Pictures, and ZIP files of pictures. Upload them first; addresses are not fetched.
        model: Which network, by the keys that `models` lists.
        scale: How many times larger along each side, 2 to 16. Ignored if a size in pixels is given.
        longest_side: Size of the results' longest side in pixels, in place of scale.
        width: Width of the results in pixels, in place of scale.
        format: png (lossless), jpeg, webp or avif.
        quality: 1 to 100, for all but png; webp is lossless at 100.
        treatment: Of JPEG marks. clean: none; auto: as far as there are any; photo: always, if the model knows how.
        metadata: What the result keeps. drop: none; keep: all but places, serial numbers, makers' notes; keep-all: all.

    Returns:
        A ZIP of the results with the original names and folders, and a report: name, status and detail of each file.
    """
    wanted = _wanted(model, scale, longest_side, width, format, quality, treatment, metadata)
    given, stop = values.many("files", files), _stop(request)
    check_count(len(given))  # before any is looked for
    *_, batch = run_batch(gather([received(file) for file in given], stop), wanted, stop)
    report = [{"name": item.name, "status": item.status, "detail": item.detail} for item in batch.items]
    return _answer(batch.archive), report


def measure(
    image: FileData, models: list[str] | None = None, scale: int = 4, request: gr.Request | None = None
) -> dict[str, Any]:
    """Scores models on a picture: it is taken for the truth, reduced by bicubic, and restored by each model.

    Args:
        image: A good picture. Upload it first; addresses are not fetched.
        models: Keys that `models` lists; the fastest one by default.
        scale: How many times the picture is reduced: 2, 3 or 4.

    Returns:
        The scale, and for bicubic and each model: PSNR-Y in dB, SSIM-Y, and seconds (null for bicubic).
    """
    keys = values.several("models", models, as_key) or [next(iter(choices()))]
    stop, times = _stop(request), values.number("scale", scale, 2, 4)
    results, missing = measure_file(received(image), times, keys, stop, tell=_scores)
    if missing:  # programs get all that they asked for, or an error
        raise missing[0]
    return {"scale": times, "results": results}


def _scores(comparison: Comparison, _progress: Progress) -> list[dict[str, Any]]:
    return [
        {"model": one.name, "psnr_y": one.psnr_y, "ssim_y": one.ssim_y, "seconds": one.seconds}
        for one in comparison.restored
    ]


def explain(  # noqa: PLR0917 (programs name the arguments)
    image: FileData,
    x: int,
    y: int,
    model: str = "T",
    scale: int = 4,
    window: int = 16,
    full: bool = False,
    request: gr.Request | None = None,
) -> tuple[FileData, dict[str, Any]]:
    """Shows what the network looked at to draw one spot of a picture: a local attribution map and matched patches.

    Args:
        image: The picture. Upload it first; addresses are not fetched.
        x: The spot, in pixels from the left.
        y: The spot, in pixels from the top.
        model: Which network, by the keys that `models` lists.
        scale: By how much that network enlarges: 2, 3 or 4.
        window: Side of the explained square around the spot, in pixels of the result: 8, 16 or 32.
        full: Takes 50 steps of integration, as published, instead of a dozen; slower and more exact.

    Returns:
        A figure (PNG), and what it says: the model, the diffusion index, how far the sum of credits is off, findings.
    """
    question = Question(
        received(image),
        values.number("x", x, 0, values.MAX_PIXELS),
        values.number("y", y, 0, values.MAX_PIXELS),
        as_key(model),
        values.number("scale", scale, 2, 4),
        _stop(request),
        path=PATHS["Full" if values.flag("full", full) else "Quick"],
        window=values.choice("window", window, WINDOWS),
    )
    answer = look(question)
    [figure] = answer.draw(new_folder(), (".png",))
    attribution = answer.explanation.attribution
    return _answer(figure), {
        "model": answer.checkpoint,
        "diffusion_index": attribution.diffusion_index,
        "completeness_error": attribution.completeness_error,
        "findings": in_words(answer.explanation),
    }


def models() -> list[dict[str, Any]]:
    """Lists the models on offer, smallest first.

    Returns:
        For each model its key, and for each scale: checkpoint name, origin, whether it is installed, number of
        parameters, PSNR-Y on Set5 in dB (null if unknown), and whether it knows treatments of compressed pictures.
        Models that are not installed are fetched on first use.
    """
    return [
        {
            "key": choice.key,
            "variant": choice.variant,
            "scales": {
                str(scale): {
                    "name": info.name,
                    "origin": info.origin,
                    "installed": info.installed,
                    "parameters": info.parameters,
                    "psnr_set5": info.psnr_set5,
                    "treatments": info.levels is not None,
                }
                for scale, info in choice.natives.items()
            },
        }
        for choice in for_enlarging().values()
    ]


# ---------------------------------------------------------------------------------------------------- checking values


def _stop(request: gr.Request | None) -> StopFlag:
    """The flag that `hpinet.ui.page` raises when the caller hangs up."""
    flag = StopFlag.of(request, "api")
    flag.lower()
    return flag


def _wanted(  # noqa: PLR0917 (as in the endpoints' signatures)
    model: object,
    scale: object,
    longest_side: object,
    width: object,
    format: object,
    quality: object,
    treatment: object,
    metadata: object,
) -> Wanted:
    size = _size(scale, longest_side, width)
    loss = values.number("quality", quality, 1, 100)
    return Wanted(as_key(model), size, _format(format), loss, check_treatment(treatment), check_choice(metadata))


def _size(scale: object, longest_side: object, width: object) -> TargetSize:
    if longest_side is None and width is None:
        return TargetSize(scale=values.number("scale", scale, 2, MAX_SCALE))
    return TargetSize(
        longest_side=None
        if longest_side is None
        else values.number("longest_side", longest_side, 1, values.MAX_PIXELS),
        width=None if width is None else values.number("width", width, 1, values.MAX_PIXELS),
    )


def _format(value: object) -> str:
    known = {**{name.lower(): name for name in previews.FORMATS}, "jpg": "JPEG"}
    return known[values.choice("format", value.lower() if isinstance(value, str) else value, known)]


def _answer(path: Path) -> FileData:
    return FileData(path=str(path), orig_name=path.name)


PUBLIC = (upscale, upscale_batch, measure, explain, models)
"""Every endpoint, in the order they are documented."""


def register() -> None:
    """Adds the endpoints to the page under construction; everything else on it is private."""
    for endpoint in PUBLIC:
        load = LIGHT if endpoint is models else COMPUTE
        api(
            endpoint,
            api_name=endpoint.__name__,
            concurrency_id=load["concurrency_id"],
            concurrency_limit=load["concurrency_limit"],
        )
