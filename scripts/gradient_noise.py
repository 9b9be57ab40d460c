"""How noisy the gradient of one crop is, by loss and by the way crops are drawn.

    python -m scripts.gradient_noise runs/t-x2 [--crops 600]

For a saved run's averaged weights, on its own pictures. Noise is the variance of a crop's gradient around the mean of
all, signal the square of that mean, both summed over the weights, each measured in its own root mean square gradient,
as an optimiser of Adam's kind sees them. Their ratio is the batch whose noise is as large as its signal: far larger
batches are wasted, and far smaller ones mostly add up noise.
"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from hpinet.model import HPINet
from hpinet.training.data import CropSampler, open_store
from hpinet.training.loop import LOSSES, to_tensor
from hpinet.training.state import Run, averaged_weights, load_state

SHOWN = ("l1", "smooth_l1")


def main(
    run: Annotated[Path, typer.Argument(help="Folder of a saved run.")],
    *,
    crops: Annotated[int, typer.Option(help="Crops to draw, each way.")] = 600,
) -> None:
    """Print a Markdown table."""
    settings, state = Run.load(run), load_state(run)
    if state is None:
        raise typer.BadParameter(f"{run} has not been saved yet.")
    phase = settings.recipe.phases[0]
    network = HPINet(settings.recipe.config(phase))
    network.load_state_dict(averaged_weights(state))
    network.train()
    store = open_store(
        [Path(folder) for folder in settings.data], scale=settings.recipe.scale, cache=run.parent / "cache"
    )
    print("| loss | draws | noise | signal | noise / signal |\n|---|---|---:|---:|---:|")
    gradients: dict[tuple[str, float], Tensor] = {}
    for importance in (0.0, 1.0):
        sampler = CropSampler(store, crop=phase.crop, seed=1, importance=importance)
        drawn = [_gradients(network, sampler, index) for index in range(crops)]
        for loss in SHOWN:
            gradients[loss, importance] = torch.stack([gradient[loss] for gradient in drawn])
    for loss in SHOWN:
        spread = gradients[loss, 0.0].square().mean(0).sqrt().add(1e-12).sqrt()
        for importance, draws in ((0.0, "even"), (1.0, "by importance")):
            noise, signal = _moments(gradients[loss, importance] / spread)
            print(f"| {loss} | {draws} | {noise:.2f} | {signal:.3f} | {noise / signal:.0f} |")


def _gradients(network: HPINet, sampler: CropSampler, index: int) -> dict[str, Tensor]:
    """The gradient of a crop's weighted loss over all weights (P,), by loss."""
    crop = sampler.batch(0, [index])
    hr, lr = (to_tensor(pixels, torch.device("cpu")) for pixels in (crop.hr, crop.lr))
    torch.manual_seed(index)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(lr).float()
    weights = list(network.parameters())
    found = {}
    for loss in SHOWN:
        parts = torch.autograd.grad(LOSSES[loss](output, hr), weights, retain_graph=True, materialize_grads=True)
        found[loss] = float(crop.weight[0]) * torch.cat([part.flatten() for part in parts])
    return found


def _moments(gradients: Tensor) -> tuple[float, float]:
    """(noise, signal) of (N, P) gradients, without bias."""
    count = len(gradients)
    total, each = gradients.sum(0).square().sum(), gradients.square().sum()
    signal = (total - each) / (count * (count - 1))
    return (each / count - signal).item(), signal.item()


if __name__ == "__main__":
    typer.run(main)
