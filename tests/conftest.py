"""Fixtures of every test."""

import os
from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    """Small tensors gain nothing from many threads, and two cores are all that CI has."""
    torch.set_num_threads(min(2, os.cpu_count() or 1))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder beside the project with benchmark data and published weights; its tests skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared with benchmark data and published weights")
    return SHARED
