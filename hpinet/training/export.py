"""From a run to a checkpoint folder with a card that says how good the weights are, and how to make them again."""

import json
import shlex
from pathlib import Path

from huggingface_hub import ModelCard
from PIL import Image

from hpinet.atomic import write_atomically
from hpinet.checkpoints.files import CARD, Provenance, checkpoint_name, write_checkpoint
from hpinet.checkpoints.hub import is_repository_id
from hpinet.checkpoints.levels import read_levels
from hpinet.errors import OptionError
from hpinet.evaluation import Evaluation, evaluate, record
from hpinet.model import HPINet, load_weights
from hpinet.training.plots import plot
from hpinet.training.state import Run, averaged_weights, load_state
from hpinet.upscaler import Upscaler

CURVE, RECIPE = "curve.png", "recipe.json"
COLOURS = 64  # of the drawn curve
_PARTS = ("HR", "LR")  # what folders of benchmarks call theirs

REPLACED = "What `--start-from` names were the weights of that day; better ones may have their name now."

CLEAN_LIMITS = """\
For enlarging photographs and drawings that are sharp and clean but small. The small pictures of training were made by
antialiased bicubic shrinking, so that noise, blur and the blocks of strong JPEG compression are not removed but
enlarged with the rest. Fine detail that the small picture does not hold is made up to look plausible: do not read
evidence, measurements or identities from it."""

COMPRESSED_LIMITS = """\
For enlarging photographs that were saved as JPEG: a level of the checkpoint in whose folder it lies, to be mixed with
its neighbours as strongly as a picture was compressed. The small pictures of training were degraded as
`recipe.json` tells. On clean pictures these weights take away fine detail. Detail that the small picture does not hold
is made up to look plausible: do not read evidence, measurements or identities from it."""


def export(
    run_folder: Path,
    output: Path,
    *,
    benchmark: Path | None = None,
    benchmark_lr: Path | None = None,
    licence: str = "other",
    credits: str = "",
    history: str = "",
) -> None:
    """Writes the averaged weights of a run as a checkpoint folder, with its card, curves and recipe.

    Args:
        run_folder: A run that has been saved; one that is going on may be exported too.
        output: The folder; an earlier checkpoint in it is replaced.
        benchmark: Folder of true pictures to score the weights on, as for `hpinet.evaluation.evaluate`.
        benchmark_lr: Folder of the small ones, by default made from those.
        licence: A Hub licence identifier for the weights.
        credits: Markdown for the card: who holds which rights to the weights and to the training pictures.
        history: A sentence for the card about the weights that the run started from, if any.

    Raises OptionError if there is no saved run, what `evaluate` raises, OSError.
    """
    run, state = Run.load(run_folder), load_state(run_folder)
    if state is None:
        raise OptionError(f"{run_folder} has not been saved yet.")
    model = HPINet(run.recipe.config())
    load_weights(model, averaged_weights(state))

    source = (
        f"Trained by this project for {state['step']:,} steps, {state['hours']:.1f} {state['unit']} hours. {history}"
    )
    provenance = Provenance(
        source=source.strip().removesuffix("."),
        licence=licence,
        note=credits or f"Trained on the pictures of {_listed(run)}. See there for their rights.",
    )
    plot([run_folder], output / CURVE)  # first, since a run without a log ends here, and leaves what is there alone
    write_checkpoint(model, output, provenance)
    _make_small(output / CURVE)
    write_atomically(output / RECIPE, (json.dumps(run.recipe.to_dict(), indent=2) + "\n").encode())
    table = ""
    if benchmark:
        evaluation = evaluate(Upscaler.load(output), benchmark, lr=benchmark_lr)
        record(evaluation, output)
        table = _table(evaluation)
    card = ModelCard((output / CARD).read_text(encoding="utf-8"))
    text = card.text
    if _is_degraded(run):  # how good a level is, the card of the whole checkpoint says
        text = text.partition("## Scores")[0].replace("\n\n", f", level {output.name}\n\n", 1)
    card.text = f"{text.rstrip()}\n{table}{_sections(run, state['step'])}"
    write_atomically(output / CARD, str(card).encode())


def _make_small(drawing: Path) -> None:
    """With as many colours as a few lines need: a third of the size, and all weights go to a Space with theirs."""
    with Image.open(drawing) as image:
        few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(drawing, optimize=True)


def training_command(run: Run) -> str:
    """What starts the run again, with the names of folders instead of where they are on this machine."""
    recipe = run.recipe
    words = ["python", "-m", "hpinet", "train", "run", f"runs/{checkpoint_name(recipe.variant, recipe.scale)}"]
    for folder in run.data:
        words += ["--data", _short(folder)]
    if run.validation:
        words += ["--validation", _short(run.validation)]
    words += ["--recipe", RECIPE]
    if run.mixed_precision != "no":
        words += ["--mixed-precision", run.mixed_precision]
    if run.started_from:
        words += ["--start-from", _name_of(run.started_from)]
    return shlex.join(words)


def _name_of(source: str) -> str:
    """A checkpoint without where it is on this machine."""
    return source if is_repository_id(source.partition("@")[0]) and not Path(source).exists() else _short(source)


def _short(folder: str) -> str:
    """A folder by its name; with the one around it if that says which, for a level or a part of a benchmark."""
    path = Path(folder)
    return "/".join(path.parts[-2:]) if path.name in _PARTS or read_levels(path.parent) else path.name


def _table(evaluation: Evaluation) -> str:
    mean = evaluation.mean
    return f"""
| {evaluation.benchmark} | PSNR-Y (dB) | SSIM-Y |
|---|---|---|
| bicubic | {mean.bicubic_psnr_y:.2f} | {mean.bicubic_ssim_y:.4f} |
| these weights | {mean.psnr_y:.2f} | {mean.ssim_y:.4f} |
"""


def _sections(run: Run, step: int) -> str:
    recipe = run.recipe
    done = "to the end of its recipe" if step == recipe.steps else f"of {recipe.steps:,}, not the end of its recipe"
    return f"""
## Training

```sh
{training_command(run)}
```

ran {step:,} steps, {done}, on {_listed(run)}; `{RECIPE}` lies beside this card. Folders are named without where they
were, and each run needs one of its own. The weights are the moving average of the run's.
{REPLACED if run.started_from else ""}

![Loss and validation PSNR over the steps]({CURVE})

## Intended use and limits

{COMPRESSED_LIMITS if _is_degraded(run) else CLEAN_LIMITS}
"""


def _is_degraded(run: Run) -> bool:
    return any(phase.degradation for phase in run.recipe.phases)


def _listed(run: Run) -> str:
    return " and ".join(f"`{Path(folder).name}`" for folder in run.data)
