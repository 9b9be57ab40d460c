"""Matched patches against a search by brute force; hooks that leave no trace."""

import math
import threading

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hpinet.attribution.matches import matched_patches, record_matches, without_global_access
from hpinet.model import HPINet
from hpinet.patches import PatchGrid


def features_of_stages(model: HPINet, picture: Tensor) -> list[Tensor]:
    """What each stage gets to match, (1, H, W, C) each."""
    seen: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor, PatchGrid]) -> None:
        seen.append(inputs[0])

    hooks = [matcher.register_forward_pre_hook(keep) for matcher in model.cross_match]
    with torch.no_grad():
        model(picture)
    for hook in hooks:
        hook.remove()
    return seen


def test_matched_patches_are_those_of_a_search_by_brute_force(untrained: HPINet, noise: Tensor) -> None:
    stages, output = matched_patches(untrained, noise)
    with torch.no_grad():
        assert torch.equal(output, untrained(noise))
    assert [stage.stage for stage in stages] == [1, 2, 3]
    for stage, features, matcher in zip(
        stages, features_of_stages(untrained, noise), untrained.cross_match, strict=True
    ):
        grid = stage.grid
        descriptors = []
        for number in range(grid.count):
            left, top, right, bottom = grid.box(number)
            mean = features[0, top:bottom, left:right].mean((0, 1))
            descriptors.append(matcher.norm(mean).detach().double().numpy())  # pyright: ignore
        for number, mine in enumerate(descriptors):
            similarity = [float(mine @ other) / math.sqrt(len(mine)) for other in descriptors]
            similarity[number] = -math.inf
            second, first = np.argsort(similarity)[-2:]
            assert stage.reference[number] == first
            assert stage.similarity[number] == pytest.approx(similarity[first], abs=1e-5)
            assert stage.margin[number] == pytest.approx(similarity[first] - similarity[second], abs=1e-5)


def test_of_equal_patches_it_is_the_one_that_the_network_takes(untrained: HPINet) -> None:
    """Pages and patterns are full of them."""
    pattern = torch.zeros(1, 3, 40, 60)
    pattern[..., ::10, :] = 1
    stages, _ = matched_patches(untrained, pattern)
    features = features_of_stages(untrained, pattern)
    for stage, seen, matcher in zip(stages, features, untrained.cross_match, strict=True):
        with torch.no_grad():
            similarity = matcher(seen, stage.grid)[0]
        assert (similarity == similarity.max(-1, keepdim=True).values).sum() > len(similarity)  # there are ties
        assert stage.reference.tolist() == similarity.argmax(-1).tolist()


def test_distances_are_between_patches_and_their_references(untrained: HPINet, noise: Tensor) -> None:
    for stage in matched_patches(untrained, noise)[0]:
        for number, distance in enumerate(stage.distances):
            match = stage.of(number)
            assert distance == pytest.approx(match.distance)
            assert distance > 0


def test_of_a_pixel_it_is_the_patch_around_it(untrained: HPINet, noise: Tensor) -> None:
    for stage in matched_patches(untrained, noise)[0]:
        for x, y in ((0, 0), (17, 20), (43, 39), (11, 30)):
            left, top, right, bottom = stage.at(x, y).box
            assert left <= x < right
            assert top <= y < bottom
        middle = stage.grid.box(0)
        assert stage.at((middle[0] + middle[2]) // 2, (middle[1] + middle[3]) // 2).box == middle


def test_repeats_find_each_other(untrained: HPINet) -> None:
    """A picture tiled from one cell, one of them different: every usual patch refers to one just like it."""
    cell = torch.rand(1, 3, 10, 10, generator=torch.Generator().manual_seed(8))
    picture = cell.repeat(1, 1, 6, 6)
    picture[..., 20:30, 20:30] = 0.5
    stage = matched_patches(untrained, picture)[0][0]  # patches of 12 with a step of 10: all start alike in a cell
    boxes = [stage.grid.box(number) for number in range(stage.grid.count)]
    untouched = [
        number
        for number, (left, top, right, bottom) in enumerate(boxes)
        # Its mean depends on one more pixel all around, through the first convolution; the border is padded with zeros.
        if not (left <= 30 and right >= 20 and top <= 30 and bottom >= 20)
        and min(left, top) > 0
        and max(right, bottom) < 60
    ]
    assert len(untouched) > 5
    for number in untouched:
        match = stage.of(number)
        (left, top, right, bottom), (from_x, from_y, to_x, to_y) = match.box, match.reference
        torch.testing.assert_close(picture[..., top:bottom, left:right], picture[..., from_y:to_y, from_x:to_x])


def test_small_pictures_have_one_patch_that_refers_to_itself(untrained: HPINet) -> None:
    stages, _ = matched_patches(untrained, torch.rand(1, 3, 9, 16))
    sixteen = stages[1]  # padded to 16x16: one patch of 16, four of 12
    assert sixteen.grid.count == 1
    assert sixteen.reference.tolist() == [0]
    assert np.isnan(sixteen.similarity).all()
    assert sixteen.distances.tolist() == [0]
    assert stages[0].grid.count == 4
    assert not np.isnan(stages[0].margin).any()


def test_of_two_patches_there_is_no_runner_up(untrained: HPINet) -> None:
    stages, _ = matched_patches(untrained, torch.rand(1, 3, 16, 20))
    assert stages[1].reference.tolist() == [1, 0]
    assert np.isnan(stages[1].margin).all()
    assert not np.isnan(stages[1].similarity).any()


def test_nothing_is_left_behind(untrained: HPINet, noise: Tensor) -> None:
    with torch.no_grad():
        before = untrained(noise)
        with pytest.raises(RuntimeError), record_matches(untrained), without_global_access(untrained):
            untrained(noise[:, :2])  # one channel is missing
        with record_matches(untrained):
            assert torch.equal(untrained(noise), before)
        assert all(not module._forward_hooks for module in untrained.modules())
        assert torch.equal(untrained(noise), before)


def test_without_global_access_every_patch_refers_to_itself(
    untrained: HPINet, noise: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.no_grad():
        usual = untrained(noise)
        with without_global_access(untrained):
            found = untrained(noise)
        monkeypatch.setattr(untrained, "refer", lambda _stage, _features, patches, _grid: patches)
        torch.testing.assert_close(found, untrained(noise))
    assert not torch.equal(found, usual)


def test_other_threads_notice_nothing(untrained: HPINet, noise: Tensor) -> None:
    with torch.no_grad():
        usual = untrained(noise)
    found: list[Tensor] = []

    def run() -> None:
        with torch.no_grad():
            found.append(untrained(noise))

    with record_matches(untrained) as recorded, without_global_access(untrained):
        other = threading.Thread(target=run)
        other.start()
        other.join()
    assert not recorded
    assert torch.equal(found[0], usual)
