"""Stage train with two processes, as it is run: killed, stopped, and gone on with to the byte."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from repositories import ROOT, edit, environment
from safetensors.torch import load

from ganvas import config, files
from ganvas.data import normalize
from ganvas.errors import GanvasError
from ganvas.training import run
from ganvas.workflow import instances
from stages import params as stage_params

# 204 iterations, quick enough for several trainings, long enough to be stopped.
SMALL = {
    **{"batch_size": 16, "epochs": 3, "checkpoint_every": 1, "discriminator_dropout": 0.2},
    **{"generator_widths": [16, 16], "discriminator_widths": [16, 16]},
}
LATE = 200  # seconds for a training; a few are usual


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository's root with normalized digits, for two processes."""
    folder = tmp_path_factory.mktemp("workspace")
    for name in ("ganvas", "stages", "dvc.yaml"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "params.yaml", folder)
    edit(
        folder,
        datasets__digits__models={"gan": SMALL},
        train__processes=2,
        train__log_every=5,
        train__pictures=[20],
        train__save_seconds=0.05,
        tracking__enabled=False,
    )
    normalize.export_digits(folder / "raw" / normalize.DIGITS)
    for split, arrays in normalize.splits("digits", folder / "raw", 28, 200).items():
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        files.write_tensors(folder / f"data/normalized/digits/{split}.safetensors", tensors)
    return folder


STAGE = [sys.executable, "-m", "stages.train", "--dataset", "digits", "--model", "gan"]


def train(folder: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command or STAGE, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> str:
    """All of it but how far it is, when the last that could say something has ended."""
    return re.sub(r"(?m)^digits-gan: .* min left.*\n", "", process.communicate(timeout=LATE)[1])


def made(workspace: Path) -> dict[str, bytes]:
    """What the training made; takes it and its states away."""
    folder = workspace / "models/digits/gan"
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.*")
        if path.is_file()
    }
    shutil.rmtree(workspace / "models")
    shutil.rmtree(workspace / ".ganvas")
    return found


def other(process: subprocess.Popen[str]) -> int:
    """The process that it has started."""
    (found,) = children(process.pid)
    return found


def children(parent: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True
    )
    return [int(pid) for pid in listed.stdout.split()]


def until_saved(workspace: Path, process: subprocess.Popen[str]) -> None:
    """A state has been written since now."""
    began = time.time_ns()
    while True:
        states = [*(workspace / ".ganvas/runs").glob("*/*/state.safetensors")]
        if any(path.stat().st_mtime_ns > began for path in states):
            return
        assert process.poll() is None, said(process)
        time.sleep(0.01)


@pytest.fixture(scope="module")
def unbroken(workspace: Path) -> dict[str, bytes]:
    process = train(workspace)
    assert said(process) == "" and process.returncode == 0
    found = made(workspace)
    assert {"generator/epoch-0003.safetensors", "history.csv", "config.json"} <= found.keys()
    assert b'"processes": 2' in found["config.json"]
    return found


def test_whichever_is_killed_both_end_with_one_line_and_the_same_command_goes_on(
    workspace: Path, unbroken: dict[str, bytes]
) -> None:
    process = train(workspace)
    until_saved(workspace, process)
    os.kill(other(process), signal.SIGKILL)
    goes_on = "the training stops, and the same command goes on from its last state"
    assert said(process) == f"error: rank 1 of 2 has ended (SIGKILL): {goes_on}\n"
    assert process.returncode == 1

    process = train(workspace)
    until_saved(workspace, process)
    process.kill()
    # Nobody else holds its standard error when this comes back.
    first, _, line = said(process).partition("\n")
    assert re.fullmatch(r"digits-gan: goes on from iteration \d+", first)
    assert line == f"error: rank 0 of 2 was killed: {goes_on}\n"

    # The same command; and torchrun may start both of them.
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    process = train(workspace, *torchrun, "--standalone", *STAGE[1:])
    assert re.search(r"(?m)^digits-gan: goes on from iteration \d+$", said(process))
    assert process.returncode == 0
    assert made(workspace) == unbroken


def test_ctrl_c_writes_the_state_and_another_number_does_not_go_on_from_it(
    workspace: Path, unbroken: dict[str, bytes]
) -> None:
    process = train(workspace)
    until_saved(workspace, process)
    process.send_signal(signal.SIGINT)
    stopped = re.fullmatch(
        r"digits-gan: stopped at iteration (\d+); the same command goes on from there\n",
        said(process),
    )
    assert process.returncode == 130 and stopped
    (state,) = (workspace / ".ganvas/runs").glob("*/*/state.safetensors")
    written = state.read_bytes()
    assert int(load(written)["iteration"]) == int(stopped[1])

    edit(workspace, train__processes=1)
    alone = train(workspace)
    expected = (
        f"digits-gan: the state at iteration {stopped[1]} is of train.processes: 2; with 1 the "
        "result is another, and this training starts anew\n"
    )
    assert said(alone) == expected and alone.returncode == 0
    edit(workspace, train__processes=2)
    assert state.read_bytes() == written
    of_one = made(workspace)
    assert of_one.keys() == unbroken.keys()
    generator = "generator/epoch-0003.safetensors"
    assert of_one[generator] != unbroken[generator]


def test_stage_params_says_so_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    edit(tmp_path, train__processes=3, matrix__datasets=["digits"], matrix__models=["gan"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GanvasError) as error:
        stage_params.main(config.load())
    assert str(error.value) == (
        "params.yaml: models.gan on digits: batch_size: 64 cannot be shared by 3 processes; set a "
        "multiple of train.processes"
    )


def test_the_number_of_processes_is_among_what_made_a_model_where_there_are_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    keys = set()
    for processes, sync, said in (
        (1, False, {}),
        (1, True, {}),
        (2, False, {"processes": 2, "sync_batch_norm": False}),
        (2, True, {"processes": 2, "sync_batch_norm": True}),
    ):
        edit(tmp_path, train__processes=processes, train__sync_batch_norm=sync)
        parameters = instances.instance("digits", "gan").parameters
        shared = {"processes", "sync_batch_norm"}
        assert {key: parameters[key] for key in shared & parameters.keys()} == said
        keys.add(run.key(parameters))
    assert len(keys) == 3


def test_one_that_ends_before_they_have_met_is_not_waited_for() -> None:
    """Process 0 looks for it meanwhile, and would for half an hour."""
    program = """
import sys, torch
from ganvas.training import launching
from ganvas.training.sharing import Sharing
launching.PATIENCE = 0.5
sharing = Sharing(3)
with launching.others(sharing, torch.device("cpu"), [sys.executable, "-c", "raise SystemExit(3)"]):
    sharing.connect(torch.device("cpu"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LATE,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: rank 1 of 3 has ended (exit code 3): the training stops, and the same command goes "
        "on from its last state\n"
    )
