"""Fixtures of the tests of clusters: those that need Ray skip without it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hpinet.cluster.places import Place
from hpinet.settings import settings
from scripts.prove_cluster import raylets


@pytest.fixture(scope="session")
def ray_is_here() -> None:
    """Skips where the extra is missing."""
    pytest.importorskip("ray", reason='needs the extra cluster: pip install ".[cluster]"')


@pytest.fixture(scope="module")
def cluster(ray_is_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two raylets with one CPU each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPINET_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HPINET_THREADS", "1")
        settings.cache_clear()
        with raylets(2) as started:
            yield started
    settings.cache_clear()


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder with pictures, and with much else."""
    folder = tmp_path / "scans"
    chance = np.random.default_rng(0)
    for name in ("a.png", "a.jpg", "deep/b.png", "deep/c_x2_hpinet-t.png", ".hidden/d.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(chance.integers(0, 256, (20, 24, 3), np.uint8)).save(folder / name)
    (folder / "deep" / "torn.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture either")
    return folder


Lock = Callable[[Place, str, Exception], None]


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Lock:
    """Makes a folder in a place one that cannot be listed; modes would not stop root."""

    def locked(place: Place, name: str, error: Exception) -> None:
        system, root = place._open()
        kind, listed = type(system), type(system).ls

        def ls(self: Any, path: str, detail: bool = True, **options: Any) -> Any:
            if path == f"{root}/{name}".rstrip("/"):
                raise error
            return listed(self, path, detail=detail, **options)

        monkeypatch.setattr(kind, "ls", ls)

    return locked
