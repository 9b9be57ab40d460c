"""One spot of one picture explained: its attribution map, its matched patches, and what they say in plain words."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import nn

from hpinet.attribution.lam import (
    FAINT,
    QUICK,
    Attribution,
    BlurPath,
    Window,
    attribute,
    radius_holding,
    taking_gradients,
)
from hpinet.attribution.matches import Match, StageMatches, matched_patches
from hpinet.attribution.regions import Box, square_around, to_tensor
from hpinet.errors import OptionError
from hpinet.model import HPINet
from hpinet.progress import Progress, ignore

REGION = 64
"""Side of the part of the picture whose pixels are attributed, by default."""

SURROUNDINGS = 256
"""Side of the part within which patches are matched: that needs no gradients, so it may be larger."""

FLAT = 0.1 / 255
"""Mean gradient magnitude, a tenth of a grey level, below which nobody could see detail at a spot."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a network looked at for one spot. Coordinates are pixels of the picture unless said otherwise."""

    x: int  # the spot
    y: int
    scale: int
    region: Box  # what was attributed: the network was shown nothing else for that
    attribution: Attribution  # of the region; its window counts pixels of the region's output
    surroundings: Box  # what was matched and enlarged: the region and more
    pixels: np.ndarray  # (h, w, 3) uint8, those of the surroundings
    result: np.ndarray  # (s*h, s*w, 3) uint8: the surroundings enlarged
    stages: list[StageMatches]  # coordinates count from the surroundings' corner; empty for other networks

    @cached_property
    def chain(self) -> list[Match]:
        """What the spot's patch chose at each stage, first stage first."""
        left, top, _, _ = self.surroundings
        matches = [stage.at(self.x - left, self.y - top) for stage in self.stages]
        return [
            match._replace(box=_moved(match.box, left, top), reference=_moved(match.reference, left, top))
            for match in matches
        ]

    def cut(self, box: Box) -> np.ndarray:
        """(h, w, 3) uint8: the pixels of a box in the surroundings.

        Boxes reach beyond pictures smaller than a patch: their last row and column go on there.
        """
        left, top, right, bottom = _moved(box, -self.surroundings[0], -self.surroundings[1])
        rows = np.arange(top, bottom).clip(max=self.pixels.shape[0] - 1)
        columns = np.arange(left, right).clip(max=self.pixels.shape[1] - 1)
        return self.pixels[rows[:, None], columns]

    def moved(self, left: int, top: int) -> "Explanation":
        """This explanation of a part of a picture in the coordinates of the whole; the part's corner is given."""
        region, surroundings = (_moved(box, left, top) for box in (self.region, self.surroundings))
        return replace(self, x=self.x + left, y=self.y + top, region=region, surroundings=surroundings)

    @property
    def window(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of the explained window."""
        left, top, size = self.attribution.window
        x, y = self.region[0] + left / self.scale, self.region[1] + top / self.scale
        return x, y, x + size / self.scale, y + size / self.scale

    @cached_property
    def distances(self) -> np.ndarray:
        """Pixels between every patch and its reference, all stages together; empty for networks that match nothing."""
        return np.concatenate([stage.distances for stage in self.stages]) if self.stages else np.zeros(0)

    def radius(self, share: float) -> float:
        """Pixels around the spot that hold ``share`` of the attribution."""
        left, top, _, _ = self.region
        return radius_holding(self.attribution.strength, self.x - left, self.y - top, share)


@taking_gradients()
def explain(
    model: nn.Module,
    pixels: np.ndarray,
    *,
    x: int,
    y: int,
    window: int = 16,
    path: BlurPath = QUICK,
    region: int = REGION,
    memory_mb: int | None = None,
    progress: Progress = ignore,
) -> Explanation:
    """Explains the output at input pixel (x, y).

    Args:
        model: An HPINet, or any other network from (B, 3, H, W) to (B, 3, sH, sW), in evaluation mode.
        pixels: (H, W, 3) uint8 RGB.
        x, y: The spot.
        window: Side of the explained square around it, in pixels of the output.
        path: How finely to integrate: `QUICK`, `FULL` or your own.
        region: Pixels are attributed within the square of this side around the spot, moved inside the picture; the
            network is shown no more than that. Work and memory grow with its area.
        memory_mb: See `attribute`.
        progress: See `attribute`; the run that matches patches comes before it starts.

    Raises:
        OptionError: the spot is outside the picture, or there is nothing to explain there.
        MemoryShortageError: the machine refuses memory.
    """
    height, width = pixels.shape[:2]
    around = surroundings_of(x, y, width, height, region=region)
    picture = to_tensor(pixels, around, like=model)
    if isinstance(model, HPINet):
        stages, output = matched_patches(model, picture)
    else:
        with torch.no_grad():
            stages, output = [], model(picture)
    scale = output.shape[-1] // picture.shape[-1]
    seen = square_around(x, y, region, width, height)
    left, top, right, bottom = seen
    attribution = attribute(
        model,
        to_tensor(pixels, seen, like=model),
        Window.around(x - left, y - top, scale=scale, shape=(bottom - top, right - left), size=window),
        path=path,
        memory_mb=memory_mb,
        progress=progress,
    )
    if attribution.detail < FLAT * 3 * window**2 or not attribution.strength.any():
        raise OptionError("There is no detail at this spot, so nothing to explain: choose another one.")
    result = (output[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    left, top, right, bottom = around
    own = pixels[top:bottom, left:right].copy()  # the rest of a large picture is let go
    return Explanation(x, y, scale, seen, attribution, around, own, result, stages)


def surroundings_of(x: int, y: int, width: int, height: int, *, region: int = REGION) -> Box:
    """All that `explain` looks at of a picture of that size. Raises OptionError for a spot outside it."""
    if not (0 <= x < width and 0 <= y < height):
        raise OptionError(f"The spot ({x}, {y}) lies outside the picture of {width}×{height} pixels.")
    return square_around(x, y, max(region, SURROUNDINGS), width, height)


def in_words(explanation: Explanation) -> list[str]:
    """What an explanation says, one sentence each, for readers who have not read the papers."""
    attribution = explanation.attribution
    strength = attribution.strength
    left, top, right, bottom = explanation.region
    taking_part = np.count_nonzero(strength > FAINT * strength.max()) / strength.size
    sentences = [
        f"Half of what shaped this spot lies within {_pixels(explanation.radius(0.5))} of it and 90% within "
        f"{_pixels(explanation.radius(0.9))}; the last hundredth lies beyond {_pixels(explanation.radius(0.99))}.",
        f"Of the {right - left}×{bottom - top} pixels shown to the network {taking_part:.0%} matter at least a "
        "thousandth as much as the strongest one.",
        f"Diffusion index {attribution.diffusion_index:.1f}: 100 if all pixels mattered alike, near 0 if a few decide.",
        f"The shares add up to the whole within {attribution.completeness_error:.1%} ({attribution.path.steps} steps).",
    ]
    far = [match.distance for match in explanation.chain]
    if far:
        left, top, right, bottom = explanation.surroundings
        median = _pixels(float(np.median(explanation.distances)))
        sentences.append(
            f"To find similar detail, the patch around the spot looked {_range(far)} away; "
            f"over the {right - left}×{bottom - top} pixels searched the median is {median}."
        )
    return sentences


def facts_of(match: Match) -> list[str]:
    """What is known of a choice, a few words each."""
    facts = [f"stage {match.stage}", f"{match.distance:.0f} pixels away"]
    if not np.isnan(match.similarity):
        facts.append(f"similarity {match.similarity:.2f}")
    if not np.isnan(match.margin):
        facts.append(f"next best {match.similarity - match.margin:.2f}")
    return facts


def _moved(box: Box, across: int, down: int) -> Box:
    left, top, right, bottom = box
    return left + across, top + down, right + across, bottom + down


def _pixels(count: float) -> str:
    return "1 pixel" if round(count) == 1 else f"{count:.0f} pixels"


def _range(distances: list[float]) -> str:
    nearest, farthest = round(min(distances)), round(max(distances))
    return _pixels(nearest) if nearest == farthest else f"{nearest} to {farthest} pixels"
