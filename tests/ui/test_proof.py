"""What a public page must hold on a machine with nothing else to do: ``pytest -m proof -n 0``."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from .conftest import EXAMPLES, OpenPage
from .test_browser import choose, seconds_to_a_piece, shown, upload

pytestmark = pytest.mark.proof


def test_the_page_is_fair_and_loses_nothing() -> None:
    """The proof in its short version, by the command that prints it."""
    command = [sys.executable, "-m", "scripts.prove_trust", "--short"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.browser
def test_a_piece_of_a_photograph_is_seen_within_two_seconds(
    open_page: OpenPage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 12 megapixels, the second time: a model is loaded by whoever comes first."""
    seconds = []
    for number in range(2):
        photo = tmp_path / f"photo-{number}.jpg"
        with Image.open(EXAMPLES / "towers.png") as towers:
            towers.convert("RGB").rotate(180 * number).resize((4000, 3000)).save(photo, quality=92)
        page = open_page()
        upload(page, photo)
        choose(page, "#scale", "×2")
        page.locator("#forecast", has_text="4000×3000 → 8000×6000").wait_for()
        seconds.append(seconds_to_a_piece(page))
        assert shown(page)["model"].endswith("a piece of it")
        page.locator("#stop").click()
        page.locator("#status", has_text="Stopped").wait_for()
    with capsys.disabled():
        print("\na piece of 12 megapixels was seen after", ", ".join(f"{each:.1f} s" for each in seconds))
    assert seconds[-1] <= 2
