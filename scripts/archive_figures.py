"""What a large archive costs beside the network: headers, manifest, bytes of results. See docs/cluster.md.

    python -m scripts.archive_figures [--lines 1000000]

It needs the extra `cluster`, and a quiet machine.
"""

import hashlib
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import psutil
import typer

from hpinet.cluster import manifest
from hpinet.cluster.manifest import Line, Manifest
from hpinet.cluster.order import Order
from hpinet.cluster.places import Place
from hpinet.images import Picture, encode_picture, open_picture, resize_bicubic
from hpinet.plan import TargetSize
from hpinet.upscaler import Upscaler
from scripts.prove_cluster import HALF_A_MEGAPIXEL

EXAMPLES = Path(__file__).parents[1] / "examples"


def headers() -> str:
    """Headers that one core looks at in a second."""
    order = Order.of("T", TargetSize(scale=4))
    picture = resize_bicubic(open_picture(EXAMPLES / "coffee.jpg"), *HALF_A_MEGAPIXEL)
    told = []
    for format in ("JPEG", "PNG", "TIFF"):
        data, count, began = encode_picture(picture, format), 0, time.perf_counter()
        while time.perf_counter() - began < 1:
            order.check(data, 10_000)
            count += 1
        told.append(f"{format} {count}")
    return f"headers of half a megapixel a second on one core: {', '.join(told)}"


def results() -> str:
    """Bytes of the result of half a megapixel, ×4, and the time to encode it, by the pixels of a smaller one."""
    picture = open_picture(EXAMPLES / "coffee.jpg")
    small = Picture(picture.colour[100:300, 100:400])
    large = Upscaler.load("T", scale=4)(small)
    pixels = 16 * HALF_A_MEGAPIXEL[0] * HALF_A_MEGAPIXEL[1]
    told = []
    for format in ("PNG", "JPEG", "WEBP"):
        began = time.perf_counter()
        size = len(encode_picture(large, format)) / large.width / large.height
        seconds = (time.perf_counter() - began) / large.width / large.height
        told.append(f"{format} {size * pixels / 1e6:.1f} MB in {seconds * pixels:.1f} s")
    return f"results of {pixels / 1e6:.0f} megapixels: {', '.join(told)}"


def lines(count: int) -> str:
    """What a manifest of so many lines takes."""
    with TemporaryDirectory() as folder:
        kept = Manifest(Place.of(folder))
        began = time.perf_counter()
        for number in range(count):
            name = f"{number // 1000:04}/{number:07}.png"
            digest = hashlib.sha256(name.encode()).hexdigest()
            kept.add(Line(name, digest, 400_000, 816, 612, name, "hpinet-t-x4", "auto", "0" * 16, 28.9, "done"))
        noted = time.perf_counter() - began
        parts = len(list((Path(folder) / manifest.PARTS).iterdir()))
        began = time.perf_counter()
        kept.compact()
        compacted = time.perf_counter() - began
        began = time.perf_counter()
        done = len(kept.done("0" * 16))
        read = time.perf_counter() - began
        size = (Path(folder) / manifest.NAME).stat().st_size / 1e6
    memory = psutil.Process().memory_info().rss / 1e6
    return (
        f"manifest of {done:,} lines: noted in {noted:.0f} s, {parts} parts made one in {compacted:.0f} s, read in "
        f"{read:.1f} s, {size:.0f} MB; {memory:.0f} MB of memory"
    )


def main(*, count: Annotated[int, typer.Option("--lines", help="Of the manifest.")] = 1_000_000) -> None:
    """Print the figures."""
    print(headers(), results(), lines(count), sep="\n")


if __name__ == "__main__":
    typer.run(main)
