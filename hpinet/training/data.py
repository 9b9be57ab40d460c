"""Folders of pictures as training crops and validation pairs.

HR pictures are decoded once into flat arrays on disk that are then mapped into memory, beside their LR versions; a crop
is a slice of each. LR is Pillow's bicubic, which like MATLAB's `imresize` (the field's choice) widens its kernel when
it shrinks: on Set5 the two differ by 50 dB PSNR or more. Which crop is taken is a pure function of (seed, step, index).
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpinet.errors import ImageError, OptionError
from hpinet.images import Limits, Picture, open_picture, resize_bicubic
from hpinet.progress import Progress, ignore

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
ANY_SIZE = Limits(megapixels=1e4, megabytes=1e4)  # one's own data set is trusted


@dataclass(frozen=True)
class PictureFile:
    """A high-resolution picture and, where the data set has it, its low-resolution version."""

    hr: Path
    lr: Path | None


def find_pictures(folder: Path, *, scale: int) -> list[PictureFile]:
    """The pictures below a folder, sorted by path.

    Two layouts are known. The one of DIV2K, Flickr2K and the benchmarks: a folder ``*HR`` with ``0001.png`` beside
    ``*LR_bicubic/X4/0001x4.png``; ``folder`` is either the HR folder or its parent, whose validation part is left out
    when there is a training part. Otherwise every picture anywhere below, none of which has an LR version.
    Raises OptionError if there are none.
    """
    parts = [folder] if folder.name.endswith("HR") else sorted(p for p in folder.glob("*HR") if p.is_dir())
    if any("train" in part.name for part in parts):
        parts = [part for part in parts if "train" in part.name]
    found = [_with_lr(hr, scale) for part in parts for hr in _picture_paths(part)]
    found = found or [PictureFile(hr, None) for hr in _picture_paths(folder)]
    if not found:
        raise OptionError(f"There are no pictures in {folder}.")
    return found


def _picture_paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _with_lr(hr: Path, scale: int) -> PictureFile:
    family = hr.parent.name.removesuffix("HR")
    lr = hr.parent.parent / f"{family}LR_bicubic" / f"X{scale}" / f"{hr.stem}x{scale}.png"
    return PictureFile(hr, lr if lr.is_file() else None)


def load_pair(picture: PictureFile, *, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """(HR, LR) as (sH, sW, 3) and (H, W, 3) uint8 RGB, HR cropped at the right and bottom to a multiple of the scale.

    Raises ImageError if a file is no picture, or the LR is not the HR's size divided by the scale.
    """
    hr = _decode(picture.hr)
    height, width = (side // scale for side in hr.shape[:2])
    if not min(height, width):
        raise ImageError(f"{picture.hr} is smaller than {scale} pixels.")
    hr = hr[: height * scale, : width * scale]
    lr = shrink(hr, scale=scale) if picture.lr is None else _decode(picture.lr)
    if lr.shape != (height, width, 3):
        raise ImageError(f"{picture.lr} has {lr.shape[1]}x{lr.shape[0]} pixels, not {width}x{height}.")
    return hr, lr


def shrink(hr: np.ndarray, *, scale: int) -> np.ndarray:
    """LR by antialiased bicubic: (sH, sW, 3) uint8 -> (H, W, 3) uint8."""
    height, width = (side // scale for side in hr.shape[:2])
    return resize_bicubic(Picture(hr), width, height).colour


def _decode(path: Path) -> np.ndarray:
    """A file's picture as (H, W, 3) uint8 RGB, whatever its depth; without its alpha channel."""
    try:
        colour = open_picture(path, limits=ANY_SIZE).colour
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    if colour.dtype == np.uint16:
        colour = np.rint(colour / 257).astype(np.uint8)
    return np.broadcast_to(colour, (*colour.shape[:2], 3))


class PictureStore:
    """Decoded pictures of some folders at one scale, mapped from a cache on disk. Build with `open_store`."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.scale: int = index["scale"]
        self.sizes = np.array(index["sizes"], dtype=np.int64)  # (N, 2): LR height and width
        self._ends = self.sizes.prod(axis=1).cumsum()  # in LR pixels
        # (pixels, 3) each, picture after picture
        self._hr = np.memmap(folder / "hr.raw", dtype=np.uint8, mode="r").reshape(-1, 3)
        self._lr = np.memmap(folder / "lr.raw", dtype=np.uint8, mode="r").reshape(-1, 3)

    def __len__(self) -> int:
        return len(self.sizes)

    def pair(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Picture ``number`` as (HR, LR), (sH, sW, 3) and (H, W, 3) uint8."""
        height, width = self.sizes[number]
        end = self._ends[number]
        start, area = end - height * width, self.scale**2
        hr = self._hr[start * area : end * area].reshape(height * self.scale, width * self.scale, 3)
        return hr, self._lr[start:end].reshape(height, width, 3)


class CropSampler:
    """Aligned random crops of a store, turned and mirrored.

    Pictures are drawn in proportion to their area and crops uniformly within them, so each pixel is as likely as any
    other; pictures with a side shorter than the crop are left out. Raises OptionError if that leaves none.
    """

    def __init__(self, store: PictureStore, *, crop: int, seed: int) -> None:
        self._store, self._crop, self._seed = store, crop, seed
        usable = (store.sizes >= crop).all(axis=1)
        if not usable.any():
            raise OptionError(f"No picture is large enough for crops of {crop * store.scale} pixels.")
        areas = np.where(usable, store.sizes.prod(axis=1), 0)
        self._shares = areas.cumsum() / areas.sum()

    def sample(self, step: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Crop ``index`` of a step: (HR, LR), (s·crop, s·crop, 3) and (crop, crop, 3) uint8."""
        random = np.random.default_rng((self._seed, step, index))
        number = int(np.searchsorted(self._shares, random.random(), side="right"))
        top, left = (int(random.integers(size - self._crop + 1)) for size in self._store.sizes[number])
        turns, mirrored = int(random.integers(4)), bool(random.integers(2))
        crops = []
        for pixels, scale in zip(self._store.pair(number), (self._store.scale, 1), strict=True):
            side = self._crop * scale
            crop = pixels[top * scale : top * scale + side, left * scale : left * scale + side]
            crop = np.rot90(crop, turns)
            crops.append(crop[:, ::-1] if mirrored else crop)
        return crops[0], crops[1]

    def batch(self, step: int, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Some crops of a step, stacked: (B, s·crop, s·crop, 3) and (B, crop, crop, 3) uint8."""
        samples = [self.sample(step, index) for index in indices]
        return np.stack([hr for hr, _ in samples]), np.stack([lr for _, lr in samples])


def open_store(folders: Sequence[Path], *, scale: int, cache: Path, progress: Progress = ignore) -> PictureStore:
    """The pictures of some folders, decoded into a folder of ``cache`` unless they already are.

    The cache is used as long as the files keep their names, sizes and times; it takes 3 bytes a pixel. Raises
    OptionError for an empty folder and ImageError for a file that cannot be read.
    """
    pictures = [picture for folder in folders for picture in find_pictures(folder, scale=scale)]
    target = cache / f"x{scale}-{_fingerprint(pictures)}"
    if not target.is_dir():
        building = target.with_name(f"{target.name}.{os.getpid()}")
        building.mkdir(parents=True)
        try:
            _build_store(pictures, scale, building, progress)
            building.rename(target)  # all or nothing
        except OSError:
            if not target.is_dir():  # otherwise another process was quicker with the same
                raise
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return PictureStore(target)


def _fingerprint(pictures: Sequence[PictureFile]) -> str:
    digest = hashlib.sha256()
    for path in (path for picture in pictures for path in (picture.hr, picture.lr) if path):
        stat = path.stat()
        digest.update(f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _build_store(pictures: Sequence[PictureFile], scale: int, folder: Path, progress: Progress) -> None:
    progress(0, len(pictures))
    sizes: list[tuple[int, int]] = []
    with (folder / "hr.raw").open("wb") as hr_file, (folder / "lr.raw").open("wb") as lr_file:
        for done, picture in enumerate(pictures, start=1):
            hr, lr = load_pair(picture, scale=scale)
            sizes.append((lr.shape[0], lr.shape[1]))
            hr_file.write(hr.tobytes())
            lr_file.write(lr.tobytes())
            progress(done, len(pictures))
    (folder / "index.json").write_text(json.dumps({"scale": scale, "sizes": sizes}), encoding="utf-8")


def validation_pairs(folder: Path, *, scale: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, HR, LR) of each picture of a folder in one of `find_pictures`' layouts."""
    for picture in find_pictures(folder, scale=scale):
        yield picture.hr.stem, *load_pair(picture, scale=scale)
