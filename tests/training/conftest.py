"""Fixtures of the training tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from tiny import picture


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with three pictures, none a multiple of the scale, one too small for the crops."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed, (width, height) in enumerate([(61, 47), (50, 80), (15, 90)]):
        picture(seed, width, height).save(folder / f"{seed}.png")
    return folder


@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    """One thread, since tensors this small are slower with more; and nothing left in Accelerate of the last run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    torch.set_num_threads(threads)
