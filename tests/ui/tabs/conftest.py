"""Of the tabs, called as the page calls them, without a browser."""

from pathlib import Path

import pytest

FIELDS = {
    "model": "T",
    "scale": "×4",
    "side": "Longest side",
    "pixels": 1920,
    "treatment": "auto",
    "format": "PNG",
    "quality": 90,
    "metadata": "drop",
}
"""What the fields of a run say."""


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a file lies that was sent."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (tmp_path / "upload").mkdir()
    return tmp_path / "upload"
