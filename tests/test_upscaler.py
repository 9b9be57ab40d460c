"""`Upscaler`: every kind of picture comes back larger, as what it was, with nothing that was not in it."""

import io
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

import hpinet
from hpinet.checkpoints.files import Provenance, write_checkpoint
from hpinet.checkpoints.registry import CheckpointInfo
from hpinet.engines import create_engine
from hpinet.engines.arithmetic import expected_megabytes
from hpinet.errors import Cancelled, CheckpointError, ImageError, OptionError
from hpinet.images import Picture, open_picture, save_picture
from hpinet.images.compression import Compression
from hpinet.model import HPINet, HPINetConfig, variant_config
from hpinet.progress import Progress
from hpinet.settings import settings as hpinet_settings
from hpinet.upscaler import Upscaler, fill_transparent

SCALE = 2


@pytest.fixture(autouse=True, scope="module")
def _empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing fetched, and one thread, which is quickest for small tensors."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPINET_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HPINET_THREADS", "1")
        hpinet_settings.cache_clear()
        yield
    hpinet_settings.cache_clear()
    torch.set_num_threads(threads)


def small_network() -> HPINet:
    """Untrained, quick, and far from symmetric: turning its input does not simply turn its output."""
    torch.manual_seed(5)
    return HPINet(HPINetConfig(SCALE, dim=8, qk_dim=4, ffn_dim=12, patch_sizes=(5, 8))).eval()


def make(*, self_ensemble: bool = False) -> Upscaler:
    info = CheckpointInfo("custom", SCALE, "path", None, None, None, parameters=0, psnr_set5=None)
    return Upscaler(info, create_engine(small_network(), name="torch", device="cpu"), self_ensemble=self_ensemble)


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return make()


@pytest.fixture(scope="module")
def ensemble() -> Upscaler:
    return make(self_ensemble=True)


@pytest.fixture(scope="module")
def trained() -> Upscaler:
    """The bundled T×4."""
    return Upscaler.load("T", engine="torch", device="cpu")


def noise(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def scene(height: int = 24, width: int = 28) -> np.ndarray:
    """(H, W, 3) uint8: slopes, an edge and a texture, as photographs have them."""
    y, x = np.mgrid[:height, :width]
    planes = (8 * y, 200 * (x > y), 100 + 60 * np.sin(x * y / 9))
    return np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8)


# ------------------------------------------------------------------------------------------------------ treatments


@pytest.fixture
def levelled(tmp_path: Path) -> Path:
    """A checkpoint with a level whose results are darker: each strength can be told by its result."""
    model = small_network()
    for folder, change in ((tmp_path, 0.0), (tmp_path / "dark", -0.2)):
        with torch.no_grad():
            assert model.last_conv.bias is not None
            model.last_conv.bias += change
        write_checkpoint(model, folder, Provenance("a test", "apache-2.0", "nobody's"))
    (tmp_path / "treatment.json").write_text('{"levels": ["dark"], "strengths": {"50": 1, "90": 0.5, "99": 0}}')
    return tmp_path


def darkening(upscaler: Upscaler, picture: Picture, treatment: Any) -> float:
    """How much darker the result is, as a share of the level's change."""
    untreated, treated = (upscaler(picture, treatment=how).colour.astype(float) for how in ("clean", treatment))
    return float((untreated - treated).mean()) / (0.2 * 255)


def test_treatment_is_as_strong_as_the_picture_asks_for(levelled: Path) -> None:
    upscaler = Upscaler.load(levelled, engine="torch", device="cpu")
    lossless = Picture(np.full((40, 40, 3), 128, np.uint8))
    for quality, strength in {50: 1.0, 70: 0.75, 90: 0.5, 99: 0.0}.items():
        picture = replace(lossless, compression=Compression("JPEG", quality))
        assert darkening(upscaler, picture, "auto") == pytest.approx(strength, abs=0.1)
        assert upscaler(picture, treatment="auto").compression is None
    assert darkening(upscaler, lossless, "photo") == pytest.approx(0.75, abs=0.1)  # quality 75


def test_lossless_pictures_and_clean_treatment_give_the_same_as_ever(levelled: Path) -> None:
    upscaler = Upscaler.load(levelled, engine="torch", device="cpu")
    plain = Upscaler.load(levelled / "model.safetensors", engine="torch", device="cpu")
    picture = Picture(scene())
    compressed = replace(picture, compression=Compression("JPEG", 50))
    expected = plain(picture).colour
    np.testing.assert_array_equal(upscaler(picture, treatment="auto").colour, expected)
    np.testing.assert_array_equal(upscaler(compressed).colour, expected)
    np.testing.assert_array_equal(upscaler(compressed, treatment="clean").colour, expected)
    assert not np.array_equal(upscaler(compressed, treatment="auto").colour, expected)


def test_treatment_leaves_alpha_alone(levelled: Path) -> None:
    upscaler = Upscaler.load(levelled, engine="torch", device="cpu")
    picture = Picture(scene(), np.ascontiguousarray(scene()[..., 0]), compression=Compression("JPEG", 50))
    untreated, treated = (upscaler(picture, treatment=how) for how in ("clean", "auto"))
    assert untreated.alpha is not None
    assert treated.alpha is not None
    np.testing.assert_array_equal(untreated.alpha, treated.alpha)
    assert not np.array_equal(untreated.colour, treated.colour)


def test_without_levels_auto_does_nothing_and_photo_is_refused(upscaler: Upscaler) -> None:
    compressed = Picture(scene(), compression=Compression("JPEG", 50))
    np.testing.assert_array_equal(upscaler(compressed, treatment="auto").colour, upscaler(compressed).colour)
    with pytest.raises(OptionError, match="no weights for photographs"):
        upscaler(compressed, treatment="photo")


@pytest.mark.parametrize(
    "kind", [np.asarray, Picture.from_array, Image.fromarray, lambda array: array.astype(np.float32)]
)
def test_a_treatment_that_is_none_is_refused(upscaler: Upscaler, kind: Callable[[np.ndarray], Any]) -> None:
    image = kind(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(OptionError, match="one of auto, photo, clean, not 'claen'"):
        upscaler(image, treatment="claen")  # pyright: ignore[reportArgumentType]


def test_pillow_images_and_arrays_are_treated_too(levelled: Path) -> None:
    upscaler = Upscaler.load(levelled, engine="torch", device="cpu")
    file = io.BytesIO()
    Image.fromarray(scene(64, 64)).save(file, "JPEG", quality=50)
    with Image.open(file) as image:
        treated, untreated = (np.asarray(upscaler(image, treatment=how)).astype(int) for how in ("auto", "clean"))
    assert (untreated - treated).mean() > 10
    array = scene().astype(np.float32) / 255
    assert (upscaler(array) - upscaler(array, treatment="photo")).mean() > 0.05
    np.testing.assert_array_equal(upscaler(array, treatment="auto"), upscaler(array))


# --------------------------------------------------------------------------------------------- kinds of pictures


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_arrays_come_back_as_they_were(upscaler: Upscaler, channels: int | None, dtype: Any) -> None:
    shape = (9, 13) if channels is None else (9, 13, channels)
    array = noise(*shape, dtype=dtype)
    before = array.copy()
    result = upscaler(array)
    assert isinstance(result, np.ndarray)
    assert (result.shape, result.dtype) == ((18, 26, *shape[2:]), dtype)
    np.testing.assert_array_equal(array, before)


def test_float_arrays_are_what_the_engine_gives(upscaler: Upscaler) -> None:
    array = np.random.default_rng(0).random((9, 13, 3), np.float32)
    np.testing.assert_array_equal(upscaler(array), upscaler.engine.upscale(array))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float64),
        np.zeros((4, 4, 3), np.int16),
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 1), np.float32),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.float32),
        np.zeros(7, np.uint8),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_other_arrays_are_refused(upscaler: Upscaler, array: np.ndarray) -> None:
    with pytest.raises(ImageError):
        upscaler(array)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("1", "L"),
        ("L", "L"),
        ("LA", "LA"),
        ("P", "RGB"),
        ("RGB", "RGB"),
        ("RGBA", "RGBA"),
        ("CMYK", "RGB"),
        ("YCbCr", "RGB"),
        ("I;16", "I;16"),
    ],
)
def test_pillow_images_come_back_as_pillow_images(upscaler: Upscaler, mode: str, expected: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(noise(9, 13, dtype=np.uint16))
    else:
        image = Image.fromarray(noise(9, 13, 4), "RGBA").convert("RGB" if "A" not in mode else mode).convert(mode)
    assert image.mode == mode
    result = upscaler(image)
    assert isinstance(result, Image.Image)
    assert (result.mode, result.size) == (expected, (26, 18))


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pillow_images_of_unknown_range_are_refused(upscaler: Upscaler, mode: str) -> None:
    with pytest.raises(ImageError):
        upscaler(Image.new(mode, (5, 5)))


def test_pictures_keep_what_they_are(upscaler: Upscaler) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Picture(noise(9, 13, 3), noise(9, 13), profile, "TIFF")
    result = upscaler(picture)
    assert (result.icc_profile, result.format, result.depth) == (profile, "TIFF", 8)
    assert (result.height, result.width) == (18, 26)
    assert result.alpha is not None


def test_all_ways_in_give_the_same_pixels(upscaler: Upscaler) -> None:
    array = noise(9, 13, 3)
    result = upscaler(array)
    np.testing.assert_array_equal(upscaler(Picture(array)).colour, result)
    np.testing.assert_array_equal(np.asarray(upscaler(Image.fromarray(array))), result)


def test_icc_profiles_survive_the_way_through_files(upscaler: Upscaler, tmp_path: Path) -> None:
    """The network runs in the picture's own space, so the profile stays true."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile[:100] + b"a profile of one's own" + profile[122:]
    stream = io.BytesIO()
    Image.fromarray(scene()).save(stream, "PNG", icc_profile=profile)
    picture = open_picture(stream.getvalue())
    assert picture.icc_profile == profile
    result = upscaler(picture)
    np.testing.assert_array_equal(result.colour, upscaler(scene()))
    save_picture(result, tmp_path / "large.png")
    with Image.open(tmp_path / "large.png") as image:
        assert image.info["icc_profile"] == profile


# --------------------------------------------------------------------------------------------- depth, grey, colour


def test_deep_pictures_agree_with_shallow_ones(upscaler: Upscaler) -> None:
    """257 is what makes 16 bits of 8: the same brightness."""
    shallow = noise(15, 17, 4)
    shallow[..., 3] |= 1  # nothing wholly transparent: what replaces that is rounded to the picture's own depth
    deep = upscaler(shallow.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - upscaler(shallow)).max() <= 0.51
    assert len(np.unique(deep % 257)) > 100, "all 16 bits are used"


def test_grey_is_the_luma_of_enlarged_grey_rgb(upscaler: Upscaler) -> None:
    grey = scene()[..., 0]
    rgb = upscaler(np.repeat(grey[..., None].astype(np.float32) / 255, 3, axis=2))
    luma = rgb @ np.array([0.299, 0.587, 0.114]) * 255
    assert np.abs(upscaler(grey) - luma).max() <= 0.51


def test_a_model_trained_on_colour_keeps_plain_areas_plain(trained: Upscaler) -> None:
    for level in (0, 10, 128, 250, 255):
        result = trained(np.full((16, 16), level, np.uint8)).astype(int)
        assert np.abs(result - level).max() <= 3


# --------------------------------------------------------------------------------------------------------- alpha


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("level", [0, 1, 100, 255])
def test_the_same_alpha_everywhere_stays_the_same(upscaler: Upscaler, level: int, dtype: Any) -> None:
    level = level * (1 if dtype is np.uint8 else 257)
    colour = noise(9, 13, 3, dtype=dtype)
    result = upscaler(Picture(colour, np.full((9, 13), level, dtype)))
    assert result.alpha is not None
    assert result.alpha.shape == result.colour.shape[:2]
    assert (result.alpha == level).all()
    np.testing.assert_array_equal(result.colour, upscaler(colour))


def disk(height: int = 30, width: int = 34) -> np.ndarray:
    """(H, W) uint8 alpha with a hard edge."""
    y, x = np.mgrid[:height, :width]
    return np.where((y - height / 2) ** 2 + (x - width / 2) ** 2 < 100, 255, 0).astype(np.uint8)


def test_alpha_of_a_hard_edge_changes_only_at_the_edge(trained: Upscaler) -> None:
    alpha = disk()
    result = trained(Picture(np.full((*alpha.shape, 3), 90, np.uint8), alpha)).alpha
    assert result is not None
    neighbours = np.lib.stride_tricks.sliding_window_view(np.pad(alpha, 1, mode="edge"), (3, 3))
    for level in (0, 255):
        inside = (neighbours == level).all(axis=(2, 3)).repeat(4, axis=0).repeat(4, axis=1)
        assert inside.any()
        assert (result[inside] == level).all()
    assert result.mean() == pytest.approx(alpha.mean(), rel=0.02), "the disk grows as the picture does"
    assert ((result > 60) & (result < 195)).any(), "the edge is smooth"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_hidden_colours_do_not_show(trained: Upscaler, channels: int, dtype: Any) -> None:
    """What lies under transparent pixels is anybody's guess: black, white, or what an eraser left."""
    alpha = disk().astype(dtype) * (1 if dtype is np.uint8 else 257)
    visible = noise(*alpha.shape, channels, dtype=dtype)
    results = []
    for seed in (1, 2, None):
        hidden = noise(*visible.shape, dtype=dtype, seed=seed) if seed else np.zeros_like(visible)
        results.append(trained(Picture(np.where(alpha[..., None] > 0, visible, hidden), alpha)))
    for result in results[1:]:
        np.testing.assert_array_equal(result.colour, results[0].colour)
        np.testing.assert_array_equal(result.alpha, results[0].alpha)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (200, 30, 60)])
@pytest.mark.parametrize("hidden", [0, 255])
def test_hard_edges_have_no_halo(trained: Upscaler, colour: tuple[int, int, int], hidden: int) -> None:
    """A plain disk over any background shows the disk's colour, the background's, and mixtures of the two."""
    alpha = disk()
    painted = np.where(alpha[..., None] > 0, np.array(colour), hidden).astype(np.uint8)
    result = trained(Picture(painted, alpha))
    assert result.alpha is not None
    visible = result.colour[result.alpha > 0].astype(int)
    assert np.abs(visible - colour).max() <= 3
    np.testing.assert_array_equal(
        result.colour, trained(np.broadcast_to(np.array(colour, np.uint8), (*alpha.shape, 3)).copy())
    )


def test_partly_transparent_colours_count(upscaler: Upscaler) -> None:
    """They can be seen, however faintly: only what is wholly transparent is replaced."""
    colour, alpha = noise(12, 12, 3), np.ones((12, 12), np.uint8)
    alpha[6:] = 200
    np.testing.assert_array_equal(upscaler(Picture(colour, alpha)).colour, upscaler(colour))


@given(
    height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 99), dtype=st.sampled_from(["u1", "u2"])
)
def test_filling_keeps_what_is_visible_and_invents_no_colour(height: int, width: int, seed: int, dtype: str) -> None:
    random = np.random.default_rng(seed)
    colour = noise(height, width, 3, dtype=np.dtype(dtype), seed=seed)
    alpha = np.where(random.random((height, width)) < random.random(), 255, 0).astype(dtype)
    before = colour.copy()
    filled = fill_transparent(colour, alpha)
    np.testing.assert_array_equal(colour, before)
    assert (filled.dtype, filled.shape) == (colour.dtype, colour.shape)
    seen = alpha > 0
    np.testing.assert_array_equal(filled[seen], colour[seen])
    if seen.any():
        assert (filled >= colour[seen].min(axis=0)).all()
        assert (filled <= colour[seen].max(axis=0)).all()


def test_filling_takes_the_nearest_colours() -> None:
    colour = np.zeros((8, 64, 3), np.uint8)
    colour[:, 0], colour[:, 63] = 200, 40
    alpha = np.zeros((8, 64), np.uint8)
    alpha[:, [0, 63]] = 255
    filled = fill_transparent(colour, alpha)
    assert (filled[:, :8] == 200).all()
    assert (filled[:, 56:] == 40).all()


# -------------------------------------------------------------------------------------------------- self-ensemble

TURNS_AND_FLIPS = [(turns, flipped) for turns in range(4) for flipped in (False, True)]


def turned(array: np.ndarray, turns: int, flipped: bool) -> np.ndarray:
    return np.rot90(array[:, ::-1] if flipped else array, turns)


def turned_back(array: np.ndarray, turns: int, flipped: bool) -> np.ndarray:
    array = np.rot90(array, -turns)
    return array[:, ::-1] if flipped else array


def test_self_ensemble_is_the_mean_over_turns_and_flips(upscaler: Upscaler, ensemble: Upscaler) -> None:
    array = np.random.default_rng(1).random((11, 16, 3), np.float32)
    results = [turned_back(upscaler(turned(array, *how)), *how) for how in TURNS_AND_FLIPS]
    assert np.std(results, axis=0).max() > 0.01, "the network treats them differently: there is something to average"
    np.testing.assert_allclose(ensemble(array), np.mean(results, axis=0), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("turns", "flipped"), TURNS_AND_FLIPS[1:])
def test_self_ensemble_turns_with_the_picture(ensemble: Upscaler, turns: int, flipped: bool) -> None:
    array = noise(11, 16, 3, dtype=np.uint16)
    result = ensemble(np.ascontiguousarray(turned(array, turns, flipped)))
    assert np.abs(turned_back(result, turns, flipped).astype(int) - ensemble(array)).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_self_ensemble_rounds_once(ensemble: Upscaler, dtype: Any) -> None:
    array = noise(11, 16, 3, dtype=dtype)
    top = np.float32(np.iinfo(dtype).max)
    exact = ensemble(array.astype(np.float32) / top) * top
    np.testing.assert_array_equal(ensemble(array), np.rint(exact))


class Repeating:
    """An engine whose results are all the memory that it takes."""

    scale = 4

    def upscale(self, pixels: np.ndarray, *, progress: Progress) -> np.ndarray:
        height, width, _ = pixels.shape
        result = np.empty((height, 4, width, 4, 3), pixels.dtype)
        result[:] = pixels[:, None, :, None]
        progress(1, 1)
        return result.reshape(4 * height, 4 * width, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_self_ensemble_takes_the_memory_that_is_foretold(dtype: Any) -> None:
    info = CheckpointInfo("T", 4, "path", None, None, None, parameters=0, psnr_set5=None)
    upscaler = Upscaler(info, Repeating(), self_ensemble=True)  # type: ignore[arg-type]
    array = np.zeros((150, 200, 3), np.float32) if dtype == np.float32 else noise(150, 200, 3, dtype=dtype)
    tracemalloc.start()
    upscaler(array)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    config = variant_config("T", 4)
    plain, foretold = (expected_megabytes(config, 150, 200, self_ensemble=chosen) for chosen in (False, True))
    assert peak / 1e6 < 1.02 * (foretold - plain + 6 * 16 * 150 * 200 / 1e6)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_self_ensemble_takes_every_kind(ensemble: Upscaler, channels: int) -> None:
    assert ensemble(noise(5, 9, channels)).shape == (10, 18, channels)


# ------------------------------------------------------------------------------------------- progress, stop, time


@pytest.mark.parametrize("self_ensemble", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_progress_is_one_way_from_nothing_to_all(self_ensemble: bool, channels: int) -> None:
    told: list[tuple[int, int]] = []
    make(self_ensemble=self_ensemble)(noise(9, 13, channels), progress=lambda done, total: told.append((done, total)))
    done, totals = zip(*told, strict=True)
    assert len(set(totals)) == 1
    assert (done[0], done[-1]) == (0, totals[0])
    assert list(done) == sorted(done)


@pytest.mark.parametrize("after", [0.0, 0.3, 0.7, 1.0])
def test_stopping_leaves_the_upscaler_usable(upscaler: Upscaler, after: float) -> None:
    array = noise(9, 13, 4)
    expected = upscaler(array)

    def stop(done: int, total: int) -> None:
        if done >= after * total:
            raise Cancelled

    with pytest.raises(Cancelled):
        upscaler(array, progress=stop)
    np.testing.assert_array_equal(upscaler(array), expected)


def test_estimates_count_every_pass(upscaler: Upscaler, ensemble: Upscaler) -> None:
    plain, alpha = Picture(noise(32, 32, 3)), Picture(noise(32, 32, 3), noise(32, 32))
    opaque = Picture(noise(32, 32, 3), np.full((32, 32), 255, np.uint8))
    once = upscaler.estimate_seconds(plain)
    assert once > 0
    assert upscaler.estimate_seconds(alpha) == pytest.approx(2 * once)
    assert upscaler.estimate_seconds(opaque) == pytest.approx(once)
    assert ensemble.estimate_seconds(alpha) == pytest.approx(16 * ensemble.engine.estimate_seconds(32, 32))


# ------------------------------------------------------------------------------------------------------- loading


def test_loading_a_variant(trained: Upscaler) -> None:
    assert (trained.info.name, trained.info.origin, trained.scale) == ("hpinet-t-x4", "bundled", 4)
    assert (trained.engine.name, trained.engine.device) == ("torch", "CPU")
    assert hpinet.Upscaler is Upscaler


def test_loading_a_folder(upscaler: Upscaler, tmp_path: Path) -> None:
    provenance = Provenance(source="made by a test", licence="apache-2.0", note="nothing")
    write_checkpoint(small_network(), tmp_path / "mine", provenance)
    loaded = Upscaler.load(tmp_path / "mine", scale=SCALE, engine="torch", device="cpu", memory_mb=16)
    assert (loaded.scale, loaded.info.origin, loaded.info.path) == (SCALE, "path", tmp_path / "mine")
    np.testing.assert_array_equal(loaded(scene()), upscaler(scene()))


@pytest.mark.parametrize(
    ("source", "options", "error"),
    [
        ("T", {"scale": 5}, OptionError),
        ("X", {}, OptionError),
        ("hpinet-t-x4", {"scale": 2}, OptionError),
        ("T", {"engine": "onnx"}, OptionError),
        ("T", {"device": "tpu"}, OptionError),
        ("no/such/folder", {}, CheckpointError),
        (Path("no-such-folder"), {}, CheckpointError),
        ("M", {"scale": 4}, CheckpointError),  # not fetched
    ],
)
def test_what_cannot_be_loaded_is_said(source: Any, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        Upscaler.load(source, **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message


@settings(max_examples=25)
@given(height=st.integers(1, 30), width=st.integers(1, 30), channels=st.integers(1, 4))
def test_any_size_works(upscaler: Upscaler, height: int, width: int, channels: int) -> None:
    assert upscaler(noise(height, width, channels)).shape == (SCALE * height, SCALE * width, channels)
