"""Curves of a run's log as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from hpinet.errors import OptionError
from hpinet.training.state import read_log


def plot(runs: Sequence[Path], output: Path) -> None:
    """Draws the loss and the validation PSNR of one or more runs over their steps; the suffix gives the format.

    Raises OptionError if a run has no log yet, or the format is unknown.
    """
    figure = Figure(figsize=(7.0, 5.0), layout="constrained")  # not pyplot, which would hold state and want a display
    losses, scores = figure.subplots(2, sharex=True)
    for run in runs:
        log = read_log(run)
        if not log:
            raise OptionError(f"{run} has no log to draw.")
        train, valid = ([entry for entry in log if entry["kind"] == kind] for kind in ("train", "valid"))
        losses.plot([entry["step"] for entry in train], [entry["loss"] for entry in train], label=run.name)
        if valid:
            label = f"{run.name}: {valid[-1]['psnr']:.2f} dB after {valid[-1]['hours']:.1f} core or GPU hours"
            scores.plot([entry["step"] for entry in valid], [entry["psnr"] for entry in valid], ".-", label=label)
            scores.legend(loc="lower right")
    losses.set(ylabel="loss on training crops", yscale="log")
    scores.set(ylabel="validation PSNR-Y (dB)", xlabel="steps")
    for axes in (losses, scores):
        axes.grid(alpha=0.3)
    if output.suffix.lstrip(".").lower() not in figure.canvas.get_supported_filetypes():
        raise OptionError(f"{output.name} is no picture format that can be drawn: use .png or .svg.")
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=120)
