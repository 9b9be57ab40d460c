"""Picture files cut, flipped and stuffed: each opens or is refused in our words, in bounded time and memory.

python -m scripts.hostile --count 300 --seed 0
"""

import argparse
import multiprocessing
import random
import resource
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from hpinet.errors import ImageError
from hpinet.images import Picture, encode_picture, open_picture

MOST_SECONDS, MOST_MB = 10.0, 1500.0
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True)
class Verdict:
    """What came of a file."""

    kind: str  # opened, refused, or what is wrong
    seconds: float
    peak_mb: float  # of the process, with all files before


def specimens() -> dict[str, bytes]:
    """A small file of each kind, with metadata, profile and alpha where there is a place for them."""
    import imagecodecs  # noqa: PLC0415
    import pillow_heif  # noqa: PLC0415

    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 4)).astype(np.uint8)
    pixels[:20] = np.linspace(0, 255, 56).astype(np.uint8)[None, :, None]
    profile, tags = imagecodecs.cms_profile("adobergb"), Image.Exif()
    tags[271], tags[274] = "Maker", 6
    said = {"icc_profile": profile, "exif": tags.tobytes(), "xmp": b"<x/>"}
    files = {
        "PNG": _by_pillow(pixels, "PNG", icc_profile=profile, exif=tags.tobytes()),
        "PNG 16": encode_picture(Picture(pixels[..., :3].astype(np.uint16) * 257, None, profile)),
        "JPEG": _by_pillow(pixels[..., :3], "JPEG", **said),
        "WebP": _by_pillow(pixels, "WEBP", **said),
        "TIFF": _by_pillow(pixels, "TIFF", icc_profile=profile, compression="tiff_lzw"),
        "TIFF JPEG": _by_pillow(pixels[..., :3], "TIFF", compression="jpeg"),
        "TIFF 16": encode_picture(Picture(pixels[..., :3].astype(np.uint16) * 257, None, profile), "TIFF"),
        "GIF": _by_pillow(pixels[..., 0], "GIF"),
        "BMP": _by_pillow(pixels[..., :3], "BMP"),
        "AVIF": _by_pillow(pixels, "AVIF", **said),
        "AVIF 10": imagecodecs.avif_encode(pixels[..., :3].astype(np.uint16) * 4, level=90, bitspersample=10),
        "JPEG XL": imagecodecs.jpegxl_encode(pixels, lossless=True, usecontainer=True),
        "JPEG XL lossy": imagecodecs.jpegxl_encode(pixels, distance=1.0),
        "JPEG XL of a JPEG": imagecodecs.jpegxl_encode_jpeg(_by_pillow(pixels[..., :3], "JPEG"), usecontainer=True),
    }
    for name, mode, samples in (("HEIC", "RGBA", pixels), ("HEIC 10", "RGB;16", pixels[..., :3].astype("<u2") * 257)):
        file = BytesIO()
        made = pillow_heif.from_bytes(mode=mode, size=(56, 40), data=samples.tobytes())
        made.save(file, quality=90, exif=tags.tobytes(), icc_profile=profile)
        files[name] = file.getvalue()
    return {name: bytes(data) for name, data in files.items()}


def _by_pillow(pixels: np.ndarray, format: str, **options: object) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


# ------------------------------------------------------------------------------------------------------- damage


def _cut(data: bytearray, chance: random.Random) -> bytearray:
    return data[: chance.randrange(len(data))]


def _flip(data: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.randint(1, 12)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data


def _stuff(data: bytearray, chance: random.Random) -> bytearray:
    at, size = chance.randrange(len(data)), chance.choice((1, 4, 64, 5000))
    data[at:at] = chance.choice((bytes(size), b"\xff" * size, chance.randbytes(size), bytes(data[:size])))
    return data


def _overwrite(data: bytearray, chance: random.Random) -> bytearray:
    at, size = chance.randrange(len(data)), chance.choice((2, 8, 64))
    data[at : at + size] = chance.choice((bytes(size), b"\xff" * size, chance.randbytes(size)))
    return data


def _lie(data: bytearray, chance: random.Random) -> bytearray:
    """Another number in the header."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(min(len(data) - 4, 400))
        format = chance.choice((">I", "<I", ">H", "<H", "B"))
        struct.pack_into(format, data, at, chance.choice(NUMBERS) & (256 ** struct.calcsize(format) - 1))
    return data


DAMAGES: tuple[Callable[[bytearray, random.Random], bytearray], ...] = (_cut, _flip, _stuff, _overwrite, _lie, _lie)


def damaged(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """``count`` damaged files of each kind."""
    for name, data in specimens().items():
        chance = random.Random(f"{seed} {name}")
        for _ in range(count):
            yield name, bytes(chance.choice(DAMAGES)(bytearray(data), chance))


# ------------------------------------------------------------------------------------------------------ judging


def judge(data: bytes) -> Verdict:
    """Opens a file."""
    began, highest = time.perf_counter(), _highest_mb()
    try:
        open_picture(data)
        kind = "opened"
    except ImageError as error:
        kind = "refused" if str(error).endswith(".") else f"odd words: {error}"
    except BaseException as error:
        kind = f"foreign error: {error!r}"
    seconds = time.perf_counter() - began
    peak = _highest_mb()
    # What came before may have needed more: then nothing is to be said of this file.
    if kind in ("opened", "refused") and (seconds > MOST_SECONDS or highest < peak > MOST_MB):
        kind = f"{seconds:.1f} s, {peak:.0f} MB"
    return Verdict(kind, seconds, peak)


def _highest_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def run(count: int, seed: int = 0) -> tuple[Counter[tuple[str, str]], list[tuple[str, bytes, str]], float, float]:
    """Counts by kind of file and verdict, what went wrong with the files, the longest time, the highest memory."""
    counts: Counter[tuple[str, str]] = Counter()
    wrong: list[tuple[str, bytes, str]] = []
    slowest = peak = 0.0
    pool = _pool()
    for name, data in damaged(count, seed):
        try:
            verdict = pool.submit(judge, data).result()
        except BrokenProcessPool:
            verdict, pool = Verdict("crash", 0, 0), _pool()
        slowest, peak = max(slowest, verdict.seconds), max(peak, verdict.peak_mb)
        is_fine = verdict.kind in ("opened", "refused")
        counts[name, verdict.kind if is_fine else "wrong"] += 1
        if not is_fine:
            wrong.append((name, data, verdict.kind))
            pool.shutdown()
            pool = _pool()  # whose memory tells of the next file again
    pool.shutdown()
    return counts, wrong, slowest, peak


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="files of each kind")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    counts, wrong, slowest, peak = run(chosen.count, chosen.seed)
    for name in dict.fromkeys(name for name, _ in counts):
        print(f"{name:20}", *(f"{counts[name, kind]:6} {kind}" for kind in ("opened", "refused", "wrong")))
    print(f"{sum(counts.values())} files, {len(wrong)} wrong; longest {slowest:.2f} s, peak memory {peak:.0f} MB")
    for name, _, kind in wrong[:20]:
        print(f"{name}: {kind}")


if __name__ == "__main__":
    main()
