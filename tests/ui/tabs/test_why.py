"""Why a spot looks as it does: of the result that is shown, however the fields stand by now."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest
from PIL import Image

from hpinet.errors import OptionError
from hpinet.images.compression import Compression
from hpinet.plan import TargetSize, make_plan
from hpinet.ui.jobs import zerogpu
from hpinet.ui.jobs.explain import Question
from hpinet.ui.tabs import why


@pytest.fixture
def photo(uploads: Path) -> Path:
    path = uploads / "photo.jpg"
    Image.effect_noise((64, 64), 60).resize((160, 120)).convert("RGB").save(path, quality=50)
    return path


@pytest.mark.parametrize(
    ("treatment", "scale", "told"),
    [("auto", 2, "JPEG, about quality 50, 4:2:0: <b>treated</b>"), ("clean", 4, ""), ("auto", 8, "treated")],
)
def test_the_weights_are_those_of_the_result(photo: Path, treatment: str, scale: int, told: str) -> None:
    plan = make_plan((160, 120), TargetSize(scale=scale), natives=[2, 3, 4])
    outcome, source = SimpleNamespace(plan=plan), cast(Any, SimpleNamespace(path=photo, found=None))
    shown = cast(Any, SimpleNamespace(source=source, outcome=outcome, model="T", treatment=treatment))
    facts, heat, *_, more, asked = why.explain_here(gr.Request(), shown=shown, x=80, y=60)
    assert f"<b>hpinet-t-x{plan.passes[0]}</b> at 80, 60" in facts
    assert told in facts
    assert ("treated" in facts) == bool(told)
    assert "<svg" in heat
    assert asked == why.Asked(source, 80, 60, "T", plan.passes[0], cast(Any, treatment))
    assert more == gr.update(interactive=True)


def test_a_part_is_explained_by_what_the_whole_went_through(photo: Path) -> None:
    part = photo.with_name("part.png")
    with Image.open(photo) as whole:
        whole.crop((40, 30, 100, 90)).save(part)
    outcome = SimpleNamespace(plan=make_plan((60, 60), TargetSize(scale=2), natives=[2]))
    source = SimpleNamespace(path=part, found=Compression("WEBP", None))
    shown = cast(Any, SimpleNamespace(source=source, outcome=outcome, model="T", treatment="auto"))
    assert "WEBP: <b>treated</b>" in why.explain_here(gr.Request(), shown=shown, x=20, y=20)[0]


def test_without_an_answer_there_is_nothing_to_go_on_with() -> None:
    facts, *others = why.explain_here(gr.Request(), shown=None, x=3, y=4)
    assert "Upscale the picture first." in facts
    assert others == [gr.skip()] * 5
    *_, more, asked = why._begin(gr.Request())
    assert (more, asked) == (gr.update(interactive=False), None)


def test_what_was_made_without_a_gpu_is_explained_by_the_same_network_with_one(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(question: Question) -> None:
        raise OptionError(f"asks for {question.model}")

    monkeypatch.setattr(zerogpu, "IS_HERE", True)
    monkeypatch.setattr(why, "look", look)
    outcome = SimpleNamespace(plan=make_plan((160, 120), TargetSize(scale=4), natives=[4]))
    shown = cast(
        Any,
        SimpleNamespace(
            source=SimpleNamespace(path=photo, found=None), outcome=outcome, model="T-cpu", treatment="auto"
        ),
    )
    assert ">asks for T<" in why.explain_here(gr.Request(), shown=shown, x=80, y=60)[0]
