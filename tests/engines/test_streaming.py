"""What all engines promise: the network's own result at any size in any memory, rounded, reported and cancellable."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from networks import NEAR_TIE, MakeEngine, forward, narrowest_choice, network, picture, small_config

from hpinet.engines import Engine, create_engine
from hpinet.errors import Cancelled, MemoryShortageError
from hpinet.model import SCALES, HPINet, HPINetConfig

CLOSE = 1e-5
LEAST_MEMORY = 1  # MiB: small networks on pictures of 70 pixels need several rounds of everything

sides = st.integers(1, 40)
budgets = st.sampled_from([LEAST_MEMORY, 64])
scales = st.sampled_from(SCALES)
# Networks that nobody trained, with up to three stages.
configs = st.builds(
    small_config,
    scales,
    dim=st.sampled_from([4, 7, 8]),
    qk_dim=st.integers(1, 4),
    ffn_dim=st.integers(1, 12),
    patch_sizes=st.lists(st.integers(3, 10), min_size=1, max_size=3),
)
fewer = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_same(engine: Engine, model: HPINet, pixels: np.ndarray) -> None:
    """The engine's result is the network's."""
    np.testing.assert_allclose(engine.upscale(pixels), forward(model, pixels), rtol=0, atol=CLOSE)


# -------------------------------------------------------------------------------------------------------- parity


@given(config=configs, height=sides, width=sides, memory_mb=budgets, seed=st.integers(0, 99))
@settings(max_examples=60)
@example(small_config(4), 1, 1, LEAST_MEMORY, 0)
def test_torch_equals_forward_for_any_network_and_size(
    config: HPINetConfig, height: int, width: int, memory_mb: int, seed: int
) -> None:
    model, pixels = network(config, seed), picture(height, width, seed=seed)
    assume(narrowest_choice(model, pixels) > NEAR_TIE)
    assert_same(create_engine(model, name="torch", memory_mb=memory_mb), model, pixels)


@given(scale=scales, height=sides, width=sides, memory_mb=budgets, seed=st.integers(0, 99))
@fewer
@example(2, 1, 1, LEAST_MEMORY, 0)
@example(3, 1, 30, LEAST_MEMORY, 0)
@example(4, 8, 8, LEAST_MEMORY, 0)  # one patch of the largest size
@example(2, 9, 27, LEAST_MEMORY, 0)  # three patches overlap, in both stages
def test_openvino_equals_forward_for_any_size(  # noqa: PLR0917
    engine_of: MakeEngine, scale: int, height: int, width: int, memory_mb: int, seed: int
) -> None:
    engine = engine_of("openvino", scale, memory_mb)
    pixels = picture(height, width, seed=seed)
    assume(narrowest_choice(engine.model, pixels) > NEAR_TIE)
    assert_same(engine, engine.model, pixels)


@pytest.mark.parametrize("name", ["torch", "openvino"])
@pytest.mark.parametrize(("scale", "height", "width"), [(2, 76, 63), (3, 67, 80), (4, 95, 66)])
def test_equals_forward_when_memory_forces_many_rounds(
    engine_of: MakeEngine, name: str, scale: int, height: int, width: int
) -> None:
    little, plenty = engine_of(name, scale, LEAST_MEMORY), engine_of(name, scale, 1024)
    pictures = (picture(height, width, seed=seed) for seed in range(20))
    pixels = next(pixels for pixels in pictures if narrowest_choice(little.model, pixels) > NEAR_TIE)
    assert rounds(little, pixels) > 2 * rounds(plenty, pixels), "memory_mb has no effect: this test shows nothing"
    assert_same(little, little.model, pixels)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("variant_like", [(12, 16, 20, 24), (12, 14, 16, 20, 24)])
def test_equals_forward_with_the_published_patch_sizes(scale: int, variant_like: tuple[int, ...]) -> None:
    model, pixels = network(small_config(scale, patch_sizes=variant_like)), picture(47, 61)
    assert narrowest_choice(model, pixels) > NEAR_TIE
    assert_same(create_engine(model, name="torch", memory_mb=LEAST_MEMORY), model, pixels)


def test_a_plain_picture_stays_plain_inside(engine: Engine) -> None:
    """All patches are equally similar: which one is chosen must not matter."""
    pixels = np.full((40, 37, 3), 0.6, np.float32)
    np.testing.assert_allclose(engine.upscale(pixels), forward(engine.model, pixels), rtol=0, atol=CLOSE)


def test_views_and_read_only_arrays_are_taken_and_left_alone(engine: Engine) -> None:
    pixels = picture(20, 30)
    turned = np.rot90(pixels)[:, ::-1]
    turned.flags.writeable = False
    before = turned.copy()
    np.testing.assert_array_equal(engine.upscale(turned), engine.upscale(before))
    np.testing.assert_array_equal(turned, before)


def test_results_do_not_share_memory(engine: Engine) -> None:
    first = engine.upscale(picture(12, 12, seed=1))
    kept = first.copy()
    engine.upscale(picture(12, 12, seed=2))
    np.testing.assert_array_equal(first, kept)


# -------------------------------------------------------------------------------------------------------- dtypes


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_span_their_range_and_are_rounded_to_nearest(engine: Engine, dtype: type) -> None:
    pixels = picture(21, 34, dtype)
    top = np.iinfo(dtype).max
    result = engine.upscale(pixels)
    assert result.dtype == dtype
    exact = engine.upscale(pixels.astype(np.float32) / np.float32(top)) * np.float32(top)
    np.testing.assert_array_equal(result, np.rint(exact))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("bias", "expected"), [(9.0, 1.0), (-9.0, 0.0)])
def test_values_out_of_range_are_clamped(dtype: type, bias: float, expected: float) -> None:
    """Never wrapped around: 256 must not become 0."""
    model = network(small_config(2))
    torch.nn.init.constant_(model.last_conv.bias, bias)  # pyright: ignore[reportArgumentType]
    result = create_engine(model, name="torch", memory_mb=16).upscale(picture(9, 9, dtype))
    assert (result == expected * (1 if dtype is np.float32 else np.iinfo(dtype).max)).all()


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 4), (3, 8, 8), (1, 8, 8, 3), (0, 8, 3), (8, 0, 3)])
def test_other_shapes_are_refused(engine: Engine, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        engine.upscale(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int16, np.int32, bool])
def test_other_dtypes_are_refused(engine: Engine, dtype: type) -> None:
    with pytest.raises(ValueError, match=np.dtype(dtype).name):
        engine.upscale(np.zeros((8, 8, 3), dtype))


# ---------------------------------------------------------------------------------------------- progress and stop


def reports(engine: Engine, pixels: np.ndarray) -> list[tuple[int, int]]:
    """What the progress callback is told."""
    told: list[tuple[int, int]] = []
    engine.upscale(pixels, progress=lambda done, total: told.append((done, total)))
    return told


def rounds(engine: Engine, pixels: np.ndarray) -> int:
    """How many pieces of work were done."""
    return len(reports(engine, pixels))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 40), (60, 75)])
def test_progress_grows_from_nothing_to_all(engine: Engine, height: int, width: int) -> None:
    told = reports(engine, picture(height, width))
    done, totals = zip(*told, strict=True)
    assert len(set(totals)) == 1
    assert done[0] == 0
    assert done[-1] == totals[0] > 0
    assert list(done) == sorted(done)
    assert all(isinstance(number, int) for number in done + totals)
    assert done.count(totals[0]) == 1, "complete is said once, at the end"


def test_cancelling_works_at_every_report_and_leaves_the_engine_usable(engine: Engine) -> None:
    pixels = picture(30, 33)
    expected = engine.upscale(pixels)

    for last in range(rounds(engine, pixels)):
        count = 0

        def stop(done: int, total: int, last: int = last) -> None:
            nonlocal count
            if count == last:
                raise Cancelled
            count += 1

        with pytest.raises(Cancelled):
            engine.upscale(pixels, progress=stop)
        assert count == last
    np.testing.assert_array_equal(engine.upscale(pixels), expected)


# ---------------------------------------------------------------------------------------------------- estimates


def test_the_last_picture_tells_how_long_its_like_will_take(engine: Engine) -> None:
    pixels = picture(90, 110)
    engine.upscale(pixels)
    start = time.perf_counter()
    engine.upscale(pixels)
    assert engine.estimate_seconds(90, 110) == pytest.approx(time.perf_counter() - start, rel=0.5)


def test_an_estimate_needs_no_picture_before(engine: Engine) -> None:
    """Within a factor of five, which leaves room for a machine that is busy with something else now and then."""
    fresh = create_engine(engine.model, name=engine.name, memory_mb=64)
    estimate = fresh.estimate_seconds(150, 170)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        fresh.upscale(picture(150, 170))
        seconds.append(time.perf_counter() - start)
    assert min(seconds) / 5 < estimate < max(seconds) * 5


def test_pictures_smaller_than_a_patch_have_an_estimate(engine: Engine) -> None:
    assert 0 < engine.estimate_seconds(1, 3) <= engine.estimate_seconds(8, 8)


def test_estimates_grow_with_the_picture(engine: Engine) -> None:
    engine.upscale(picture(40, 40))
    small, wide, large = (engine.estimate_seconds(*size) for size in [(64, 64), (64, 128), (256, 256)])
    assert 0 < small < wide < large
    assert 10 < large / small < 100, "16 times the pixels, and the search for similar patches grows faster"


# ------------------------------------------------------------------------------------------------- memory refused


def refusing(engine: Engine, monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> list[int]:
    """Lets the first stages fail, one after the other; returns what the working set was whenever one began."""
    seen, left, run = [], list(errors), type(engine)._integrate

    def integrate(running: Engine, *arguments: object) -> None:
        seen.append(running.memory_bytes)
        if left:
            raise left.pop(0)
        run(running, *arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(type(engine), "_integrate", integrate)
    return seen


NO_MEMORY = RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")


REFUSALS = {
    "torch": NO_MEMORY,
    "numpy": MemoryError(),
    "onednn": RuntimeError("could not create a primitive"),
    "openvino": RuntimeError("Exception from src/core: Failed to allocate 1327104 bytes of memory"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_refused_once_a_smaller_working_set_is_tried(refusal: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine(network(small_config(2)), name="torch", memory_mb=64)
    expected = engine.upscale(picture(30, 40))
    seen = refusing(engine, monkeypatch, refusal)
    assert np.array_equal(engine.upscale(picture(30, 40)), expected)
    assert seen[:2] == [64 * 2**20, 16 * 2**20]
    assert engine.memory_bytes == 64 * 2**20


def test_a_refusal_while_the_speed_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine(network(small_config(2)), name="torch", memory_mb=64)
    refusing(engine, monkeypatch, NO_MEMORY)
    assert engine.estimate_seconds(100, 100) > 0


def test_others_are_not_slowed_down_by_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine(network(small_config(2)), name="torch", memory_mb=64)
    seen = refusing(engine, monkeypatch, NO_MEMORY, NO_MEMORY)
    both_begun = threading.Barrier(2)

    def progress(done: int, _: int) -> None:
        if not done:
            both_begun.wait(20)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: engine.upscale(picture(30, 40), progress=progress), range(2)))
    assert np.array_equal(results[0], results[1])
    assert set(seen) == {64 * 2**20, 16 * 2**20}
    assert engine.memory_bytes == 64 * 2**20


def test_refused_twice_it_is_said_and_the_next_picture_works(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine(network(small_config(2)), name="torch", memory_mb=64)
    refusing(engine, monkeypatch, NO_MEMORY, MemoryError())
    with pytest.raises(MemoryShortageError, match="has not enough memory left for that: choose a smaller"):
        engine.upscale(picture(30, 40))
    assert engine.upscale(picture(30, 40)).shape == (60, 80, 3)


def test_other_errors_are_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine(network(small_config(2)), name="torch", memory_mb=64)
    refusing(engine, monkeypatch, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes"):
        engine.upscale(picture(30, 40))
