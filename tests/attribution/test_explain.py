"""One spot explained: coordinates, words, figures and the commands that make them."""

import math
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from hpinet.attribution import explain as explaining
from hpinet.attribution.ablation import AccessEffect, access_effects, detailed_spots, to_markdown
from hpinet.attribution.cli import attribution_app
from hpinet.attribution.explain import Explanation, explain, in_words
from hpinet.attribution.figures import explanation_figure, heat_pixels, reach_figure, save_figure, stage_colours
from hpinet.attribution.lam import BlurPath
from hpinet.attribution.reach import TilingCost, field_of_centre, tiling_cost
from hpinet.attribution.regions import square_around
from hpinet.errors import HPINetError, ImageError, MemoryShortageError, OptionError
from hpinet.model import HPINet

from .conftest import EXAMPLES, SCALE, Bicubic

SHORT = BlurPath(steps=3)


@pytest.fixture
def surroundings_of_48(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than the picture, so that both squares have corners of their own."""
    monkeypatch.setattr(explaining, "SURROUNDINGS", 48)


@pytest.fixture(scope="session")
def explanation(untrained: HPINet, facade: np.ndarray) -> Explanation:
    return explain(untrained, facade[:60, :80], x=70, y=12, path=SHORT, region=32)


# ---------------------------------------------------------------------------------------------------- coordinates


@pytest.mark.usefixtures("surroundings_of_48")
def test_coordinates_are_those_of_the_picture(untrained: HPINet, facade: np.ndarray) -> None:
    found = explain(untrained, facade, x=150, y=100, path=SHORT, region=32)
    assert found.region == (134, 84, 166, 116)
    assert found.surroundings == (126, 76, 174, 124)
    np.testing.assert_array_equal(found.pixels, facade[76:124, 126:174])
    np.testing.assert_array_equal(found.cut((130, 80, 140, 95)), facade[80:95, 130:140])
    assert found.window == (148.5, 98.5, 152.5, 102.5)
    assert found.result.shape == (48 * SCALE, 48 * SCALE, 3)
    assert found.attribution.strength.shape == (32, 32)
    assert [match.stage for match in found.chain] == [1, 2, 3]
    for match in found.chain:
        left, top, right, bottom = match.box
        assert left <= 150 < right
        assert top <= 100 < bottom
        for box in (match.box, match.reference):
            assert 126 <= box[0] < box[2] <= 174
            assert 76 <= box[1] < box[3] <= 124


def test_strongest_pixels_are_at_the_spot(explanation: Explanation) -> None:
    strength = explanation.attribution.strength
    y, x = np.unravel_index(strength.argmax(), strength.shape)
    left, top, _, _ = explanation.region
    assert abs(left + x - 70) <= 4
    assert abs(top + y - 12) <= 4
    assert explanation.radius(0.5) < explanation.radius(0.9) <= explanation.radius(1.0)


@pytest.mark.parametrize(
    ("spot", "expected"),
    [((5, 30), (0, 20, 20, 40)), ((99, 0), (80, 0, 100, 20)), ((50, 59), (40, 40, 60, 60))],
)
def test_squares_stay_inside(spot: tuple[int, int], expected: tuple[int, int, int, int]) -> None:
    assert square_around(*spot, 20, 100, 60) == expected
    assert square_around(*spot, 400, 100, 60) == (0, 0, 100, 60)


def test_pictures_smaller_than_a_patch_are_explained_too(untrained: HPINet, facade: np.ndarray, tmp_path: Path) -> None:
    found = explain(untrained, facade[40:50, 40:52], x=3, y=4, path=SHORT)
    assert found.stages[1].grid.count == 1
    assert {match.reference for match in found.chain} <= {(0, 0, 12, 12), (0, 0, 16, 16), *_twelves()}
    save_figure(explanation_figure(found, title="small"), tmp_path / "small.png")


def _twelves() -> set[tuple[int, int, int, int]]:
    """Patches of 12 in 16x16 pixels."""
    return {(x, y, x + 12, y + 12) for x in (0, 4) for y in (0, 4)}


def test_other_networks_are_explained_without_patches(facade: np.ndarray, tmp_path: Path) -> None:
    found = explain(Bicubic().eval(), facade[:40, :40], x=20, y=20, path=SHORT)
    assert found.scale == SCALE
    assert found.chain == []
    assert len(in_words(found)) == 4
    assert found.radius(1) < 8
    save_figure(explanation_figure(found, title="bicubic"), tmp_path / "bicubic.svg")


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_explains_where_the_caller_takes_no_gradients(
    mode: type[torch.no_grad | torch.inference_mode], untrained: HPINet, explanation: Explanation, facade: np.ndarray
) -> None:
    with mode():
        found = explain(untrained, facade[:60, :80], x=70, y=12, path=SHORT, region=32)
    np.testing.assert_array_equal(found.attribution.values, explanation.attribution.values)
    np.testing.assert_array_equal(found.result, explanation.result)


def test_says_in_a_sentence_that_memory_is_refused(facade: np.ndarray) -> None:
    class Large(Bicubic):
        def forward(self, x: Tensor) -> Tensor:
            raise MemoryError

    with pytest.raises(MemoryShortageError, match="a smaller region or picture"):
        explain(Large().eval(), facade, x=3, y=3)


def test_refuses_spots_that_cannot_be_explained(untrained: HPINet, facade: np.ndarray) -> None:
    with pytest.raises(OptionError, match="outside"):
        explain(untrained, facade, x=192, y=0)
    with pytest.raises(OptionError, match="no detail"):
        explain(Bicubic().eval(), np.full((30, 30, 3), 99, np.uint8), x=3, y=3)


# ------------------------------------------------------------------------------------------------ words and figures


def test_words_carry_the_numbers(explanation: Explanation) -> None:
    words = " ".join(in_words(explanation))
    attribution = explanation.attribution
    left, top, right, bottom = explanation.surroundings
    for number in (
        f"over the {right - left}×{bottom - top} pixels searched",  # not all of a large picture
        f"{attribution.diffusion_index:.1f}",
        f"{attribution.completeness_error:.1%}",
        f"{explanation.radius(0.9):.0f}",
        f"{np.median(explanation.distances):.0f}",
    ):
        assert number in words


def test_heat_grows_brighter_with_strength() -> None:
    pixels = heat_pixels(np.array([[0, 1e-5, 1e-2, 1.0]])).astype(int)
    assert (np.diff(pixels[0, 1:, :3].sum(-1)) > 0).all()
    assert pixels[0, :2, 3].tolist() == [0, 0]
    assert pixels[0, 3, 3] == 255


def test_stages_have_colours_of_their_own() -> None:
    for count in (1, 4, 10):
        colours = stage_colours(count)
        assert len(set(colours)) == count
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)


@pytest.mark.slow
def test_figures_are_written_in_every_format(explanation: Explanation, tmp_path: Path) -> None:
    figure = explanation_figure(explanation, title="A title of its own")
    for suffix in (".png", ".svg", ".pdf"):
        save_figure(figure, tmp_path / f"figure{suffix}")
    with Image.open(tmp_path / "figure.png") as image:
        assert min(image.size) > 1000
    ET.parse(tmp_path / "figure.svg")
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(OptionError, match="svg"):
        save_figure(figure, tmp_path / "figure.bmp")
    save_figure(figure, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "figure.svg").read_bytes()


def test_reach_is_drawn(untrained: HPINet, facade: np.ndarray, tmp_path: Path) -> None:
    cost = tiling_cost(lambda pixels: pixels.repeat(2, 0).repeat(2, 1), facade[:40, :40], scale=2, tile=32)
    field, seen = field_of_centre(untrained, facade[:40, :50])
    np.testing.assert_array_equal(seen, facade[:40, :50])
    save_figure(reach_figure(field, seen, cost, title="reach"), tmp_path / "reach.png")
    assert (tmp_path / "reach.png").stat().st_size > 10_000


def test_no_difference_is_drawn_as_none() -> None:
    pixels = np.full((20, 20, 3), 255, np.uint8)
    cost = TilingCost(pixels, pixels, 8, 4, math.inf, 0)
    figure = reach_figure(np.ones((10, 10)), pixels, cost, title="reach")
    (shown,) = (axes.images[0] for axes in figure.axes if axes.get_title() == "Difference")
    assert shown.get_clim() == (0, 1)


# ------------------------------------------------------------------------------------ what global access is worth


def test_detailed_spots_are_where_the_detail_is() -> None:
    picture = np.full((60, 90, 3), 128, np.uint8)
    picture[40:50:2, 10:20] = 255
    picture[12:18, 70:76:2] = 180
    (x, y), (second_x, second_y) = detailed_spots(picture, 5)  # the rest is flat
    assert 10 <= x < 20
    assert 38 <= y < 52
    assert 68 <= second_x < 78
    assert 10 <= second_y < 20


def test_effects_are_measured_with_and_without_access(untrained: HPINet, facade: np.ndarray) -> None:
    told: list[tuple[int, int]] = []
    effects = access_effects(
        untrained,
        facade[40:80, 40:90],
        name="a",
        spots=2,
        path=SHORT,
        region=32,
        progress=lambda *counts: told.append(counts),
    )
    assert [effect.picture for effect in effects] == ["a", "a"]
    assert all(effect.with_access != effect.without_access for effect in effects)
    assert told == [(n, 4) for n in range(5)]


def test_table_has_a_row_a_spot_and_the_mean() -> None:
    table = to_markdown([AccessEffect("a", 1, 2, 10.0, 6.0, 0.01), AccessEffect("b", 3, 4, 5.0, 4.0, 0.03)])
    rows = table.splitlines()
    assert rows[2] == "| a (1, 2) | 10.00 | 6.00 | -4.00 | 1.0% |"
    assert rows[-1] == "| **mean** (worst error) | 7.50 | 5.00 | -2.50 | 3.0% |"


@pytest.mark.slow
def test_removing_global_access_lowers_the_diffusion_index_of_the_published_network(shared: Path) -> None:
    from hpinet.checkpoints import registry

    model, _ = registry.load(shared / "authors" / "HPINet-M-x4.pth", scale=SCALE)
    picture = np.array(Image.open(shared / "data/set5/LR_bicubic/X4/butterflyx4.png").convert("RGB"))
    (effect,) = access_effects(model, picture, name="butterfly", path=BlurPath(steps=8), region=48)
    assert effect.without_access < 0.9 * effect.with_access


# -------------------------------------------------------------------------------------------------------- commands


def run(*arguments: str) -> str:
    """What a command prints. Errors of users are raised, as the front end wants them."""
    result = CliRunner().invoke(attribution_app, arguments, catch_exceptions=True)
    if isinstance(result.exception, HPINetError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_explain_command(tmp_path: Path) -> None:
    picture = tmp_path / "windows.png"
    with Image.open(EXAMPLES / "facade.png") as image:
        image.crop((40, 44, 72, 76)).save(picture)
    figures = [tmp_path / "a.png", tmp_path / "b.svg"]
    options = ["--at", "16,17", "--steps", "2", "-o", str(figures[0]), "-o", str(figures[1])]
    told = run("explain", str(picture), *options)
    assert "iffusion index" in told
    assert all(str(figure) in told and figure.is_file() for figure in figures)


def test_explain_command_tells_before_it_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that takes no files shows when one is written, after minutes of work."""

    def full(figure: object, path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("hpinet.attribution.figures.save_figure", full)
    with Image.open(EXAMPLES / "facade.png") as image:
        image.crop((40, 44, 72, 76)).save(tmp_path / "windows.png")
    arguments = ["explain", str(tmp_path / "windows.png"), "--at", "16,17", "--steps", "1"]
    result = CliRunner().invoke(attribution_app, arguments)
    assert isinstance(result.exception, OSError)
    assert "iffusion index" in result.stdout


@pytest.mark.parametrize("at", ["", "3", "3;4", "-1,2", "1.5,2"])
def test_explain_command_wants_two_coordinates(at: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="57,62"):
        run("explain", str(tmp_path / "x.png"), "--at", at)


def test_explain_command_checks_the_figure_before_it_works(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="figure"):
        run("explain", str(tmp_path / "x.png"), "--at", "1,2", "-o", "figure.doc")


def test_explain_gpa_command_prints_a_table(tmp_path: Path) -> None:
    with Image.open(EXAMPLES / "facade.png") as image:
        image.crop((40, 44, 68, 70)).save(tmp_path / "windows.png")
        image.crop((40, 44, 68, 70)).save(tmp_path / "windows.bmp")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._windows.png").write_bytes(b"what macOS leaves beside a file")
    told = run("explain-gpa", str(tmp_path), "--model", "T", "--steps", "1")
    assert told.count("windows.") == 2  # each by its own name
    assert "hpinet-t-x4" in told


def test_explain_gpa_command_leaves_out_what_it_cannot_measure(tmp_path: Path) -> None:
    with Image.open(EXAMPLES / "facade.png") as image:
        image.crop((40, 44, 68, 70)).save(tmp_path / "windows.png")
        image.crop((40, 44, 44, 70)).save(tmp_path / "narrow.png")
    Image.new("RGB", (30, 30), "grey").save(tmp_path / "flat.png")
    told = run("explain-gpa", str(tmp_path), "--model", "T", "--steps", "1")
    assert "\n| windows (" in told
    assert "narrow is left out: A window of 16 pixels does not fit into an output of 16×104.\n" in told
    assert "flat is left out: There is no detail in this picture.\n" in told
    with pytest.raises(OptionError, match="None of these pictures"):
        run("explain-gpa", str(tmp_path / "flat.png"), str(tmp_path / "narrow.png"), "--model", "T")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OptionError, match="no pictures in"):
        run("explain-gpa", str(tmp_path / "empty"))


def test_explain_gpa_command_names_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"broken\.png: "):
        run("explain-gpa", str(tmp_path), "--model", "T")


@pytest.mark.slow
def test_explain_reach_command(tmp_path: Path) -> None:
    picture, figure = tmp_path / "windows.png", tmp_path / "reach.png"
    with Image.open(EXAMPLES / "facade.png") as image:
        image.crop((40, 44, 80, 72)).save(picture)
    told = run("explain-reach", str(picture), "--tile", "24", "--overlap", "2", "-o", str(figure))
    assert "tiles of 24 pixels" in told
    assert "40×28 pixels" in told
    assert figure.is_file()
