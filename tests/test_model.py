"""The network: equal to the published one, at any size and batch, trainable, strict about its weights."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from hpinet.checkpoints.registry import load
from hpinet.metrics import psnr_y
from hpinet.model import SCALES, VARIANTS, Attention, HPINet, HPINetConfig, load_weights, pad_to_minimum, variant_config
from hpinet.patches import patch_grid

DATA = Path(__file__).parent / "data"
CASES = json.loads((DATA / "parity_cases.json").read_text())
UPSTREAM = json.loads((DATA / "upstream_tensors.json").read_text())


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Threads wait for each other longer than such small tensors take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(scale: int = 4, **fields: object) -> HPINetConfig:
    """Two stages of different patch sizes: everything a large network does, in milliseconds."""
    config = HPINetConfig(scale, dim=8, qk_dim=4, ffn_dim=12, patch_sizes=(5, 8))
    return replace(config, **fields)


def network(config: HPINetConfig, seed: int = 0) -> HPINet:
    torch.manual_seed(seed)
    return HPINet(config).eval()


def pictures(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# -------------------------------------------------------------------------------------------------------- parity


def published_weights(model: HPINet) -> dict[str, Tensor]:
    """Every tensor as a function of its published name alone, as the parity cases were made."""
    weights = {}
    for name, tensor in model.state_dict().items():
        z = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tensor.numel()).reshape(tensor.shape)
        is_gain = "norm" in name and name.endswith("weight")
        weights[name] = torch.from_numpy(0.1 * z + is_gain if z.ndim == 1 else z / np.sqrt(np.prod(z.shape[1:])))
    return weights


def case_name(case: dict) -> str:
    overlap = "-triple" if case["triple_overlap"] else ""
    return f"{case['variant']}x{case['scale']}-{case['height']}x{case['width']}{overlap}"


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_parity_with_the_published_network(case: dict) -> None:
    model = HPINet(variant_config(case["variant"], case["scale"])).double().eval()
    load_weights(model, published_weights(model))
    x = np.random.RandomState(case["input_seed"]).rand(1, 3, case["height"], case["width"])
    with torch.inference_mode():
        output = model(torch.from_numpy(x))
    assert output.shape == (1, 3, case["scale"] * case["height"], case["scale"] * case["width"])
    sampled = output.flatten()[case["indices"]].numpy()
    np.testing.assert_allclose(sampled, case["values"], rtol=0, atol=1e-7 * case["std"])
    assert output.mean().item() == pytest.approx(case["mean"], abs=1e-7 * case["std"])


@pytest.mark.parametrize("name", UPSTREAM)
def test_tensors_have_the_published_names_and_shapes(name: str) -> None:
    variant, scale = name.split("-x")
    with torch.device("meta"):
        model = HPINet(variant_config(variant, int(scale)))
    assert {key: list(tensor.shape) for key, tensor in model.state_dict().items()} == UPSTREAM[name]["tensors"]
    assert sum(parameter.numel() for parameter in model.parameters()) == UPSTREAM[name]["parameters"]


def test_the_tiny_tier_has_176931_parameters() -> None:
    with torch.device("meta"):
        model = HPINet(variant_config("T", 4))
    assert sum(parameter.numel() for parameter in model.parameters()) == 176_931


AUTHORS = [("S", 4), ("M", 2), ("M", 3), ("M", 4)]
SMALLEST = {4: "butterfly", 3: "bird", 2: "butterfly"}


@pytest.mark.parametrize(("variant", "scale"), AUTHORS)
@pytest.mark.parametrize(
    "everything", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["one picture", "all of Set5"]
)
def test_authors_weights_give_the_authors_pictures(shared: Path, variant: str, scale: int, everything: bool) -> None:
    model, _ = load(shared / "authors" / f"HPINet-{variant}-x{scale}.pth")
    outputs = shared / "authors" / "set5_outputs" / f"{variant}-x{scale}"
    names = sorted(path.stem for path in outputs.iterdir()) if everything else [SMALLEST[scale]]
    assert names
    for name in names:
        lr = np.asarray(Image.open(shared / "data/set5/LR_bicubic" / f"X{scale}" / f"{name}x{scale}.png"))
        with torch.inference_mode():
            output = model(torch.from_numpy(lr / np.float32(255)).permute(2, 0, 1)[None])[0]
        ours = output.permute(1, 2, 0).mul(255).round().clamp(0, 255).to(torch.uint8).numpy()
        theirs = np.asarray(Image.open(outputs / f"{name}.png"))
        close = np.abs(ours.astype(int) - theirs) <= 1
        assert close.mean() >= 0.9999, name
        truth = np.asarray(Image.open(shared / "data/set5/HR" / f"{name}.png"))
        ours_db, theirs_db = (psnr_y(picture, truth, scale=scale) for picture in (ours, theirs))
        assert ours_db == pytest.approx(theirs_db, abs=0.005), name


# ---------------------------------------------------------------------------------------------- sizes and batches


@given(height=st.integers(1, 30), width=st.integers(1, 30), scale=st.sampled_from(SCALES))
@settings(max_examples=40)
def test_any_size_in_any_batch_of_different_pictures(height: int, width: int, scale: int) -> None:
    model = network(small(scale))
    batch = pictures(3, 3, height, width, seed=height)
    with torch.inference_mode():
        together = model(batch)
        apart = torch.cat([model(picture[None]) for picture in batch])
    assert together.shape == (3, 3, scale * height, scale * width)
    assert together.isfinite().all()
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [(1, 1), (37, 11)])
def test_every_variant_takes_odd_sizes(variant: str, size: tuple[int, int]) -> None:
    model = network(variant_config(variant, 2))
    with torch.inference_mode():
        assert model(pictures(1, 3, *size)).shape == (1, 3, 2 * size[0], 2 * size[1])


@given(height=st.integers(1, 30), width=st.integers(1, 30), minimum=st.integers(1, 30))
def test_padding_mirrors_where_it_can_and_repeats_where_it_cannot(height: int, width: int, minimum: int) -> None:
    x = pictures(1, 3, height, width)
    padded = pad_to_minimum(x, minimum)

    def source(size: int) -> list[int]:
        total = max(size, minimum)
        mirrored = total - size < size
        return [i if i < size else (2 * size - 2 - i if mirrored else size - 1) for i in range(total)]

    assert torch.equal(padded, x[:, :, source(height)][:, :, :, source(width)])


# ------------------------------------------------------------------------------------------------------- the parts


class Untouched(nn.Module):
    """In place of a transformer: patches pass as they are."""

    def forward(self, patches: Tensor, references: Tensor) -> Tensor:
        return patches


@given(height=st.integers(8, 40), width=st.integers(8, 40))
@settings(max_examples=30)
def test_merging_is_a_true_mean(height: int, width: int) -> None:
    """Dividing and merging untouched patches returns the features, wherever two, three or more patches overlap."""
    model = network(small()).double()
    seen = []
    for stage in range(2):
        model.blocks[stage] = Untouched()
        model.mid_convs[stage].register_forward_hook(lambda _module, merged, _output: seen.append(merged[0]))
    features = pictures(2, 8, height, width).double()
    with torch.inference_mode():
        for stage in range(2):
            model.integrate(stage, features)
    for merged in seen:
        torch.testing.assert_close(merged, features, rtol=0, atol=1e-12)
    assert len(seen) == 2


def test_a_patch_refers_to_the_most_similar_other_patch() -> None:
    """Of four patches the first and last have like content: they refer to each other, in each picture by itself."""
    config = small(patch_sizes=(3,))
    model = network(config)
    grid_side = 4  # patches start at 0 and 1 along each axis
    pixels = torch.zeros(1, grid_side, grid_side, config.dim)
    pixels[0, :, :, 0], pixels[0, :, :, 1] = torch.eye(grid_side), 1 - torch.eye(grid_side)
    grid = patch_grid(grid_side, grid_side, 3)
    patches = pixels.flatten(1, 2)[:, grid.indices()]
    with torch.inference_mode():
        references = model.refer(0, pixels, patches, grid)
    assert torch.equal(references[0, 0], patches[0, 3])
    assert torch.equal(references[0, 3], patches[0, 0])


def test_the_only_patch_refers_to_itself() -> None:
    model = network(small(patch_sizes=(8,)))
    with torch.inference_mode():
        once = model(pictures(1, 3, 8, 8))
    model.train()
    with torch.inference_mode():
        trained = model(pictures(1, 3, 8, 8))
        assert torch.equal(model(pictures(1, 3, 8, 8)), trained)  # there is nothing to draw from
    assert torch.allclose(trained, once, atol=1e-6)  # keys are made differently, which shows in the rounding alone


def test_the_network_adds_to_the_bilinear_enlargement() -> None:
    """With a silent last convolution that enlargement is all there is."""
    model = network(small(3))
    nn.init.zeros_(model.last_conv.weight)
    assert model.last_conv.bias is not None
    nn.init.zeros_(model.last_conv.bias)
    x = pictures(1, 3, 9, 11)
    with torch.inference_mode():
        torch.testing.assert_close(model(x), model.enlarge(x))


# -------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("scale", SCALES)
def test_every_parameter_gets_a_gradient(scale: int) -> None:
    model = network(small(scale)).train()
    model(pictures(2, 3, 19, 17)).square().mean().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


def test_the_loss_of_one_batch_falls() -> None:
    torch.manual_seed(0)
    model = HPINet(small(2)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    lr, hr = pictures(4, 3, 12, 12, seed=1), pictures(4, 3, 24, 24, seed=2)
    losses = []
    for _ in range(40):
        loss = nn.functional.l1_loss(model(lr), hr)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_training_in_bfloat16_survives_a_large_vector_common_to_all_keys() -> None:
    # Nothing in the loss keeps it from growing.
    torch.manual_seed(0)
    attention = Attention(32, 16)
    x = pictures(2, 64, 32)
    x[..., 0] = 1
    nn.init.constant_(attention.to_k.weight[:, 0], 1_000)
    assert torch.allclose(attention.train()(x), attention.eval()(x), atol=1e-4)
    precise, rounded = (_gradient_of_queries(attention.train(), x, bfloat16) for bfloat16 in (False, True))
    assert (rounded - precise).norm() < 0.1 * precise.norm()


def _gradient_of_queries(attention: Attention, x: Tensor, bfloat16: bool) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        loss = attention(x).float().square().mean()
    (gradient,) = torch.autograd.grad(loss, attention.to_q.weight)
    return gradient


def test_training_draws_references_and_evaluation_does_not() -> None:
    model = network(small())
    x = pictures(1, 3, 24, 24)
    with torch.inference_mode():
        assert torch.equal(model(x), model(x))
        model.train()
        assert not torch.equal(model(x), model(x))


# --------------------------------------------------------------------------------------------- strictness


@pytest.mark.parametrize(
    "fields",
    [
        {"scale": 1},
        {"patch_sizes": ()},
        {"patch_sizes": (2,)},
        {"patch_sizes": (4097,)},
        {"qk_dim": 9},
        {"qk_dim": 0},
        {"ffn_dim": 0},
        {"ffn_dim": 4097},
        {"dim": 4097},
    ],
    ids=str,
)
def test_configurations_that_cannot_work(fields: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        small(**fields)


def test_configuration_round_trip() -> None:
    for variant in VARIANTS:
        config = variant_config(variant, 3)
        assert HPINetConfig.from_dict(json.loads(json.dumps(asdict(config)))) == config
    with pytest.raises(ValueError, match="variant must be one of"):
        variant_config("XL", 4)
