"""The registry: what there is, what a name means, fetching and converting the authors' files."""

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from file_server import FileServer, dropping, file_server, good, slow
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import save_file

from hpinet import settings
from hpinet.checkpoints import registry
from hpinet.checkpoints.download import Digest
from hpinet.checkpoints.files import Provenance, Score, read_provenance, read_scores, write_checkpoint
from hpinet.checkpoints.registry import PUBLISHED, CheckpointInfo, catalogue, convert, fetch, find, load
from hpinet.errors import Cancelled, CheckpointError, OptionError
from hpinet.model import HPINet, variant_config
from hpinet.settings import AUTHORS_URL


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and authors who can be reached nowhere."""
    monkeypatch.setenv("HPINET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HPINET_AUTHORS_URL", "http://127.0.0.1:9/checkpoints")
    settings.settings.cache_clear()
    yield tmp_path / "cache"
    settings.settings.cache_clear()


def tiny(scale: int = 4) -> HPINet:
    torch.manual_seed(scale)
    return HPINet(variant_config("T", scale)).eval()


def small_model() -> HPINet:
    """What the authors of these tests have published, of a tier and scale that is not bundled."""
    torch.manual_seed(3)
    return HPINet(variant_config("S", 3)).eval()


def pth(model: HPINet) -> bytes:
    """The model in the authors' format."""
    stream = io.BytesIO()
    torch.save({f"module.{name}": tensor for name, tensor in model.state_dict().items()}, stream)
    return stream.getvalue()


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Authors who published an S×3, small enough to be fetched often, and nothing else."""
    data = pth(small_model())
    entry = registry.PublishedFile(
        Digest("sha256", hashlib.sha256(data).hexdigest()), size=len(data), set5=Score(30.5, 0.9)
    )
    monkeypatch.setattr(registry, "PUBLISHED", {("S", 3): entry})
    return data


@pytest.fixture
def server(published: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with file_server({"/mirror/HPINet-S-x3.pth": published}) as running:
        monkeypatch.setenv("HPINET_AUTHORS_URL", f"{running.url}/mirror/")
        settings.settings.cache_clear()
        yield running


def finished(cache: Path) -> bool:
    """Whether the cache holds the converted checkpoint and nothing half done."""
    left = {path.name for path in (cache / "authors").iterdir()}
    return left - {"hpinet-s-x3.lock"} == {"hpinet-s-x3"}


# ----------------------------------------------------------------------------------------------------- catalogue


def test_the_bundled_checkpoint() -> None:
    info = find("T")
    assert (info.name, info.origin, info.installed, info.parameters) == ("hpinet-t-x4", "bundled", True, 176_931)
    assert info.path is not None
    assert info.sha256 == hashlib.sha256((info.path / "model.safetensors").read_bytes()).hexdigest()
    assert info.size == (info.path / "model.safetensors").stat().st_size
    assert info.psnr_set5 is not None
    assert info.psnr_set5 > 28.42 + 2  # bicubic, and what a trained network is good for
    model, loaded = load("T", scale=4)
    assert loaded == info
    assert model.config == variant_config("T", 4)
    assert not model.training


def test_the_catalogue_lists_what_the_authors_published() -> None:
    authors = {(info.variant, info.scale): info for info in catalogue() if info.origin == "authors"}
    assert authors.keys() == {("S", 4), ("M", 2), ("M", 3), ("M", 4), ("L", 4)}
    assert not any(info.installed for info in authors.values())
    assert authors["M", 4].parameters == 895_659
    assert authors["M", 4].psnr_set5 == 32.601
    assert authors["L", 4].psnr_set5 is None  # never measured here
    assert authors["L", 4].sha256 is None


def test_recorded_facts_of_the_authors_files(shared: Path) -> None:
    scores = json.loads((shared / "authors" / "set5_scores.json").read_text())
    sums = dict(line.split()[::-1] for line in (shared / "authors" / "SHA256SUMS").read_text().splitlines())
    for (variant, scale), file in PUBLISHED.items():
        name = f"HPINet-{variant}-x{scale}.pth"
        if file.set5 is None:
            assert name not in sums
            continue
        assert file.digest == Digest("sha256", sums[name])
        assert file.size == (shared / "authors" / name).stat().st_size
        measured = scores[f"{variant}-x{scale}"]
        assert file.set5.psnr_y == pytest.approx(measured["psnr_y"], abs=0.0006)
        assert file.set5.ssim_y == pytest.approx(measured["ssim_y"], abs=0.00006)


def test_a_name_means_the_folder_that_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "__file__", str(tmp_path / "hpinet" / "checkpoints" / "registry.py"))
    provenance = Provenance(source="Made for a test", licence="apache-2.0", note="")
    for name in ("hpinet-mine-x2", "hpinet-t-x2", "hpinet-zz-x2"):
        write_checkpoint(tiny(2), tmp_path / "checkpoints" / name, provenance)
    found = find("hpinet-t-x2").path
    assert found is not None
    assert found.name == "hpinet-t-x2"


def test_an_installed_package_finds_its_own_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "hpinet"
    provenance = Provenance(source="Made for a test", licence="apache-2.0", note="")
    write_checkpoint(tiny(2), package / "_checkpoints" / "hpinet-t-x2", provenance)
    (tmp_path / "site-packages" / "checkpoints" / "hpinet-x-x9").mkdir(parents=True)  # somebody else's
    monkeypatch.setattr(registry, "__file__", str(package / "checkpoints" / "registry.py"))
    assert [info.name for info in catalogue() if info.origin == "bundled"] == ["hpinet-t-x2"]
    assert find("T", scale=2).installed


# ---------------------------------------------------------------------------------------------------------- find


@pytest.mark.parametrize("name", ["T", "t", "T-x4", "hpinet-t-x4", "HPINet-T-x4", "hpinet-t"])
def test_names_of_the_same_checkpoint(name: str) -> None:
    assert find(name) == find("T", scale=4)


@pytest.mark.parametrize(
    ("source", "scale", "error", "words"),
    [
        ("Q", None, OptionError, "no model 'Q'"),
        ("", None, OptionError, "no model ''"),
        ("T", 5, OptionError, "scale must be one of 2, 3, 4"),
        ("hpinet-t-x4", 2, OptionError, "enlarges ×4, not ×2"),
        ("S", 2, CheckpointError, "no weights for S ×2; there are L ×4, M ×2"),
        ("nowhere/x.pth", None, CheckpointError, "no checkpoint nowhere/x.pth"),
        ("x" * 300, None, OptionError, "no model 'xxx"),
        (f"a/{'x' * 300}", None, CheckpointError, "no checkpoint a/xxx"),
        ("a/b/c", None, CheckpointError, "no checkpoint a/b/c"),
        ("a/b..c", None, CheckpointError, "no checkpoint a/b..c"),
        ("a/b@v1", None, CheckpointError, "no Hub repository of that name has been fetched"),
        ("../no-such-folder", None, CheckpointError, "no checkpoint ../no-such-folder"),
        (Path("nowhere"), None, CheckpointError, "no checkpoint nowhere"),
        pytest.param(f"t-x{'9' * 5000}", None, OptionError, "no model 't-x999", id="more digits than Python reads"),
    ],
)
def test_what_is_not_there(source: str | Path, scale: int | None, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        find(source, scale=scale)


def test_paths(tmp_path: Path) -> None:
    model = tiny(3)
    provenance = Provenance(source="Made for a test", licence="apache-2.0", note="")
    write_checkpoint(model, tmp_path / "mine", provenance, scores={"Set5": Score(29.0, 0.8)})
    save_file(model.state_dict(), tmp_path / "lone.safetensors")
    (tmp_path / "lone.pth").write_bytes(pth(model))
    for source in (tmp_path / "mine", str(tmp_path / "mine"), tmp_path / "lone.safetensors", tmp_path / "lone.pth"):
        loaded, info = load(source, scale=3)
        assert (info.variant, info.scale, info.origin, info.path) == ("T", 3, "path", Path(source))
        assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())
        with pytest.raises(OptionError, match="enlarges ×3, not ×4"):
            load(source, scale=4)
    assert find(tmp_path / "mine").psnr_set5 == 29.0


def test_a_path_named_like_a_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(tiny(2), tmp_path / "T", Provenance(source="Made for a test", licence="apache-2.0", note=""))
    monkeypatch.chdir(tmp_path)
    assert find("T").origin == "bundled"
    assert find("./T").origin == find(Path("T")).origin == "path"


def test_nothing_is_fetched_unasked() -> None:
    with pytest.raises(CheckpointError, match="`python -m hpinet fetch M --scale 2` fetches it"):
        load("M", scale=2)


# --------------------------------------------------------------------------------------------------------- fetch


def test_fetch_verifies_and_converts(server: FileServer, cache: Path) -> None:
    calls: list[tuple[int, int]] = []
    before = find("S", scale=3)
    info = fetch("S", 3, progress=lambda *call: calls.append(call))
    assert (before.installed, info.installed) == (False, True)
    assert info == find("S", scale=3)
    assert (info.origin, info.psnr_set5, info.path) == ("authors", 30.5, cache / "authors" / "hpinet-s-x3")
    assert calls[0] == (0, before.size)
    assert calls[-1] == (before.size, before.size)
    assert finished(cache)
    model, _ = load("hpinet-s-x3")
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in small_model().state_dict().items())


def test_origin_and_rights_are_kept(server: FileServer, published: bytes) -> None:
    path = fetch("S", 3).path
    assert path is not None
    with safe_open(path / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["source"] == f"Published by the authors: {AUTHORS_URL}/HPINet-S-x3.pth"  # not the mirror
    assert metadata["source_sha256"] == hashlib.sha256(published).hexdigest()
    assert "without a licence" in metadata["note"]
    assert metadata["licence"] == "other"
    assert "created" in metadata
    card = (path / "README.md").read_text()
    assert metadata["source_sha256"] in card
    assert metadata["note"] in card
    assert read_scores(path) == {"Set5": Score(30.5, 0.9)}


def test_fetching_twice_asks_once(server: FileServer) -> None:
    assert fetch("S", 3) == fetch("S", 3)
    assert len(server.requests) == 1


def test_load_fetches_when_told_to(server: FileServer) -> None:
    model, info = load("S", scale=3, fetch=True)
    assert info.installed
    assert model.config == variant_config("S", 3)


def test_load_does_not_fetch_what_is_here() -> None:
    assert load("T", fetch=True)[1].origin == "bundled"


def test_a_damaged_installation_is_fetched_again(server: FileServer) -> None:
    path = fetch("S", 3).path
    assert path is not None
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="checksum"):
        load("S", scale=3)
    assert find("T").installed  # the others are not affected
    fetch("S", 3)
    load("S", scale=3)
    assert len(server.requests) == 2


def test_a_dropped_connection_resumes(server: FileServer, cache: Path) -> None:
    server.behaviours = [dropping, good]
    fetch("S", 3)
    assert finished(cache)
    assert (server.requests[1][1] or "").startswith("bytes=")


@pytest.mark.parametrize("fault", ["truncated", "corrupted", "missing"])
def test_what_is_not_the_authors_file_is_never_installed(server: FileServer, cache: Path, fault: str) -> None:
    path = "/mirror/HPINet-S-x3.pth"
    data = server.files.pop(path)
    if fault != "missing":
        server.files[path] = data[:-100] if fault == "truncated" else data[:-100] + bytes(100)
    with pytest.raises(CheckpointError, match="404" if fault == "missing" else "damaged"):
        fetch("S", 3)
    assert not find("S", scale=3).installed
    assert {file.name for file in (cache / "authors").iterdir()} <= {"hpinet-s-x3.lock"}
    server.files[path] = data
    assert fetch("S", 3).installed


def test_cancelling_a_fetch(server: FileServer) -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch("S", 3, progress=stop)
    assert not find("S", scale=3).installed
    assert fetch("S", 3).installed


def test_offline_is_said_plainly() -> None:
    with pytest.raises(CheckpointError, match=r"Cannot reach 127\.0\.0\.1: go online"):
        fetch("M", 4)
    assert find("T").installed


def test_a_cache_that_cannot_be_written(server: FileServer, cache: Path) -> None:
    cache.write_text("a file in its place")
    with pytest.raises(CheckpointError, match="HPINET_CACHE"):
        fetch("S", 3)


def test_only_what_was_published_can_be_fetched() -> None:
    with pytest.raises(CheckpointError, match="no weights for L ×2"):
        fetch("L", 2)
    with pytest.raises(OptionError, match="no model"):
        fetch("XL", 4)
    assert fetch("T", 4).origin == "bundled"  # here already


FETCH = """
import sys, hpinet.checkpoints.registry as c
from hpinet.checkpoints.download import Digest
c.PUBLISHED = {("S", 3): c.PublishedFile(Digest("sha256", sys.argv[1]), size=int(sys.argv[2]), set5=None)}
print("ready", flush=True)
sys.stdin.readline()
print(c.fetch("S", 3).sha256)
"""


@pytest.mark.slow
def test_two_processes_at_the_same_time(server: FileServer, published: bytes, cache: Path) -> None:
    server.behaviours = [slow]
    command = [sys.executable, "-c", FETCH, hashlib.sha256(published).hexdigest(), str(len(published))]
    repository = Path(__file__).parents[2]
    processes = [
        subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    hashes = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert hashes == {find("S", scale=3).sha256}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(server.requests) == 1
    assert finished(cache)


def test_waiting_for_another_fetch_can_be_cancelled(server: FileServer, cache: Path) -> None:
    calls = 0

    def stop(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Cancelled

    (cache / "authors").mkdir(parents=True)
    with FileLock(cache / "authors" / "hpinet-s-x3.lock"), pytest.raises(Cancelled):
        fetch("S", 3, progress=stop)
    assert server.requests == []


def test_waiting_for_another_fetch_has_an_end(server: FileServer, cache: Path) -> None:
    (cache / "authors").mkdir(parents=True)
    lock = FileLock(cache / "authors" / "hpinet-s-x3.lock")
    with lock, pytest.raises(CheckpointError, match="being fetched just now"):
        fetch("S", 3, patience=0.2)
    assert server.requests == []


def test_the_authors_own_files(shared: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"/{path.name}": path.read_bytes() for path in (shared / "authors").glob("*.pth")}
    with file_server(files) as server:
        monkeypatch.setenv("HPINET_AUTHORS_URL", server.url)
        settings.settings.cache_clear()
        for name in files:
            info = fetch(name.removeprefix("/").removesuffix(".pth"))
            assert info.installed
            assert info.path == cache / "authors" / info.name
    assert sum(info.installed for info in catalogue() if info.origin == "authors") == len(files) == 4


# ------------------------------------------------------------------------------------------------------- convert


def test_convert_a_published_file(published: bytes, tmp_path: Path) -> None:
    (tmp_path / "renamed.pth").write_bytes(published)
    info = convert(tmp_path / "renamed.pth", tmp_path / "out")
    assert info == find(tmp_path / "out")
    assert info.psnr_set5 == 30.5
    assert "without a licence" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_convert_weights_of_unknown_origin(published: bytes, tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"mine{suffix}"
    model = tiny(2)
    if suffix == ".pth":
        source.write_bytes(pth(model))
    else:
        save_file(model.state_dict(), source)
    info = convert(source, tmp_path / "out")
    assert (info.name, info.origin, info.psnr_set5) == ("hpinet-t-x2", "path", None)
    card = (tmp_path / "out" / "README.md").read_text()
    assert hashlib.sha256(source.read_bytes()).hexdigest() in card
    assert source.name in card
    assert "license: unknown" in card
    assert all(
        torch.equal(tensor, model.state_dict()[name]) for name, tensor in load(tmp_path / "out")[0].state_dict().items()
    )


def test_convert_keeps_what_a_file_of_ours_says_of_itself(tmp_path: Path) -> None:
    mine = Provenance(source="Trained at home", licence="cc-by-4.0", note="Mine, all mine.", created="2026-01-02")
    write_checkpoint(tiny(2), tmp_path / "mine", mine)
    lone = (tmp_path / "mine" / "model.safetensors").rename(tmp_path / "lone.safetensors")
    convert(lone, tmp_path / "out")
    assert read_provenance(tmp_path / "out" / "model.safetensors") == mine
    card = (tmp_path / "out" / "README.md").read_text()
    for words in ("license: cc-by-4.0", "Trained at home, 2026-01-02.", "Mine, all mine."):
        assert words in card


def test_convert_overwrites_nothing(published: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(published)
    convert(tmp_path / "a.pth", tmp_path / "out")
    with pytest.raises(CheckpointError, match=r"out has a file model\.safetensors already"):
        convert(tmp_path / "a.pth", tmp_path / "out")
    for name in ("README.md", "config.json"):
        folder = tmp_path / f"project-with-{name}"
        folder.mkdir()
        (folder / name).write_text("mine")
        with pytest.raises(CheckpointError, match=f"has a file {name} already"):
            convert(tmp_path / "a.pth", folder)
        assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(name, "mine")]
    with pytest.raises(CheckpointError, match="convert takes"):
        convert(tmp_path / "out", tmp_path / "again")
    with pytest.raises(CheckpointError, match="Cannot write"):
        convert(tmp_path / "a.pth", tmp_path / "a.pth" / "inside")
    with pytest.raises(CheckpointError, match="no file"):
        convert(tmp_path / "b.pth", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_convert_the_authors_files(shared: Path, tmp_path: Path) -> None:
    info = convert(shared / "authors" / "HPINet-M-x3.pth", tmp_path / "m")
    assert (info.name, info.psnr_set5) == ("hpinet-m-x3", 34.697)
    converted, _ = load(tmp_path / "m")
    direct, _ = load(shared / "authors" / "HPINet-M-x3.pth")
    assert all(torch.equal(t, converted.state_dict()[name]) for name, t in direct.state_dict().items())


def test_infos_are_values() -> None:
    info = find("T")
    assert isinstance(info, CheckpointInfo)
    assert replace(info) == info
    assert replace(info, path=None).installed is False
