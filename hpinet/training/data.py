"""Folders of pictures as training crops and validation pairs.

HR pictures are decoded once into flat arrays on disk that are then mapped into memory, beside their LR versions; a crop
is a slice of each. LR is Pillow's bicubic, which like MATLAB's `imresize` (the field's choice) widens its kernel when
it shrinks: on Set5 the two differ by 50 dB PSNR or more. Which crop is taken, and how it is degraded if the recipe says
so, is a pure function of (seed, step, index).

Half of all crops of photographs are sky and blur. So the error of bicubic enlargement is kept as well, cell by cell,
for detailed places to be drawn more often and to count for less in return.
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hpinet.errors import ImageError, OptionError
from hpinet.files import left_alone, open_named
from hpinet.images import Limits, Picture, resize_bicubic
from hpinet.progress import Progress, ignore
from hpinet.training.degradation import GRID, MARGIN, Degradation

FORMAT = 2  # of the cache
CELL = 8  # side in LR pixels of the squares whose bicubic error is known
DEGRADING = 2  # tells the random numbers of degradation from others of the same (seed, step, index)
_HELD_OUT = {"val", "valid", "validation", "test"}  # in the names of parts of a data set
ANY_SIZE = Limits(megapixels=1e4, megabytes=1e4)  # one's own data set is trusted


@dataclass(frozen=True)
class PictureFile:
    """A high-resolution picture and, where the data set has it, its low-resolution version."""

    hr: Path
    lr: Path | None


def find_pictures(folder: Path, *, scale: int) -> list[PictureFile]:
    """The pictures below a folder, sorted by path.

    Two layouts are known. The one of DIV2K, Flickr2K and the benchmarks: a folder ``*HR`` with ``0001.png`` beside
    ``*LR_bicubic/X4/0001x4.png``; ``folder`` is either the HR folder or its parent, of which parts for validation or
    tests are left out where there are others. Otherwise every picture anywhere below, none of which has an LR version.
    What is `hpinet.files.left_alone` counts in neither. Raises OptionError if there are none.
    """
    parts = [folder] if folder.name.endswith("HR") else sorted(p for p in folder.glob("*HR") if p.is_dir())
    parts = [part for part in parts if not _HELD_OUT.intersection(part.name.lower().split("_"))] or parts
    found = [_with_lr(hr, scale) for part in parts for hr in _picture_paths(part)]
    found = found or [PictureFile(hr, None) for hr in _picture_paths(folder)]
    if not found:
        raise OptionError(f"There are no pictures in {folder}.")
    return found


def _picture_paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not left_alone(path.relative_to(folder)) and path.is_file())


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


def bicubic_errors(hr: np.ndarray, lr: np.ndarray) -> np.ndarray:
    """How wrong bicubic enlargement is in each square of `CELL` LR pixels, cut off at the right and bottom border.

    (sH, sW, 3) and (H, W, 3) uint8 -> (⌈H/CELL⌉, ⌈W/CELL⌉) float32, mean squared differences in grey levels.
    """
    height, width = hr.shape[:2]
    enlarged = resize_bicubic(Picture(lr), width, height).colour
    squares = (enlarged.astype(np.float32) - hr) ** 2
    sums = squares.sum(axis=2)
    starts = [np.arange(0, size, CELL * (height // lr.shape[0])) for size in (height, width)]
    for axis in (0, 1):
        sums = np.add.reduceat(sums, starts[axis], axis)
    down, across = (np.diff(start, append=size) for start, size in zip(starts, (height, width), strict=True))
    return sums / (3 * down[:, None] * across)


def _cells(lengths: np.ndarray) -> np.ndarray:
    """How many squares of `CELL` cover each length, the last perhaps cut off."""
    return -(-lengths // CELL)


def _decode(path: Path) -> np.ndarray:
    """A file's picture as (H, W, 3) uint8 RGB, whatever its depth; without its alpha channel."""
    return open_named(path, limits=ANY_SIZE).to_8_bit_rgb()


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
        self._errors = np.load(folder / "errors.npy")  # one after the other, flat
        self._error_ends = _cells(self.sizes).prod(axis=1).cumsum()

    def __len__(self) -> int:
        return len(self.sizes)

    def pair(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Picture ``number`` as (HR, LR), (sH, sW, 3) and (H, W, 3) uint8."""
        height, width = self.sizes[number]
        end = self._ends[number]
        start, area = end - height * width, self.scale**2
        hr = self._hr[start * area : end * area].reshape(height * self.scale, width * self.scale, 3)
        return hr, self._lr[start:end].reshape(height, width, 3)

    def errors(self, number: int) -> np.ndarray:
        """`bicubic_errors` of picture ``number``."""
        rows, columns = _cells(self.sizes[number])
        end = self._error_ends[number]
        return self._errors[end - rows * columns : end].reshape(rows, columns)


class Crop(NamedTuple):
    """An aligned pair and how much it counts; or several, stacked along a first axis."""

    hr: np.ndarray  # (s·crop, s·crop, 3) uint8
    lr: np.ndarray  # (crop, crop, 3) uint8
    weight: np.ndarray  # () float32, 1 on average over even draws


class CropSampler:
    """Aligned random crops of a store, turned and mirrored.

    A crop is as likely as any other with ``importance`` 0. Otherwise it is drawn in proportion to its strength (the
    root mean square error of bicubic enlargement around it, in grey levels, plus 1) to this power, and its weight is
    the inverse: weighted means are those of even draws, and vary less if strong crops have larger gradients. Pictures
    with a side shorter than the crop are left out. Raises OptionError if that leaves none. A ``degradation`` spoils the
    LR crops, drawing from numbers of its own: which crops are taken does not change.
    """

    def __init__(
        self,
        store: PictureStore,
        *,
        crop: int,
        seed: int,
        importance: float = 0.0,
        degradation: Degradation | None = None,
    ) -> None:
        self._store, self._crop, self._seed, self._degradation = store, crop, seed, degradation
        places = store.sizes - crop + 1  # of a crop's top left pixel, down and across
        self._usable = np.flatnonzero((places > 0).all(axis=1))
        if not len(self._usable):
            raise OptionError(f"No picture is large enough for crops of {crop * store.scale} pixels.")
        self._places = places[self._usable]
        # Places are drawn in two steps, the second one even: a cell, then one of the places in it.
        cells = _cells(self._places)
        self._columns = cells[:, 1]
        self._first = np.append(0, cells.prod(axis=1).cumsum())  # cell of each picture
        areas, strengths = [], []
        for number, (down, across) in zip(self._usable.tolist(), self._places, strict=True):
            rows, columns = (np.diff(np.arange(0, size, CELL), append=size) for size in (down, across))
            errors = _window_means(store.errors(number), crop // CELL + 1)[: len(rows), : len(columns)]
            areas.append((rows[:, None] * columns).ravel())
            strengths.append((1 + np.sqrt(errors)).ravel() ** importance)
        area, strength = np.concatenate(areas), np.concatenate(strengths)
        self._shares = (area * strength).cumsum() / (area * strength).sum()
        self._weights = ((area * strength).sum() / area.sum() / strength).astype(np.float32)

    def sample(self, step: int, index: int) -> Crop:
        """Crop ``index`` of a step."""
        random = np.random.default_rng((self._seed, step, index))
        cell = int(np.searchsorted(self._shares, random.random(), side="right"))
        picture = int(np.searchsorted(self._first, cell, side="right")) - 1
        corner = divmod(cell - int(self._first[picture]), int(self._columns[picture]))
        top, left = (
            CELL * place + int(random.integers(min(CELL, places - CELL * place)))
            for place, places in zip(corner, self._places[picture], strict=True)
        )
        turns, mirrored = int(random.integers(4)), bool(random.integers(2))
        hr, lr = self._cut(self._usable[picture], top, left, (self._seed, step, index))
        hr, lr = (np.rot90(crop, turns) for crop in (hr, lr))
        hr, lr = (crop[:, ::-1] if mirrored else crop for crop in (hr, lr))
        return Crop(hr, lr, self._weights[cell])

    def _cut(self, picture: int, top: int, left: int, key: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """(HR, LR) at a place of a picture, LR degraded if it is to be, within its surroundings."""
        hr, lr = self._store.pair(picture)
        down, across = slice(top, top + self._crop), slice(left, left + self._crop)
        true = hr[self._enlarged(down), self._enlarged(across)]
        if self._degradation is None:
            return true, lr[down, across]
        around = [slice(max(0, part.start - MARGIN), part.stop + MARGIN) for part in (down, across)]
        offset = (min(top, GRID - 1), min(left, GRID - 1))
        surroundings = hr[self._enlarged(around[0]), self._enlarged(around[1])]
        random = np.random.default_rng((*key, DEGRADING))
        degraded = self._degradation.apply(lr[around[0], around[1]], surroundings, offset, random)
        inside = (
            slice(start - part.start, start - part.start + self._crop)
            for start, part in zip((top, left), around, strict=True)
        )
        return true, degraded[tuple(inside)]

    def _enlarged(self, part: slice) -> slice:
        return slice(part.start * self._store.scale, part.stop * self._store.scale)

    def batch(self, step: int, indices: Sequence[int]) -> Crop:
        """Some crops of a step, stacked."""
        samples = [self.sample(step, index) for index in indices]
        return Crop(*(np.stack(parts) for parts in zip(*samples, strict=True)))


def _window_means(values: np.ndarray, side: int) -> np.ndarray:
    """Mean of the square of ``side`` values that begins at each, as far as there are values; float64."""
    for axis, size in enumerate(values.shape):
        first = np.arange(size)
        end = np.minimum(first + side, size)
        sums = np.insert(values.astype(np.float64).cumsum(axis), 0, 0.0, axis)
        counts = np.expand_dims(end - first, 1 - axis)
        values = (sums.take(end, axis) - sums.take(first, axis)).clip(min=0) / counts
    return values


def open_store(folders: Sequence[Path], *, scale: int, cache: Path, progress: Progress = ignore) -> PictureStore:
    """The pictures of some folders, decoded into a folder of ``cache`` unless they already are.

    The cache is used as long as the files keep their names, sizes and times; it takes 3 bytes a pixel. Raises
    OptionError for an empty folder and ImageError for a file that cannot be read.
    """
    pictures = [picture for folder in folders for picture in find_pictures(folder, scale=scale)]
    target = cache / f"x{scale}-{FORMAT}-{_fingerprint(pictures)}"
    if not target.is_dir():
        building = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
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
    errors: list[np.ndarray] = []
    with (folder / "hr.raw").open("wb") as hr_file, (folder / "lr.raw").open("wb") as lr_file:
        for done, picture in enumerate(pictures, start=1):
            hr, lr = load_pair(picture, scale=scale)
            sizes.append((lr.shape[0], lr.shape[1]))
            hr_file.write(hr.tobytes())
            lr_file.write(lr.tobytes())
            errors.append(bicubic_errors(hr, lr).ravel())
            progress(done, len(pictures))
    np.save(folder / "errors.npy", np.concatenate(errors))
    (folder / "index.json").write_text(json.dumps({"scale": scale, "sizes": sizes}), encoding="utf-8")


def validation_pairs(folder: Path, *, scale: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, HR, LR) of each picture of a folder in one of `find_pictures`' layouts.

    Raises ImageError for one that cannot be read, or of which borders of ``scale`` pixels leave nothing to score.
    """
    for picture in find_pictures(folder, scale=scale):
        hr, lr = load_pair(picture, scale=scale)
        if min(hr.shape[:2]) <= 2 * scale:
            raise ImageError(f"{picture.hr} is too small to be scored at ×{scale}.")
        yield picture.hr.stem, hr, lr
