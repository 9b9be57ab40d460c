"""The whole picture at once, in bounded memory: the streaming that all engines share.

What the network sees is the whole picture, as in `HPINet.forward`; nothing is tiled that the result could depend on.
What lies in memory is two feature maps of the picture (the one that patches are read from, and the one they are merged
into) plus a bounded working set: patches are transformed in chunks, the most similar patch is searched in blocks,
convolutions go band by band, and the upsampler runs in tiles that carry the few neighbouring pixels it can see. On a
CPU every core takes chunks and tiles of its own.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from math import ceil, sqrt

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpinet.engines.arithmetic import arithmetic, stage_arithmetic
from hpinet.engines.progress import WorkMeter
from hpinet.engines.workers import Workers
from hpinet.errors import is_of_memory, telling_of_memory
from hpinet.model import NOT_ITSELF, HPINet, HPINetConfig, pad_to_minimum, shuffle_larger
from hpinet.patches import PatchGrid, patch_grid
from hpinet.progress import Progress, ignore

CPU_CACHE_BYTES = 8 * 2**20  # tensors about this large stay in a CPU's cache between two operations
CPU_CHUNK_PIXELS = 6_144  # patch pixels a call on a CPU: more gains nothing and makes Stop slower
HALO = 2  # LR pixels around a tile that its upsampled pixels depend on
PARTS = ("matching", "gather", "transformer", "merge", "convolutions", "upsampler", "output")
PARTS_OF_WORKERS = ("gather", "transformer", "upsampler", "output")


class Engine(ABC):
    """Runs one model over whole pictures. A subclass says how a chunk of patches is transformed, and may say more.

    ``memory_mb`` bounds the working set beyond the two feature maps and the output; ``threads`` is for CPUs.
    """

    name: str  # one of `hpinet.settings.ENGINES`
    device: str  # where it runs, in words fit to show: "CPU", or the name of the GPU

    matching_weight = 3.0  # how much longer an operation of the search takes than one of a convolution

    def __init__(self, model: HPINet, *, memory_mb: int, threads: int = 1, torch_device: str = "cpu") -> None:
        self.model = model.eval().to(torch_device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.torch_device = torch.device(torch_device)
        self.memory_bytes = memory_mb * 2**20
        self.workers = Workers(threads if self.torch_device.type == "cpu" else 1)
        self._seconds_per_unit: float | None = None
        self._spans: list[tuple[str, float]] | None = None
        self._choices: list[Tensor] | None = None

    @property
    def scale(self) -> int:
        """How many times larger the result is along each side."""
        return self.config.scale

    @property
    def config(self) -> HPINetConfig:
        """The model's configuration."""
        return self.model.config

    @abstractmethod
    def transformer_weight(self, patch: int) -> float:
        """How much longer an operation of a stage's transformers takes than one of a convolution.

        With `matching_weight` it makes progress proportional to time, so that an ETA means something.
        """

    @abstractmethod
    def transform(self, stage: int, patches: Tensor, references: Tensor) -> Tensor:
        """What `PatchTransformer.forward` computes: (N, p², C) patches and references -> (N, p², C)."""

    def precision(self) -> AbstractContextManager[object]:
        """Context of all arithmetic but matching, which is always float32."""
        return nullcontext()

    @torch.inference_mode()
    def upscale(self, pixels: np.ndarray, *, progress: Progress = ignore) -> np.ndarray:
        """(H, W, 3) RGB -> (sH, sW, 3), same dtype.

        uint8 and uint16 span their whole range and are rounded to nearest; float32 is in [0, 1] and clamped to it.
        Where the machine refuses memory, the picture is begun again with a quarter of the working set.

        Raises:
            ValueError: the shape or dtype is another.
            MemoryShortageError: memory is refused again.
            Whatever ``progress`` raises.
        """
        try:
            return self._upscale(pixels, progress)
        except (MemoryError, RuntimeError) as error:
            if not is_of_memory(error):
                raise
        smaller = copy(self)  # others may be using this one meanwhile
        smaller.memory_bytes //= 4
        with telling_of_memory():
            result = smaller._upscale(pixels, progress)
        self._seconds_per_unit = smaller._seconds_per_unit
        return result

    def _upscale(self, pixels: np.ndarray, progress: Progress) -> np.ndarray:
        lr = self._to_tensor(pixels)
        height, width = lr.shape[:2]
        lr = pad_to_minimum(lr.permute(2, 0, 1)[None], self.config.minimum_size)[0].permute(1, 2, 0).contiguous()
        self.workers.use_all_cores()
        work = WorkMeter(progress, self._units(*lr.shape[:2]))

        features = self._first(lr, work)
        merged = torch.empty_like(features)
        for stage in range(len(self.config.patch_sizes)):
            self._integrate(stage, features, merged, work)
        del merged
        result = np.empty((self.scale * height, self.scale * width, 3), pixels.dtype)
        self._reconstruct(features, lr, result, work)
        work.finish()
        self._seconds_per_unit = work.seconds_per_unit
        return result

    def estimate_seconds(self, height: int, width: int) -> float:
        """Seconds that `upscale` would take here for a picture of this size; measures a small one the first time."""
        if self._seconds_per_unit is None:
            probe = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
            self.upscale(probe[:48, :48])  # caches warm up
            self.upscale(probe)
        assert self._seconds_per_unit is not None
        return self._seconds_per_unit * self._units(height, width)

    @contextmanager
    def breakdown(self) -> Iterator[dict[str, float]]:
        """Fills, as the context ends, the seconds spent on each part of the work: of one worker, on average.

        For CPUs: a GPU works on its own time.
        """
        seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self._spans = []
        try:
            yield seconds
        finally:
            for name, span in self._spans:
                seconds[name] += span / (self.workers.count if name in PARTS_OF_WORKERS else 1)
            self._spans = None

    @contextmanager
    def choices(self) -> Iterator[list[Tensor]]:
        """Collects (L,) int64 for every stage that runs inside: the number of the reference patch of each patch."""
        self._choices = []
        try:
            yield self._choices
        finally:
            self._choices = None

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self._spans is not None:
            self._spans.append((name, time.perf_counter() - start))

    def _units(self, height: int, width: int) -> float:
        """Work of a picture: operations, weighted by how slow they are."""
        height, width = (max(side, self.config.minimum_size) for side in (height, width))  # padded to it
        parts = arithmetic(self.config, height, width)
        stages = range(len(self.config.patch_sizes))
        return parts.convolutions + parts.upsampler + sum(sum(self._stage_units(n, height, width)) for n in stages)

    def _stage_units(self, stage: int, height: int, width: int) -> tuple[float, float]:
        """(matching, transformer) part of it in one stage."""
        matching, transformer = stage_arithmetic(self.config, stage, height, width)
        return self.matching_weight * matching, self.transformer_weight(self.config.patch_sizes[stage]) * transformer

    def _to_tensor(self, pixels: np.ndarray) -> Tensor:
        """(H, W, 3) of uint8, uint16 or float32 -> float32 in [0, 1] on the device."""
        if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise ValueError(f"Expected RGB pixels (H, W, 3), not an array of shape {pixels.shape}.")
        if pixels.dtype not in (np.uint8, np.uint16, np.float32):
            raise ValueError(f"Expected uint8, uint16 or float32 pixels, not {pixels.dtype}.")
        full = 1.0 if pixels.dtype == np.float32 else float(np.iinfo(pixels.dtype).max)
        return torch.from_numpy(pixels.astype(np.float32)).to(self.torch_device).div_(full)

    def _first(self, lr: Tensor, work: WorkMeter) -> Tensor:
        """(H, W, 3) -> feature map (H, W, C). Maps keep their channels last: a pixel's features lie side by side."""
        features = lr.new_empty(*lr.shape[:2], self.config.dim)
        for rows in self._bands(*lr.shape[:2]):
            with self._part("convolutions"):
                features[rows] = self._convolve(self.model.first_conv, lr, rows)
            work.add(2.0 * 9 * 3 * self.config.dim * lr.shape[1] * (rows.stop - rows.start))
        return features

    def _integrate(self, stage: int, features: Tensor, merged: Tensor, work: WorkMeter) -> None:
        """One stage (`HPINet.integrate`) on a feature map (H, W, C), in place; ``merged`` is scratch of its shape."""
        height, width, dim = features.shape
        grid = patch_grid(height, width, self.config.patch_sizes[stage])
        matching, transformer = self._stage_units(stage, height, width)

        with self._part("matching"):
            best = self._match(stage, features, grid, lambda share: work.add(share * matching))
        if self._choices is not None:
            self._choices.append(best)

        pixels, sums = features.view(-1, dim), merged.view(-1, dim).zero_()
        offsets, origins = grid.offsets.to(features.device), grid.origins.to(features.device)

        def transform(chunk: slice) -> tuple[Tensor, Tensor]:
            with self._part("gather"):
                own = (origins[chunk, None] + offsets).flatten()
                other = (origins[best[chunk], None] + offsets).flatten()
                shape = (-1, grid.patch**2, dim)
                patches, references = pixels[own].view(shape), pixels[other].view(shape)
            with self._part("transformer"), self.precision():
                return own, self.transform(stage, patches, references)

        def merge(chunk: slice, result: tuple[Tensor, Tensor]) -> None:
            own, transformed = result
            with self._part("merge"):  # in the order of the patches: sums do not depend on who is quicker
                sums.index_add_(0, own, transformed.reshape(-1, dim).float())
            work.add(transformer * (chunk.stop - chunk.start) / grid.count)

        self.workers.each(self._chunks(grid), transform, merge)
        with self._part("merge"):
            for rows in self._bands(height, width):
                merged[rows] /= grid.coverage(rows).to(merged)[..., None]
        for rows in self._bands(height, width):
            with self._part("convolutions"):
                features[rows] += self._convolve(self.model.mid_convs[stage], merged, rows)
            work.add(2.0 * 9 * dim * dim * width * (rows.stop - rows.start))

    def _match(self, stage: int, features: Tensor, grid: PatchGrid, told: Callable[[float], None]) -> Tensor:
        """(L,) int64: the reference patch of each patch (`HPINet.refer`), from blocks of the similarity matrix.

        ``told`` hears what share of this is done more.
        """
        if grid.count == 1:
            told(1.0)
            return torch.zeros(1, dtype=torch.int64, device=features.device)
        descriptors = self.model.cross_match[stage].descriptors(features[None], grid)[0]  # (L, C)
        block = self._fitting(4 * grid.count)
        best = torch.empty(grid.count, dtype=torch.int64, device=features.device)
        for start in range(0, grid.count, block):
            similarity = descriptors[start : start + block] @ descriptors.T  # (block, L)
            similarity.diagonal(start).fill_(NOT_ITSELF)
            torch.argmax(similarity, 1, out=best[start : start + block])
            told(len(similarity) / grid.count)
        return best

    def _reconstruct(self, features: Tensor, lr: Tensor, result: np.ndarray, work: WorkMeter) -> None:
        """Upsamples tile by tile into ``result``, which is smaller than the map where the picture was padded."""
        height, width = result.shape[0] // self.scale, result.shape[1] // self.scale
        operations = arithmetic(self.config, *lr.shape[:2]).upsampler / (height * width)

        def reconstruct(tile: tuple[slice, slice]) -> None:
            with self._part("upsampler"), self.precision():
                detail = self._upsample(features, *tile)
            with self._part("output"):
                where = tuple(slice(self.scale * side.start, self.scale * side.stop) for side in tile)
                result[where] = _to_dtype(detail.float() + self._enlarge(lr, *tile), result.dtype)

        def count(tile: tuple[slice, slice], _: None) -> None:
            rows, columns = tile
            work.add(operations * (rows.stop - rows.start) * (columns.stop - columns.start))

        self.workers.each(self._tiles(height, width), reconstruct, count)

    def _upsample(self, features: Tensor, rows: slice, columns: slice) -> Tensor:
        """What `HPINet.upsample` gives inside a tile: (sh, sw, 3).

        Each convolution uses up one pixel of the halo at its own resolution; beyond the border of the map there are
        zeros at every level, as the padding of the whole-map convolutions has them.
        """
        tile, (top, left) = _with_halo(features, rows, columns, HALO)
        x = tile.permute(2, 0, 1)[None]
        height, width = features.shape[:2]
        for conv, factor in self.model.upsampling_steps:
            x = shuffle_larger(F.conv2d(x, conv.weight, conv.bias), factor)
            top, left, height, width = ((n * factor) for n in (top + 1, left + 1, height, width))
            _clear_outside(x, top, left, height, width)
        last = self.model.last_conv
        y0, x0 = self.scale * rows.start - 1 - top, self.scale * columns.start - 1 - left
        tall, wide = (self.scale * (side.stop - side.start) + 2 for side in (rows, columns))
        x = x[..., y0 : y0 + tall, x0 : x0 + wide]
        return F.conv2d(x, last.weight, last.bias)[0].permute(1, 2, 0)

    def _enlarge(self, lr: Tensor, rows: slice, columns: slice) -> Tensor:
        """What `HPINet.enlarge` gives inside a tile: (sh, sw, 3)."""
        y, x = max(0, rows.start - 1), max(0, columns.start - 1)
        tile = lr[y : rows.stop + 1, x : columns.stop + 1]
        enlarged = self.model.enlarge(tile.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
        y, x = self.scale * (rows.start - y), self.scale * (columns.start - x)
        return enlarged[y:, x:][: self.scale * (rows.stop - rows.start), : self.scale * (columns.stop - columns.start)]

    def _convolve(self, conv: nn.Module, source: Tensor, rows: slice) -> Tensor:
        """A whole-map 3x3 convolution of (H, W, Cin), of which the ``rows`` are computed: (h, W, Cout)."""
        assert isinstance(conv, nn.Conv2d)
        with self.precision():
            tile, _ = _with_halo(source, rows, slice(0, source.shape[1]), 1)
            return F.conv2d(tile.permute(2, 0, 1)[None], conv.weight, conv.bias)[0].permute(1, 2, 0)

    def _chunks(self, grid: PatchGrid) -> Iterator[slice]:
        """Patch numbers in chunks that fit the working set, equally long, and equally many for each worker."""
        pixel_bytes = 4 * (8 * self.config.dim + self.config.ffn_dim)
        most = self.memory_bytes // (2 * pixel_bytes * self.workers.count)
        if self.torch_device.type == "cpu":
            most = min(most, CPU_CHUNK_PIXELS)
        chunks = ceil(grid.count / max(1, most // grid.patch**2))
        yield from _slices(grid.count, ceil(chunks / self.workers.count) * self.workers.count)

    def _bands(self, height: int, width: int) -> Iterator[slice]:
        """Rows of a map in bands that fit the working set."""
        yield from _slices(height, ceil(height / self._fitting(2 * 4 * self.config.dim * width)))

    def _tiles(self, height: int, width: int) -> Iterator[tuple[slice, slice]]:
        """(rows, columns) of nearly square tiles whose largest tensor in the upsampler fits the working set."""
        resolution, largest = 1, 0
        for conv, factor in self.model.upsampling_steps:
            largest = resolution**2 * conv.out_channels
            resolution *= factor
        side = max(8, int(sqrt(self._fitting(4 * largest, self.workers.count))))
        for rows in _slices(height, ceil(height / side)):
            for columns in _slices(width, ceil(width / side)):
                yield rows, columns

    def _fitting(self, item_bytes: int, workers: int = 1) -> int:
        """How many items of a tensor fit each worker's share of the working set; at least one."""
        fitting = self.memory_bytes // (4 * workers)
        if self.torch_device.type == "cpu":
            fitting = min(fitting, CPU_CACHE_BYTES)
        return max(1, fitting // item_bytes)


def _slices(length: int, count: int) -> Iterator[slice]:
    """``length`` things in at most ``count`` slices, all but the last equally long."""
    size = ceil(length / count)
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def _with_halo(source: Tensor, rows: slice, columns: slice, halo: int) -> tuple[Tensor, tuple[int, int]]:
    """(H, W, C) -> the tile and ``halo`` pixels on each side, zeros beyond the border; and its top left corner."""
    height, width = source.shape[:2]
    top, bottom, left, right = rows.start - halo, rows.stop + halo, columns.start - halo, columns.stop + halo
    tile = source[max(0, top) : bottom, max(0, left) : right]
    padding = (0, 0, max(0, -left), max(0, right - width), max(0, -top), max(0, bottom - height))
    return (F.pad(tile, padding) if any(padding) else tile), (top, left)


def _clear_outside(x: Tensor, top: int, left: int, height: int, width: int) -> None:
    """Zeroes what of (1, C, h, w), whose corner is pixel (top, left), lies outside a ``height`` x ``width`` map."""
    x[..., : max(0, -top), :] = 0
    x[..., max(0, height - top) :, :] = 0
    x[..., : max(0, -left)] = 0
    x[..., max(0, width - left) :] = 0


def _to_dtype(tile: Tensor, dtype: np.dtype) -> np.ndarray:
    """Values around [0, 1] -> ``dtype``, clamped; integers over their full range, rounded to nearest."""
    tile = tile.clamp(0, 1)
    if dtype == np.float32:
        return tile.cpu().numpy()
    return (tile * float(np.iinfo(dtype).max)).round_().cpu().numpy().astype(dtype)
