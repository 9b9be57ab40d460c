"""Planning an enlargement: cascades of native passes and the reduction after them."""

import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpinet.checkpoints.registry import native_scales
from hpinet.errors import MemoryShortageError, OptionError
from hpinet.images import Picture, resize_bicubic
from hpinet.plan import MAX_SCALE, Plan, Size, TargetSize, make_plan, run_plan
from hpinet.progress import Progress, ignore
from hpinet.treatment import Treatment

ALL = (2, 3, 4)


@pytest.mark.parametrize(
    ("scale", "natives", "passes"),
    [
        (2, ALL, (2,)),
        (3, ALL, (3,)),
        (4, ALL, (4,)),
        (8, ALL, (2, 4)),  # the smaller step first: the second pass has less to do
        (16, ALL, (4, 4)),
        (6, ALL, (2, 3)),
        (5, ALL, (2, 3)),  # then reduced
        (2, (4,), (4,)),
        (8, (4,), (4, 4)),
        (16, (4,), (4, 4)),
        (16, (2,), (2, 2, 2, 2)),
    ],
)
def test_cheapest_cascade(scale: int, natives: tuple[int, ...], passes: tuple[int, ...]) -> None:
    plan = make_plan((10, 7), TargetSize(scale=scale), natives=natives)
    assert plan.passes == passes
    assert plan.target == (10 * scale, 7 * scale)
    assert plan.is_reduced == (math.prod(passes) != scale)


@pytest.mark.parametrize("natives", [chosen for count in (1, 2, 3) for chosen in combinations(ALL, count)])
def test_no_cascade_is_cheaper(natives: tuple[int, ...]) -> None:
    """Of all that there are, longer ones than could be of use among them."""
    every = [passes for length in range(1, 6) for passes in product(natives, repeat=length)]

    def cost(passes: tuple[int, ...]) -> tuple[int, int, int]:
        inputs = [math.prod(passes[:number]) ** 2 for number in range(len(passes))]
        return math.prod(passes), len(passes), 70 * sum(inputs)

    for scale in range(2, MAX_SCALE + 1):
        found = make_plan((10, 7), TargetSize(scale=scale), natives=natives).passes
        assert found == min((passes for passes in every if math.prod(passes) >= scale), key=cost)


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    factor=st.floats(1.01, 15.9),
    natives=st.sets(st.sampled_from(ALL), min_size=1),
    by_width=st.booleans(),
)
def test_sizes_in_pixels(width: int, height: int, factor: float, natives: set[int], by_width: bool) -> None:
    side = width if by_width else max(width, height)
    wanted = max(side + 1, int(side * factor))
    request = TargetSize(width=wanted) if by_width else TargetSize(longest_side=wanted)
    sizes = request.size(width, height)
    if max(sizes[0] / width, sizes[1] / height) > MAX_SCALE:  # rounding a side of a few pixels up
        return
    plan = make_plan((width, height), request, natives=natives)
    assert wanted == (plan.target[0] if by_width else max(plan.target))
    assert abs(plan.target[0] / width - plan.target[1] / height) <= 1 / min(width, height)
    assert set(plan.passes) <= natives
    assert plan.reached[0] >= plan.target[0]
    assert plan.reached[1] >= plan.target[1]
    assert plan.inputs[0] == (width, height)


@pytest.mark.parametrize("fields", [{}, {"scale": 1}, {"scale": 17}, {"scale": 4, "width": 9}, {"width": 0}])
def test_senseless_requests(fields: dict[str, int]) -> None:
    with pytest.raises(OptionError):
        TargetSize(**fields)


@pytest.mark.parametrize("field", ["width", "longest_side"])
def test_sizes_beyond_all_numbers(field: str) -> None:
    with pytest.raises(OptionError, match="at most 1,000,000,000"):
        make_plan((100, 50), TargetSize(**{field: 10**400}), natives=ALL)
    with pytest.raises(OptionError, match="16 times"):
        make_plan((100, 50), TargetSize(**{field: 10**9}), natives=ALL)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (TargetSize(longest_side=100), "not larger"),
        (TargetSize(width=99), "not larger"),
        (TargetSize(longest_side=1601), "16 times"),
    ],
)
def test_sizes_out_of_reach(request_: TargetSize, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        make_plan((100, 50), request_, natives=ALL)


def test_a_model_without_scales() -> None:
    with pytest.raises(OptionError, match="does not exist"):
        make_plan((100, 50), TargetSize(scale=2), natives=())


def test_every_pass_keeps_to_the_limit_of_inputs() -> None:
    make_plan((5000, 4000), TargetSize(scale=4), natives=ALL)
    with pytest.raises(OptionError, match="too large"):
        make_plan((5000, 4000), TargetSize(scale=8), natives=ALL)


def test_scales_that_a_model_exists_for() -> None:
    assert 4 in native_scales("T")
    assert native_scales("t") == native_scales("T")
    assert set(native_scales("M")) >= {2, 3, 4}
    assert native_scales("hpinet-t") == native_scales("HPINet-T") == native_scales("T")
    assert native_scales("hpinet-t-x4") == native_scales("t-x4") == (4,)
    with pytest.raises(OptionError):
        native_scales("Z")


class Nearest:
    """Enlarges by repeating pixels, so that the result of a cascade is known."""

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self.treatments: list[str] = []

    def __call__(self, image: Picture, *, treatment: Treatment = "clean", progress: Progress = ignore) -> Picture:
        self.treatments.append(treatment)
        for done in range(3):
            progress(done, 2)
        return Picture(image.colour.repeat(self.scale, 0).repeat(self.scale, 1))


def test_running_a_cascade_and_its_progress() -> None:
    picture = Picture.from_array(np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8))
    told: list[tuple[int, int]] = []
    plan = make_plan((6, 5), TargetSize(scale=8), natives=(2, 4))
    result = run_plan(picture, plan, Nearest, progress=lambda done, total: told.append((done, total)))
    assert np.array_equal(result.colour, picture.colour.repeat(8, 0).repeat(8, 1))
    assert told[0][0] == 0
    assert told[-1] == (30 + 120, 30 + 120)
    assert told == sorted(told)


def test_reduction_after_the_passes() -> None:
    picture = Picture.from_array(np.random.default_rng(0).integers(0, 256, (5, 6), np.uint8))
    plan = make_plan((6, 5), TargetSize(longest_side=20), natives=(4,))
    result = run_plan(picture, plan, Nearest)
    assert (result.width, result.height) == plan.target == (20, 17)
    enlarged = Nearest(4)(picture)
    assert np.array_equal(result.colour, resize_bicubic(enlarged, 20, 17).colour)


REFUSALS = [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")]


@pytest.mark.parametrize("error", REFUSALS, ids=["Python", "PyTorch"])
@pytest.mark.parametrize("step", ["pass", "reduction"])
def test_refused_memory_is_told_in_our_words(monkeypatch: pytest.MonkeyPatch, step: str, error: Exception) -> None:
    def refuse(*_: object, **__: object) -> Picture:
        raise error

    monkeypatch.setattr("hpinet.plan.resize_bicubic", refuse)
    plan = make_plan((6, 5), TargetSize(longest_side=20), natives=(4,))
    with pytest.raises(MemoryShortageError, match="not enough memory left"):
        run_plan(Picture(np.zeros((5, 6, 3), np.uint8)), plan, Nearest if step == "reduction" else lambda _: refuse)


def test_other_errors_of_a_pass_stay_what_they_are() -> None:
    def broken(*_: object, **__: object) -> Picture:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        run_plan(Picture(np.zeros((5, 6, 3), np.uint8)), Plan((6, 5), (12, 10), (2,)), lambda _: broken)


def test_a_plan_knows_the_input_of_every_pass() -> None:
    plan = Plan((10, 20), (160, 320), (4, 4))
    assert plan.inputs == [(10, 20), (40, 80)]
    assert plan.reached == (160, 320)


def test_only_the_first_pass_treats() -> None:
    picture = Picture.from_array(np.zeros((2, 3, 3), np.uint8))
    passes = {scale: Nearest(scale) for scale in (2, 3)}
    plan = make_plan((3, 2), TargetSize(scale=6), natives={2, 3})
    run_plan(picture, plan, passes.__getitem__, treatment="photo")
    assert [passes[scale].treatments for scale in plan.passes] == [["photo"], ["clean"]]


@pytest.mark.parametrize(
    ("source", "target", "scale"),
    [
        ((20, 10), (80, 40), 4),
        ((20, 10), (50, 25), None),  # no whole number
        ((20, 10), (80, 41), None),
        ((3, 2), (6, 6), None),  # two of them
        ((1, 1), (16, 16), 16),
    ],
)
def test_a_size_that_is_a_scale(source: Size, target: Size, scale: int | None) -> None:
    assert Plan(source, target, (4,)).scale == scale
