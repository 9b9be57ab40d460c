"""Checkpoints of a Hub that is a server on loopback, with the real client in processes of their own.

`HF_ENDPOINT` and `HF_HUB_OFFLINE` are read when the client is imported, hence the processes.
"""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from file_server import serving
from hub_server import COMMIT, Hub, etag

from hpinet.checkpoints.download import LARGEST
from hpinet.checkpoints.files import CARD, CONFIG, WEIGHTS, Provenance, Score, write_checkpoint
from hpinet.checkpoints.levels import TREATMENT, Levels
from hpinet.model import HPINet, HPINetConfig

pytestmark = pytest.mark.slow

LOAD = """
import json, sys
from hpinet.checkpoints.levels import read_treated
from hpinet.checkpoints.registry import find, load
from hpinet.checkpoints.pretrained import HPINet
from hpinet.errors import HPINetError
for source, fetch in json.loads(sys.argv[1]):
    calls = []
    try:
        model, info = load(source, fetch=fetch, progress=lambda *call: calls.append(call))
        assert find(source) == info
        repository, _, revision = source.partition("@")
        mixin = HPINet.from_pretrained(repository, revision=revision or None)
        assert all(mixin.state_dict()[name].equal(tensor) for name, tensor in model.state_dict().items())
        strongest = len(info.levels.names) if info.levels else 0
        read_treated(info.path, strongest)
        answer = {"origin": info.origin, "name": info.name, "psnr": info.psnr_set5, "sha256": info.sha256,
                  "calls": calls, "levels": strongest}
    except HPINetError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))
"""


class WatchedHub(Hub):
    """Notes which files it gives."""

    given: ClassVar[list[tuple[str, str]]] = []

    def answer(self, *, with_body: bool) -> None:
        if with_body:
            _, owner, name, _, _, file = self.path.split("/", 5)
            self.given.append((f"{owner}/{name}", file))
        super().answer(with_body=with_body)


@dataclass
class Answers:
    """What each attempt of each process printed."""

    online: list[dict[str, Any]]
    later: str  # what is said of a later commit, whose weights arrive damaged
    offline: list[dict[str, Any]]
    down: list[dict[str, Any]]
    files: dict[str, bytes]


ONLINE = [
    ("team/good", False),
    ("team/good", True),
    ("team/good", False),
    (f"team/without-card@{COMMIT}", True),
    ("team/blob@main", True),
    ("team/damaged", True),
    ("team/pickle", True),
    ("team/absent", True),
    ("team/good@v9", True),
    ("closed/shop", True),
    ("team/foreign", True),
    ("team/large", True),
    ("team/large-level", True),
    ("team/levels", True),
]
OFFLINE = [
    ("team/good", True),
    (f"team/good@{COMMIT}", True),
    ("team/pickle", True),
    ("team/damaged", False),
    ("team/levels", False),
]
DOWN = [("team/good", True), ("team/pickle", True)]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    folder = tmp_path_factory.mktemp("hub")
    torch.manual_seed(0)
    model = HPINet(HPINetConfig(3, dim=8, qk_dim=4, ffn_dim=12, patch_sizes=(5, 8)))
    provenance = Provenance(source="Made for a test", licence="apache-2.0", note="")
    write_checkpoint(model, folder / "checkpoint", provenance, scores={"Set5": Score(30.0, 0.8)})
    files = {name: (folder / "checkpoint" / name).read_bytes() for name in (CONFIG, WEIGHTS, CARD)}
    damaged = bytes(reversed(files[WEIGHTS]))
    blob = files[WEIGHTS] + b""
    large = bytes(LARGEST + 1)
    levels = {TREATMENT: Levels(("light",), ((50, 1.0),)).to_json().encode(), f"light/{CONFIG}": files[CONFIG]}
    Hub.repositories = {
        "team/good": files,
        "team/without-card": {CONFIG: files[CONFIG], WEIGHTS: files[WEIGHTS]},
        "team/blob": files,
        "team/levels": {
            **files,
            **levels,
            f"light/{WEIGHTS}": files[WEIGHTS],
        },
        "team/foreign": {CONFIG: b'{"model_type": "gpt2"}', WEIGHTS: files[WEIGHTS]},
        "team/large": {**files, WEIGHTS: large},
        "team/large-level": {**files, **levels, f"light/{WEIGHTS}": large},
        "team/damaged": {CONFIG: files[CONFIG], WEIGHTS: damaged},
        "team/pickle": {CONFIG: files[CONFIG], "pytorch_model.bin": b"pickle"},
        "closed/shop": files,
    }
    Hub.announced = {damaged: etag(blob, large=True)}

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            env={**os.environ, "HF_HOME": str(folder / "cache"), "HF_HUB_DISABLE_XET": "1", **environment},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def attempt(sources: list[tuple[str, bool]], **environment: str) -> list[dict[str, Any]]:
        done = run("-c", LOAD, json.dumps(sources), **environment)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    with serving(WatchedHub) as url:
        online = attempt(ONLINE, HF_ENDPOINT=url)
        later = damaged + b"later"
        Hub.announced[later] = etag(b"what it should be", large=True)
        Hub.repositories["team/good"] = {**files, WEIGHTS: later}
        Hub.commits = {"team/good": COMMIT[::-1]}
        said = run("-m", "hpinet", "fetch", "team/good", HF_ENDPOINT=url).stderr
        Hub.commits = {}
    offline = attempt(OFFLINE, HF_HUB_OFFLINE="1")
    down = attempt(DOWN, HF_ENDPOINT=url)  # nobody listens any more
    return Answers(online, said, offline, down, files)


def is_the_model(answer: dict[str, Any], answers: Answers) -> bool:
    return answer.get("sha256") == hashlib.sha256(answers.files[WEIGHTS]).hexdigest()


def test_nothing_is_fetched_unasked(answers: Answers) -> None:
    assert "`python -m hpinet fetch team/good`" in answers.online[0]["error"]


def test_fetching(answers: Answers) -> None:
    answer = answers.online[1]
    assert is_the_model(answer, answers)
    assert (answer["origin"], answer["name"], answer["psnr"]) == ("hub", "hpinet-custom-x3", 30.0)
    size = len(answers.files[WEIGHTS])
    assert answer["calls"][0] == [0, size]
    assert answer["calls"][-1] == [size, size]


def test_levels_come_along(answers: Answers) -> None:
    for answer in (answers.online[-1], answers.offline[-1]):
        assert is_the_model(answer, answers)
        assert answer["levels"] == 1
    assert answers.online[1]["levels"] == 0


def test_what_was_fetched_stays(answers: Answers) -> None:
    assert is_the_model(answers.online[2], answers)


def test_a_pinned_commit_without_a_card(answers: Answers) -> None:
    assert is_the_model(answers.online[3], answers)
    assert answers.online[3]["psnr"] is None


def test_a_named_branch(answers: Answers) -> None:
    assert is_the_model(answers.online[4], answers)


def test_damaged_weights_are_not_kept(answers: Answers) -> None:
    assert "damaged" in answers.online[5]["error"]
    assert "has been fetched" in answers.offline[3]["error"]


def test_what_was_fetched_is_found_until_all_of_a_later_commit_is_here(answers: Answers) -> None:
    assert "arrived damaged" in answers.later
    assert is_the_model(answers.offline[0], answers)


def test_pickles_are_not_fetched(answers: Answers) -> None:
    assert "needs config.json and model.safetensors" in answers.online[6]["error"]


def test_of_a_repository_that_is_no_hpinet_the_configuration_is_fetched_alone(answers: Answers) -> None:
    assert "must have the fields" in answers.online[10]["error"]
    assert {file for repository, file in WatchedHub.given if repository == "team/foreign"} == {CONFIG}


def test_weights_that_are_too_large_are_not_fetched(answers: Answers) -> None:
    assert f"{WEIGHTS} of team/large is not fetched: it has 67.1 MB" in answers.online[11]["error"]
    assert f"light/{WEIGHTS} of team/large-level is not fetched" in answers.online[12]["error"]
    assert not any(repository.startswith("team/large") and WEIGHTS in file for repository, file in WatchedHub.given)


def test_what_the_hub_does_not_have(answers: Answers) -> None:
    assert "no repository team/absent" in answers.online[7]["error"]
    assert "no revision v9" in answers.online[8]["error"]
    assert "does not give closed/shop: 403" in answers.online[9]["error"]


def test_offline_what_was_fetched_still_works(answers: Answers) -> None:
    assert is_the_model(answers.offline[0], answers)
    assert is_the_model(answers.offline[1], answers)
    assert "Cannot reach the Hub" in answers.offline[2]["error"]


def test_a_hub_that_is_down(answers: Answers) -> None:
    assert is_the_model(answers.down[0], answers)
    assert "Cannot reach the Hub" in answers.down[1]["error"]
