import json
import math
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import save_file
from tiny import picture, tiny_recipe, tiny_run

from hpinet.errors import Cancelled, CheckpointError, HPINetError, ImageError, OptionError
from hpinet.model import HPINet, variant_config
from hpinet.training.loop import (
    LossWatch,
    Options,
    TrainingStopped,
    _deterministic,
    _moving_average,
    loss_of_each,
    new_model,
    require_even_shares,
    train,
    warm_start,
)
from hpinet.training.recipes import Phase
from hpinet.training.state import Run, branch_cooldown, load_state, read_log

OFTEN = Options(log_every=1, save_every=1, validate_every=3)


def same(a: object, b: object) -> bool:
    """Equality of nested states, to the bit."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def assert_same_end(one: Path, other: Path) -> None:
    states = [load_state(folder) for folder in (one, other)]
    logs = [read_log(folder) for folder in (one, other)]
    for record in [*states, *logs[0], *logs[1]]:
        assert record is not None
        del record["hours"]
    assert same(*states)
    assert logs[0] == logs[1]


def test_a_run_learns_logs_and_ends(pictures: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    decoded: list[tuple[int, int]] = []
    run = tiny_run(pictures, validation=True, steps=24)
    outcome = train(
        tmp_path / "run",
        run,
        options=replace(OFTEN, validate_every=12),
        decoding=lambda *call: decoded.append(call),
        progress=lambda *call: calls.append(call),
    )
    assert (outcome.step, outcome.finished) == (24, True)
    assert decoded == [(done, 3) for done in range(4)]
    assert calls == [(done, 24) for done in range(25)]
    log = read_log(tmp_path / "run")
    losses = [entry["loss"] for entry in log if entry["kind"] == "train"]
    scores = [entry["psnr"] for entry in log if entry["kind"] == "valid"]
    assert len(losses) == 24
    assert sum(losses[-6:]) < 0.9 * sum(losses[:6])
    assert outcome.psnr == scores[-1] > scores[0]
    assert [entry["rate"] for entry in log if entry["kind"] == "train"][-1] == pytest.approx(1e-3 / 3)


@pytest.mark.parametrize("frequencies", [0.0, 4.0])
def test_loss_of_frequencies(frequencies: float) -> None:
    sr, hr = (torch.rand(3, 3, 8, 6, generator=torch.manual_seed(seed)) for seed in (1, 2))
    each = loss_of_each(sr, hr, Phase(1, crop=32, batch=3, micro_batch=3, frequencies=frequencies))
    assert each.shape == (3,)
    for loss, a, b in zip(each, sr.double().numpy(), hr.double().numpy(), strict=True):
        spectrum = np.fft.rfft2(a - b, norm="ortho")
        expected = np.abs(a - b).mean() + frequencies * (np.abs(spectrum.real) + np.abs(spectrum.imag)).mean() / 2
        assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "soap"])
def test_resuming_changes_nothing(optimizer: str, pictures: Path, tmp_path: Path) -> None:
    run = tiny_run(pictures, validation=True, steps=13, optimizer=optimizer)  # SOAP looks for a new basis every 10
    train(tmp_path / "straight", run, options=OFTEN)

    def stop_at_8(done: int, _: int) -> None:
        if done == 8:
            raise Cancelled

    with pytest.raises(Cancelled):
        train(tmp_path / "resumed", run, options=replace(OFTEN, save_every=7), progress=stop_at_8)
    state = load_state(tmp_path / "resumed")
    assert state is not None
    assert state["step"] == 7  # step 8 is lost and done again
    train(tmp_path / "resumed", options=OFTEN)
    assert_same_end(tmp_path / "straight", tmp_path / "resumed")


@pytest.mark.slow
def test_kill_9_changes_nothing(pictures: Path, tmp_path: Path) -> None:
    run = tiny_run(pictures, steps=16)
    train(tmp_path / "straight", run, options=OFTEN)
    process = start(tmp_path / "killed", run, "--save-every", "1")
    wait_for_state(tmp_path / "killed", process)
    process.kill()
    process.wait()
    assert not train(tmp_path / "killed", options=replace(OFTEN, time_budget=0)).finished  # it had been under way
    train(tmp_path / "killed", options=OFTEN)
    states = [load_state(tmp_path / name) for name in ("straight", "killed")]
    for state in states:
        assert state is not None
        del state["hours"]
    assert same(*states)


def test_threads_add_up_in_one_order(pictures: Path, tmp_path: Path) -> None:
    """The gradient of patches that overlap is a sum, which many threads would make in whatever order they come."""
    seen: list[bool] = []
    train(
        tmp_path / "run",
        tiny_run(pictures),
        progress=lambda *_: seen.append(torch.are_deterministic_algorithms_enabled()),
    )
    assert seen
    assert all(seen)
    assert not torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(8)
    index, weights = torch.randint(0, 400, (20_000,)), torch.randn(20_000, 32)
    gradients = set[bytes]()
    with _deterministic(torch.device("cpu")):
        for _ in range(12):
            pixels = torch.zeros(400, 32, requires_grad=True)
            (pixels[index] * weights).sum().backward()
            assert pixels.grad is not None
            gradients.add(pixels.grad.numpy().tobytes())
    assert len(gradients) == 1


@pytest.mark.slow
def test_processes_with_folders_of_their_own_do_not_go_on(pictures: Path, tmp_path: Path) -> None:
    """As on machines that do not share the folder: one would go on, and the others begin anew."""
    run = tiny_run(pictures, batch=8, micro_batch=2)
    train(tmp_path / "0", run, options=Options(save_every=1, time_budget=0))
    script = tmp_path / "go_on.py"
    script.write_text(
        "import os, pathlib\n"
        "from hpinet.training.loop import train\n"
        "from hpinet.training.state import Run\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "train(folder / os.environ['RANK'], Run.load(folder / '0'))\n"
    )
    state = load_state(tmp_path / "0")
    assert state is not None
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    root = Path(__file__).parents[2]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    done = subprocess.run(launcher, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "all need the same folder" in done.stderr


@pytest.mark.slow
def test_sigterm_saves_and_exits_with_0(pictures: Path, tmp_path: Path) -> None:
    process = start(tmp_path / "run", tiny_run(pictures, steps=10_000), "--save-every", "1")
    wait_for_state(tmp_path / "run", process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    state, last = load_state(tmp_path / "run"), read_log(tmp_path / "run")
    assert state is not None
    assert 0 < state["step"] < 10_000
    assert all(entry["step"] <= state["step"] for entry in last)


@pytest.mark.slow
def test_two_processes_are_one(pictures: Path, tmp_path: Path) -> None:
    """Under Accelerate with gloo, two processes follow the curve of one that does their common batch."""
    # Not L1: rounding can flip the sign of an error, and so its gradient, and Adam then leads the runs apart.
    run = tiny_run(pictures, batch=8, micro_batch=2, loss="smooth_l1")
    train(tmp_path / "one", run, options=OFTEN)
    # `accelerate launch` starts several processes on GPUs, but one on a CPU unless MPI does it; torchrun starts two.
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    process = start(tmp_path / "two", run, "--log-every", "1", launcher=launcher)
    uneven = start(tmp_path / "uneven", tiny_run(pictures, batch=6, micro_batch=2), launcher=launcher)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert "cannot be shared by 2 processes" in uneven.communicate(timeout=120)[1]  # there really are two
    one, two = (
        [(entry["step"], entry["loss"], entry["norm"]) for entry in read_log(tmp_path / name)]
        for name in ("one", "two")
    )
    assert len(two) == 6
    for ours, theirs in zip(one, two, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    states = [load_state(tmp_path / name) for name in ("one", "two")]
    assert states[0] is not None
    assert states[1] is not None
    for name, tensor in states[0]["model"].items():
        torch.testing.assert_close(tensor, states[1]["model"][name], rtol=1e-3, atol=1e-5)


def start(folder: Path, run: Run, *options: str, launcher: list[str] | None = None) -> subprocess.Popen[str]:
    recipe = folder.with_suffix(".json")
    recipe.write_text(json.dumps(run.recipe.to_dict()))
    command = [*(launcher or [sys.executable]), "-m", "hpinet.training", "run", str(folder)]
    command += ["--data", run.data[0], "--recipe", str(recipe), *options]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, env=os.environ | threads, cwd=root, stderr=subprocess.PIPE, text=True)


def wait_for_state(folder: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not (folder / "state.pt").is_file():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_average_leaves_the_first_weights_behind() -> None:
    """After n steps, its age is about a tenth of n, until the decay says otherwise."""
    update = _moving_average(0.99)
    for steps, oldest in ((10, 3e-3), (100, 1e-6)):
        averaged = [torch.ones(1)]
        for count in range(1, steps + 1):
            update(averaged, [torch.zeros(1)], torch.tensor(count))
        assert averaged[0].item() < oldest
    averaged = [torch.ones(1)]
    update(averaged, [torch.zeros(1)], torch.tensor(10**6))
    assert averaged[0].item() == pytest.approx(0.99)


def test_a_time_budget_of_nothing_still_makes_a_step(pictures: Path, tmp_path: Path) -> None:
    outcome = train(tmp_path / "run", tiny_run(pictures), options=Options(time_budget=0))
    assert (outcome.step, outcome.finished) == (1, False)
    assert load_state(tmp_path / "run") is not None


def test_processes_must_share_evenly() -> None:
    with pytest.raises(OptionError, match="cannot be shared by 3 processes"):
        require_even_shares(tiny_recipe(batch=4, micro_batch=1), 3)


def test_a_folder_keeps_its_run(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="to resume"):
        train(tmp_path / "run")
    train(tmp_path / "run", tiny_run(pictures), options=Options(time_budget=0))
    with pytest.raises(OptionError, match="another run"):
        train(tmp_path / "run", tiny_run(pictures, steps=7))


def test_what_cannot_begin_leaves_the_folder_free(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for broken in (
        replace(tiny_run(pictures), data=(str(tmp_path / "empty"),)),
        replace(tiny_run(pictures), validation=str(tmp_path / "empty")),
        tiny_run(pictures, started_from=str(tmp_path / "empty")),
    ):
        with pytest.raises(HPINetError):
            train(tmp_path / "run", broken)
    assert train(tmp_path / "run", tiny_run(pictures), options=Options(time_budget=0)).step == 1


def test_a_validation_picture_too_small_to_score_is_said_at_once(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "valid").mkdir()
    for side in (5, 4):
        picture(0, 30, side).save(tmp_path / "valid/one.png")
        run = replace(tiny_run(pictures), validation=str(tmp_path / "valid"))
        with pytest.raises(ImageError, match=r"one\.png is too small to be scored at ×2"):
            train(tmp_path / "run", run)
    assert not list(tmp_path.glob("cache/*"))  # before the pictures of training are decoded
    picture(0, 30, 6).save(tmp_path / "valid/one.png")
    assert train(tmp_path / "run", run, options=replace(OFTEN, time_budget=0, validate_every=1)).psnr is not None


@pytest.mark.parametrize("damage", [b"", b"hello", bytes(5000), pickle.dumps(Path(), protocol=2)])
def test_a_damaged_state_is_said(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(damage)
    with pytest.raises(CheckpointError, match=r"state\.pt is damaged"):
        load_state(tmp_path)


def test_a_state_of_something_else_is_said(tmp_path: Path) -> None:
    for state in ([1, 2], {"weights": torch.zeros(2)}):
        torch.save(state, tmp_path / "state.pt")
        with pytest.raises(CheckpointError, match="does not hold the state of a run"):
            load_state(tmp_path)


def test_not_a_number_stops_and_keeps_the_last_good_state(pictures: Path, tmp_path: Path) -> None:
    folder, run = tmp_path / "run", tiny_run(pictures)
    train(folder, run, options=replace(OFTEN, time_budget=0))
    state = load_state(folder)
    assert state is not None
    state["model"]["last_conv.bias"].fill_(math.nan)
    torch.save(state, folder / "state.pt")
    before = (folder / "state.pt").read_bytes()
    with pytest.raises(TrainingStopped, match="Step 2: the loss is nan"):
        train(folder, options=OFTEN)
    assert (folder / "state.pt").read_bytes() == before


def test_a_rising_loss_is_noticed_soon() -> None:
    watch, phase = LossWatch(), Phase(1, 9, 1, 1)
    for step in range(200):
        watch.check(0.01 + 0.005 * math.sin(step), 1.0, step, phase, scaled=False)
        assert watch.calm

    def rise() -> None:
        for step in range(200, 220):
            watch.check(0.1, 1.0, step, phase, scaled=False)

    with pytest.raises(TrainingStopped, match=r"the loss rose from 0.01"):
        rise()
    assert not watch.calm  # and such a state is not saved


def test_the_watch_forgets_at_another_kind_of_loss() -> None:
    watch, small = LossWatch(), Phase(1, 9, 1, 1, loss="l2")
    for step in range(200):
        watch.check(0.01, 1.0, step, small, scaled=False)
    for step in range(200):
        watch.check(1.0, math.inf, step, replace(small, loss="l1"), scaled=True)
    assert watch.calm


@pytest.mark.slow
def test_a_cooled_branch_finishes_and_leaves_its_source_alone(pictures: Path, tmp_path: Path) -> None:
    source, branch = tmp_path / "source", tmp_path / "branch"

    def stop_at_2(done: int, _: int) -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        train(source, tiny_run(pictures, steps=100), options=OFTEN, progress=stop_at_2)
    before = (source / "state.pt").read_bytes()
    run = branch_cooldown(source, branch)
    assert [phase.steps for phase in run.recipe.phases] == [2, 1, 2]
    assert train(branch, options=OFTEN).finished
    assert [entry["rate"] for entry in read_log(branch)] == pytest.approx([5e-4, 1e-3, 1e-3, 2e-3 / 3, 1e-3 / 3])
    assert (source / "state.pt").read_bytes() == before
    with pytest.raises(OptionError, match="holds a run"):
        branch_cooldown(source, branch)


def test_warm_start_from_another_scale_keeps_the_body() -> None:
    recipe = tiny_recipe()
    source = HPINet(variant_config("T", 4))
    fresh = new_model(recipe, None).state_dict()
    model = new_model(recipe, None)
    warm_start(model, source.state_dict())
    for name, tensor in model.state_dict().items():
        expected = fresh if name.startswith(("upconv", "last_conv")) else source.state_dict()
        assert torch.equal(tensor, expected[name]), name
    with pytest.raises(CheckpointError, match="another variant"):
        warm_start(model, HPINet(variant_config("S", 2)).state_dict())


def test_a_run_needs_the_weights_it_started_from_only_once(pictures: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.safetensors"
    weights = HPINet(variant_config("T", 4)).state_dict()
    save_file(weights, source)
    run = tiny_run(pictures, started_from=str(source), peak=1e-9)
    train(tmp_path / "run", run, options=Options(time_budget=0))
    state = load_state(tmp_path / "run")
    assert state is not None
    torch.testing.assert_close(state["model"]["first_conv.weight"], weights["first_conv.weight"], atol=1e-6, rtol=0)
    source.unlink()
    assert train(tmp_path / "run").finished


@pytest.mark.slow
def test_mixed_precision_trains(pictures: Path, tmp_path: Path) -> None:
    run = tiny_run(pictures)
    train(tmp_path / "full", run, options=OFTEN)
    AcceleratorState._reset_state(reset_partial_state=True)  # which has one precision for a whole process
    train(tmp_path / "mixed", replace(run, mixed_precision="bf16"), options=replace(OFTEN, time_budget=0))
    AcceleratorState._reset_state(reset_partial_state=True)
    train(tmp_path / "mixed", options=OFTEN)  # which need not be told again
    full, mixed = ([entry["loss"] for entry in read_log(tmp_path / name)] for name in ("full", "mixed"))
    assert mixed == pytest.approx(full, rel=0.05)
    assert mixed != full


def test_what_accelerate_cannot_do_is_said(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="'nowhere' is unknown"):
        train(tmp_path / "run", tiny_run(pictures), options=Options(tracker="nowhere"))
    with pytest.raises(OptionError, match="Accelerate refuses"):
        train(tmp_path / "run", replace(tiny_run(pictures), mixed_precision="int3"))


def test_curves_reach_a_tracker(pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs TensorBoard, which is optional")
    train(tmp_path / "run", tiny_run(pictures), options=replace(OFTEN, time_budget=0, tracker="tensorboard"))
    assert list((tmp_path / "run").rglob("events.out.tfevents*"))
