"""Geometry of the patches: coverage, numbering, means."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hpinet.patches import OVERLAP, PatchGrid, patch_grid, patch_starts

PATCH = st.integers(3, 26)


@st.composite
def grids(draw: st.DrawFn) -> PatchGrid:
    patch = draw(PATCH)
    return PatchGrid(draw(st.integers(patch, 70)), draw(st.integers(patch, 70)), patch)


def test_starts_by_hand() -> None:
    assert patch_starts(12, 12) == [0]
    assert patch_starts(13, 12) == [0, 1]
    assert patch_starts(22, 12) == [0, 10]
    assert patch_starts(33, 12) == [0, 10, 20, 21]  # three patches overlap


@given(size=st.integers(3, 300), patch=PATCH)
def test_starts_cover_the_axis_to_its_ends(size: int, patch: int) -> None:
    if size < patch:
        with pytest.raises(ValueError, match="pad first"):
            patch_starts(size, patch)
        return
    starts = patch_starts(size, patch)
    assert starts[0] == 0
    assert starts[-1] == size - patch
    steps = [after - before for before, after in pairwise(starts)]
    assert all(step == patch - OVERLAP for step in steps[:-1])
    assert all(0 < step <= patch - OVERLAP for step in steps[-1:])


def test_a_patch_must_be_larger_than_the_overlap() -> None:
    with pytest.raises(ValueError, match="larger than the overlap"):
        patch_starts(10, OVERLAP)


@given(grid=grids())
def test_coverage_counts_the_patches_of_every_pixel(grid: PatchGrid) -> None:
    counted = torch.bincount(grid.indices().flatten(), minlength=grid.height * grid.width)
    assert torch.equal(grid.coverage().flatten(), counted)
    assert torch.equal(grid.coverage(slice(1, 3)), grid.coverage()[1:3])
    assert grid.coverage().min() >= 1


def test_grids_that_are_kept_hold_nothing_as_large_as_a_picture() -> None:
    grid = PatchGrid(1500, 2000, 12)
    for used in (grid.coverage(), grid.indices(slice(0, 2)), grid.means(torch.zeros(1, 1500, 2000, 1))):
        assert used.numel()
    held = [part for value in vars(grid).values() for part in (value if isinstance(value, tuple) else (value,))]
    numbers = sum(part.numel() for part in held if isinstance(part, torch.Tensor))
    assert 0 < numbers < 1500 * 2000 / 50


@given(grid=grids(), seed=st.integers(0, 1000))
def test_means_are_those_of_the_gathered_patches(grid: PatchGrid, seed: int) -> None:
    pixels = torch.randn(2, grid.height, grid.width, 3, generator=torch.Generator().manual_seed(seed)).double()
    patches = pixels.flatten(1, 2)[:, grid.indices()]  # (B, L, p², C)
    torch.testing.assert_close(grid.means(pixels), patches.mean(2), rtol=0, atol=1e-12)


@given(grid=grids(), data=st.data())
def test_boxes_indices_and_patches_at_agree(grid: PatchGrid, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, grid.count - 1))
    left, top, right, bottom = grid.box(number)
    picture = torch.arange(grid.height * grid.width).view(grid.height, grid.width)
    assert torch.equal(grid.indices()[number], picture[top:bottom, left:right].flatten())
    y, x = data.draw(st.integers(0, grid.height - 1)), data.draw(st.integers(0, grid.width - 1))
    containing = [n for n, pixels in enumerate(grid.indices().tolist()) if y * grid.width + x in pixels]
    assert grid.patches_at(y, x) == containing


def test_numbered_indices_are_rows_of_all() -> None:
    grid = patch_grid(40, 31, 12)
    chosen = torch.tensor([3, 0, 5])
    assert torch.equal(grid.indices(chosen), grid.indices()[chosen])
    assert torch.equal(grid.indices(slice(2, 6)), grid.indices()[2:6])


def test_grids_are_computed_once() -> None:
    assert patch_grid(41, 37, 16) is patch_grid(41, 37, 16)
