"""Enlarging a picture of whatever kind as the page does it: to the end, result, scores and all."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image

from hpinet.images import open_picture
from hpinet.images.formats import FORMATS
from hpinet.plan import TargetSize
from hpinet.ui.jobs.enlarge import Outcome, Wanted, enlarge
from hpinet.ui.jobs.running import StopFlag

PIXELS = np.stack([np.mgrid[:18, :24].sum(axis=0) * (4 + channel) for channel in range(3)], axis=2).astype(np.uint8)


def by_pillow(format: str, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, format, **options)
    return file.getvalue()


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, samples, photometric="minisblack", metadata=None, **options)
    return file.getvalue()


def heic() -> bytes:
    file = BytesIO()
    pillow_heif.from_bytes(mode="RGB", size=(24, 18), data=PIXELS.tobytes()).save(file)
    return file.getvalue()


GREY_AND_ALPHA = np.dstack((PIXELS[..., 0], PIXELS[..., 1])).astype(np.uint16) * 257
KINDS: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: by_pillow("PNG"),
    "JPEG": lambda: by_pillow("JPEG", quality=60),
    "WEBP": lambda: by_pillow("WEBP"),
    "TIFF": lambda: by_pillow("TIFF"),
    "AVIF": lambda: by_pillow("AVIF"),
    "HEIF": heic,
    "JXL": lambda: bytes(imagecodecs.jpegxl_encode(PIXELS, lossless=True)),
    "BMP": lambda: by_pillow("BMP"),
    "GIF": lambda: by_pillow("GIF"),
    "TIFF, deep grey and alpha": lambda: tiff(GREY_AND_ALPHA, planarconfig="contig", extrasamples=["unassalpha"]),
    "TIFF, floating point": lambda: tiff(PIXELS[..., 0] / np.float32(255)),
    "JXL, a packed JPEG": lambda: bytes(imagecodecs.jpegxl_encode_jpeg(by_pillow("JPEG"), usecontainer=True)),
}

WHOLE = by_pillow("JPEG", quality=60)
DAMAGED = {
    "no end": WHOLE[:-2],
    "a cut segment of Adobe": WHOLE[:2] + b"\xff\xee\0\7Adobe" + WHOLE[2:],
    "a cut segment of Photoshop": WHOLE[:2] + b"\xff\xed\0\x16Photoshop 3.0\x008BIM\4\4" + WHOLE[2:],
    "a profile of nothing": WHOLE[:2] + b"\xff\xe2\0\x0eICC_PROFILE\0" + WHOLE[2:],
}


@pytest.fixture(autouse=True)
def _own_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))


def enlarged(data: bytes, tmp_path: Path) -> Outcome:
    """What becomes of a file as it is uploaded."""
    source = tmp_path / "sent.bin"
    source.write_bytes(data)
    outcome = enlarge(
        source,
        Wanted("T", TargetSize(scale=2)),
        target=lambda _: tmp_path / "results" / "sent.png",
        stop=StopFlag.of(None, "upscale"),
    )
    result = open_picture(outcome.picture)
    assert (result.width, result.height) == (48, 36)
    return outcome


def test_there_is_a_file_of_every_format() -> None:
    assert {format.name for format in FORMATS} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_is_enlarged_to_the_end(kind: str, tmp_path: Path) -> None:
    outcome = enlarged(KINDS[kind](), tmp_path)
    assert (outcome.explained is not None) == (kind == "JPEG")


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_that_is_tolerated_on_opening_is_so_to_the_end(damage: str, tmp_path: Path) -> None:
    outcome = enlarged(DAMAGED[damage], tmp_path)
    assert outcome.notes
