"""The list of models: what is said of each, and the upscalers kept for them."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from hpinet.checkpoints import registry
from hpinet.checkpoints.registry import CheckpointInfo
from hpinet.errors import OptionError
from hpinet.plan import Plan, TargetSize, make_plan
from hpinet.ui.jobs import models, zerogpu
from hpinet.ui.jobs.models import (
    Choice,
    Shelf,
    caption,
    check_seconds,
    choice_of,
    choices,
    expected_megabytes,
    expected_seconds,
    network_of,
)


def info(variant: str, scale: int, origin: str, path: Path | None = None) -> CheckpointInfo:
    return CheckpointInfo(variant, scale, origin, path, 1_900_000, None, 463_131, 32.47)


def test_every_tier_is_offered_smallest_first() -> None:
    found = choices()
    assert list(found)[:4] == ["T", "S", "M", "L"]
    assert found["T"].natives[4].origin == "bundled"
    assert set(found["M"].natives) >= {2, 3, 4}


def test_a_tier_of_two_origins_is_offered_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        registry,
        "catalogue",
        lambda: [info("S", 2, "bundled"), info("S", 4, "bundled"), info("S", 4, "authors"), info("M", 4, "authors")],
    )
    found = choices()
    assert set(found) == {"S", "S-authors", "M"}
    assert {scale: i.origin for scale, i in found["S"].natives.items()} == {2: "bundled", 4: "bundled"}
    assert {scale: i.origin for scale, i in found["S-authors"].natives.items()} == {4: "authors"}


def test_networks_of_ones_own_have_their_folders_names(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = ("hpinet-t-x4", "hpinet-mine-x4", "hpinet-mine-x2", "hpinet-other-x4")
    known = [info("T", int(name[-1]), "bundled", Path("checkpoints") / name) for name in folders]
    monkeypatch.setattr(registry, "catalogue", lambda: known)
    assert {key: set(choice.natives) for key, choice in choices().items()} == {
        "T": {4},
        "hpinet-mine": {2, 4},
        "hpinet-other": {4},
    }


@pytest.mark.parametrize("key", ["Z", "t", "", None, 4, "T-authors"])
def test_unknown_models(key: object) -> None:
    with pytest.raises(OptionError, match="There is no model"):
        choice_of(key)


def test_without_a_gpu_pictures_are_enlarged_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zerogpu, "IS_HERE", True)
    assert choice_of("T-cpu").natives == network_of("T").natives
    assert (choice_of("T-cpu").network, choice_of("M").network) == ("T", "M")
    with pytest.raises(OptionError, match="T-cpu enlarges pictures and nothing else: choose T"):
        network_of("T-cpu")


def test_the_line_about_a_model_is_true() -> None:
    plan = Plan((40, 40), (160, 160), (4,))
    bundled = choice_of("T")
    checkpoint = bundled.natives[4]
    parts = caption(bundled, plan).replace("\N{NO-BREAK SPACE}", " ").split(" · ")
    assert parts == [
        "T",
        "fastest, bundled",
        f"{checkpoint.parameters / 1e6:.2f} million",
        f"{checkpoint.psnr_set5:.2f} dB",
    ]
    missing = Choice("S", {4: info("S", 4, "authors")})
    assert "authors'" in caption(missing, plan)
    assert caption(missing, plan).endswith("\N{NO-BREAK SPACE}↓")  # to be fetched first
    assert not caption(Choice("S", {4: info("S", 4, "authors", Path("here"))}), plan).endswith("↓")


def test_larger_pictures_and_models_are_expected_to_take_longer() -> None:
    small, large = Plan((60, 60), (240, 240), (4,)), Plan((240, 240), (960, 960), (4,))
    cascade = Plan((60, 60), (960, 960), (4, 4))
    tiny, medium = choice_of("T"), choice_of("M")
    assert 0 < expected_seconds(tiny, small) < expected_seconds(tiny, large) < expected_seconds(medium, large)
    assert expected_seconds(tiny, cascade) == pytest.approx(
        expected_seconds(tiny, small) + expected_seconds(tiny, large), rel=0.01
    )


def test_the_shelf_keeps_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[int] = []

    class Loaded:
        def __init__(self, scale: int) -> None:
            self.engine = self
            loaded.append(scale)

        def estimate_seconds(self, height: int, width: int) -> float:
            return 1.0

    monkeypatch.setattr(models.Upscaler, "load", lambda _, *, scale: Loaded(scale))
    monkeypatch.setattr(models, "choice_of", lambda key: Choice(key, {s: info(key, s, "bundled") for s in (2, 3, 4)}))
    shelf = Shelf(capacity=2)
    assert shelf.upscaler("M", 2) is shelf.upscaler("M", 2)
    shelf.upscaler("M", 3)
    shelf.upscaler("M", 2)  # used again, so 3 is the one to go
    shelf.upscaler("M", 4)
    assert loaded == [2, 3, 4]
    assert shelf.peek("M", 3) is None
    assert shelf.peek("M", 2) is not None
    shelf.upscaler("M", 3)
    assert loaded == [2, 3, 4, 3]


def test_too_long_a_job_is_refused_with_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = choice_of("T")
    plan = make_plan((200, 150), TargetSize(scale=4), natives=choice.natives)

    def allow(max_seconds: float) -> None:
        limits = SimpleNamespace(max_seconds=max_seconds, job_mb=0)
        monkeypatch.setattr(models, "settings", lambda: limits)

    allow(60)
    monkeypatch.setattr(models, "expected_seconds", lambda _choice, plan, **_: 20.0 * plan.passes[0])
    with pytest.raises(OptionError, match=r"takes about 80 s here with model T, and about 60 s is the limit: ×3 with"):
        check_seconds(choice, plan)
    allow(10)
    with pytest.raises(OptionError, match="take a smaller picture"):
        check_seconds(choice, plan)
    allow(80)
    check_seconds(choice, plan)


def test_what_is_advised_would_not_be_refused_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it larger than what was asked for."""
    best = choice_of("M")
    monkeypatch.setattr(models, "memory_allowance", lambda: 64_000.0)
    monkeypatch.setattr(models, "expected_seconds", lambda choice, *_, **__: 7200 if choice.key == "M" else 60)
    large, small = (8832, 5880), (600, 400)
    for size, asked, advised in ((large, 2, "×2 with T"), (small, 3, "×3 with T"), (small, 8, "×4 with")):
        plan = make_plan(size, TargetSize(scale=asked), natives=best.natives)
        with pytest.raises(OptionError, match=advised):
            check_seconds(best, plan)


def test_memory_of_this_machine_is_bounded_where_gpus_are_lent_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on a GPU takes none of it."""
    monkeypatch.setattr(zerogpu, "IS_HERE", True)
    monkeypatch.setattr(models, "settings", lambda: SimpleNamespace(job_mb=1000))
    without = choice_of("T-cpu")
    plan = make_plan((8000, 6000), TargetSize(scale=2), natives=without.natives)
    with pytest.raises(OptionError, match=r"and this page has 1\.0 GB: take a smaller picture, or model T"):
        models.check_memory(without, plan)
    models.check_memory(choice_of("T"), plan)


def test_memory_grows_with_the_picture() -> None:
    choice = choice_of("T")
    small, large = (
        expected_megabytes(choice, make_plan(size, TargetSize(scale=2), natives=choice.natives))
        for size in ((100, 100), (4000, 3000))
    )
    assert large == pytest.approx(1200 * small)
    assert 3000 < large < 4000  # two maps of 32 channels and the result, of 12 megapixels
