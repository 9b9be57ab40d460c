"""`Upscaler`: a picture in, a larger picture out. What the page, the command line and programs call."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TypeVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from hpinet.checkpoints import registry
from hpinet.checkpoints.levels import read_treated
from hpinet.checkpoints.registry import CheckpointInfo
from hpinet.engines import Engine, create_engine
from hpinet.errors import ImageError
from hpinet.images import Picture
from hpinet.progress import Progress, ignore, nth
from hpinet.treatment import Treatment, check_treatment, examine

Enlargeable = TypeVar("Enlargeable", Picture, Image.Image, np.ndarray)

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601: what of R, G and B makes the grey of a grey picture


class Upscaler:
    """One model in one engine, ready for any number of pictures.

    >>> upscaler = Upscaler.load("T", scale=4)
    >>> save_picture(upscaler(open_picture("small.png")), "large.png")

    Colour is enlarged as it is, in the picture's own RGB space. Grey stays grey. Alpha is enlarged by the network too,
    and the colour that hides under fully transparent pixels is replaced first, so that it cannot seep into the edges.

    Where the checkpoint has levels for compressed pictures, a treatment frees colour of what a JPEG left in it. Each
    strength is an engine of its own, made when it is first asked for.
    """

    def __init__(
        self,
        info: CheckpointInfo,
        engine: Engine,
        *,
        self_ensemble: bool = False,
        make: Callable[[float], Engine] | None = None,
    ) -> None:
        """``make`` gives the engine of a strength above 0, if there are levels."""
        self.info = info
        self.engine = engine
        self.self_ensemble = self_ensemble
        self._make = make
        self._treating: dict[float, Engine] = {}
        self._lock = Lock()

    @classmethod
    def load(
        cls,
        source: str | Path = "T",
        *,
        scale: int | None = None,
        engine: str | None = None,
        device: str | None = None,
        memory_mb: int | None = None,
        self_ensemble: bool = False,
        fetch: bool = False,
        progress: Progress = ignore,
    ) -> "Upscaler":
        """An upscaler with the checkpoint that ``source`` names.

        Args:
            source: A variant ("T"), a name ("hpinet-t-x4"), a checkpoint folder, a ``.safetensors`` or published
                ``.pth`` file, or a Hub repository "owner/name[@revision]".
            scale: 2, 3 or 4; needed where the source leaves it open, checked where it does not.
            engine, device, memory_mb: see `hpinet.engines.create_engine`.
            self_ensemble: Averages the results of the eight flips and rotations: slightly better, eight times the work.
            fetch: Whether weights that are not on this machine may be downloaded.
            progress: Of the download, if there is one.

        Raises:
            CheckpointError: the weights are missing or not those of an HPINet.
            OptionError: there is no such model, engine or device.
        """
        model, info = registry.load(source, scale=scale, fetch=fetch, progress=progress)

        def make(strength: float) -> Engine:
            assert info.path is not None  # it was just loaded from there
            treating = read_treated(info.path, strength)
            return create_engine(treating, name=engine, device=device, memory_mb=memory_mb)

        made = create_engine(model, name=engine, device=device, memory_mb=memory_mb)
        return cls(info, made, self_ensemble=self_ensemble, make=make)

    @property
    def scale(self) -> int:
        """How many times larger the result is along each side."""
        return self.engine.scale

    def __call__(
        self, image: Enlargeable, *, treatment: Treatment = "clean", progress: Progress = ignore
    ) -> Enlargeable:
        """The picture ``scale`` times larger, as the type it came in, with the same channels and depth.

        Args:
            image: A `Picture`, a Pillow image, or an array: (H, W) or (H, W, C) of uint8 or uint16 with C from 1 to 4
                as in `Picture.samples`, or (H, W, 3) of float32 in [0, 1].
            treatment: What is done about compression, see `hpinet.treatment`; floating-point arrays are never examined.
            progress: Of the whole work; may raise `hpinet.errors.Cancelled`.

        Raises:
            ImageError: the image has another shape or type of samples.
            OptionError: there is no such treatment, or it is "photo" and the checkpoint has no levels.
            CheckpointError: a level is damaged.
        """
        check_treatment(treatment)
        if isinstance(image, Picture):
            return cast(Enlargeable, self._enlarge(image, treatment, progress))
        if isinstance(image, Image.Image):
            return cast(Enlargeable, self._enlarge(Picture.from_pil(image), treatment, progress).to_pil())
        if image.dtype == np.float32:
            if image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise ImageError(f"A floating-point picture is (height, width, 3), not {image.shape}.")
            engine = self.engine_for(self.info.strength(None, treatment))
            return cast(Enlargeable, self._run(engine, image, progress))
        samples = self._enlarge(Picture.from_array(image), treatment, progress).samples
        return cast(Enlargeable, samples[..., 0] if image.ndim == 2 else samples)

    def estimate_seconds(self, picture: Picture) -> float:
        """Seconds that enlarging ``picture`` would take on this machine."""
        passes = rounds_over(picture) * (8 if self.self_ensemble else 1)
        return passes * self.engine.estimate_seconds(picture.height, picture.width)

    def engine_for(self, strength: float) -> Engine:
        """The engine of a treatment's strength, see `hpinet.checkpoints.CheckpointInfo.strength`."""
        if strength == 0 or self._make is None:
            return self.engine
        with self._lock:
            if strength not in self._treating:
                self._treating[strength] = self._make(strength)
            return self._treating[strength]

    def _enlarge(self, picture: Picture, treatment: Treatment, progress: Progress) -> Picture:
        found = None if treatment == "clean" else examine(picture)
        engine = self.engine_for(self.info.strength(found, treatment))
        picture = replace(picture, compression=None)  # the result is another picture
        if picture.alpha is None or not _has_edges(picture.alpha):
            colour = self._enlarge_colour(engine, picture.colour, progress)
            alpha = None if picture.alpha is None else np.full(colour.shape[:2], picture.alpha[0, 0])
            return replace(picture, colour=colour, alpha=alpha)
        visible = fill_transparent(picture.colour, picture.alpha)
        colour = self._enlarge_colour(engine, visible, nth(progress, 0, 2))
        return replace(picture, colour=colour, alpha=self._enlarge_alpha(picture.alpha, nth(progress, 1, 2)))

    def _enlarge_colour(self, engine: Engine, colour: np.ndarray, progress: Progress) -> np.ndarray:
        """(H, W, 3) or (H, W, 1) -> the same kind, larger."""
        if colour.shape[2] == 3:
            return self._run(engine, colour, progress)
        return self._enlarge_grey(engine, colour, progress)

    def _enlarge_grey(self, engine: Engine, grey: np.ndarray, progress: Progress) -> np.ndarray:
        """(H, W, 1) -> (sH, sW, 1): the luma of the enlarged grey RGB picture, rounded once."""
        fine = grey if grey.dtype == np.uint16 else grey.astype(np.uint16) * 257
        rgb = self._run(engine, np.repeat(fine, 3, axis=2), progress)
        result = np.empty((*rgb.shape[:2], 1), grey.dtype)
        unit = 1 if grey.dtype == np.uint16 else 257
        for row in range(len(rgb)):  # a row at a time: the floating-point copy of all of it would be the largest array
            result[row, :, 0] = np.rint(rgb[row] @ LUMA / unit)
        return result

    def _enlarge_alpha(self, alpha: np.ndarray, progress: Progress) -> np.ndarray:
        """(H, W) -> (sH, sW), each value kept between the smallest and largest of the 3x3 LR pixels around it.

        So what is wholly opaque or transparent stays so: the network's slight ringing would show there.
        """
        enlarged = self._enlarge_grey(self.engine, alpha[..., None], progress)[..., 0]
        values = torch.from_numpy(alpha.astype(np.float32))[None, None]
        most, least = F.max_pool2d(values, 3, 1, 1), -F.max_pool2d(-values, 3, 1, 1)
        low, high = (
            bound[0, 0].numpy().astype(alpha.dtype).repeat(self.scale, axis=0).repeat(self.scale, axis=1)
            for bound in (least, most)
        )
        return np.clip(enlarged, low, high)

    def _run(self, engine: Engine, rgb: np.ndarray, progress: Progress) -> np.ndarray:
        """(H, W, 3) of any of the engine's dtypes, enlarged; averaged over flips and rotations if so chosen."""
        if not self.self_ensemble:
            return engine.upscale(rgb, progress=progress)
        full = 1.0 if rgb.dtype == np.float32 else float(np.iinfo(rgb.dtype).max)
        pixels = rgb.astype(np.float32) / np.float32(full)
        total = np.zeros((self.scale * rgb.shape[0], self.scale * rgb.shape[1], 3), np.float32)
        for number in range(8):
            turns, flipped = divmod(number, 2)
            view = np.rot90(pixels[:, ::-1] if flipped else pixels, turns)
            one = np.rot90(engine.upscale(np.ascontiguousarray(view), progress=nth(progress, number, 8)), -turns)
            total += one[:, ::-1] if flipped else one
            del one  # before the next is made
        total /= 8
        if rgb.dtype == np.float32:
            return total
        result = np.empty(total.shape, rgb.dtype)
        for row, exact in zip(result, total, strict=True):  # a row at a time, as above
            row[:] = np.rint(exact * full)
        return result


def rounds_over(picture: Picture) -> int:
    """How often the network goes over a picture: once for colour, and once more where alpha has edges."""
    return 2 if _has_edges(picture.alpha) else 1


def fill_transparent(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colour (H, W, C) in which fully transparent pixels carry the average of the visible ones near them.

    Pull and push: the visible colour is averaged over ever larger squares; holes are filled from the smallest that has
    some. Where nothing is visible at all the colour stays as it is.
    """
    visible = torch.from_numpy((alpha > 0).astype(np.float32))[None, None]
    if not visible.any():
        return colour
    values = torch.from_numpy(colour.astype(np.float32)).permute(2, 0, 1)[None]
    filled = _pull_push(values * visible, visible)[0].permute(1, 2, 0).numpy()
    return np.where(alpha[..., None] > 0, colour, np.rint(filled).astype(colour.dtype))


def _pull_push(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(1, C, H, W) sums of values and (1, 1, H, W) of their weights -> averages, holes filled from half the size."""
    if bool((weights > 0).all()):
        return values / weights
    coarse = _pull_push(*(F.avg_pool2d(t, 2, ceil_mode=True, count_include_pad=False) for t in (values, weights)))
    pushed = F.interpolate(coarse, scale_factor=2.0, mode="nearest")[..., : values.shape[2], : values.shape[3]]
    return torch.where(weights > 0, values / weights.clamp_min(1e-12), pushed)


def _has_edges(alpha: np.ndarray | None) -> bool:
    """Whether there is an alpha channel that is not the same everywhere."""
    return alpha is not None and bool((alpha != alpha[0, 0]).any())
