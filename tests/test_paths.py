"""Paths as people write them."""

from pathlib import Path

import pytest

from hpinet.paths import exists, path_of


def test_home_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path_of("~/a.png") == tmp_path / "a.png"
    assert path_of(Path("~nobody-at-all/a.png")) == Path("~nobody-at-all/a.png")
    assert path_of("b/a.png") == Path("b/a.png")


@pytest.mark.parametrize(("name", "there"), [("", True), ("absent", False), ("x" * 300, False), ("a\0b", False)])
def test_names_that_no_file_can_have_are_nowhere(tmp_path: Path, name: str, there: bool) -> None:
    assert exists(tmp_path / name) == there
