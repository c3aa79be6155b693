"""A training on disk: it goes on from its state, to the byte, and nothing stale is picked up."""

import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from repositories import edit, environment

from ganvas import config, files, pictures
from ganvas.data import normalize
from ganvas.errors import GanvasError
from ganvas.training import run
from ganvas.training.engine import Engine
from ganvas.workflow import instances, pipeline, provenance
from stages import train as stage

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
PLAN = run.Plan(epochs=3, checkpoint_every=2, pictures=[2, 7, 100], log_every=4, save_seconds=60)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    stream = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (40, 1, 28, 28), generator=stream, dtype=torch.uint8)


def start(
    folder: Path,
    images: torch.Tensor,
    plan: run.Plan = PLAN,
    model: str = "gan",
    **recipe: object,
) -> run.Run:
    """Five iterations an epoch."""
    settings = config.load(ROOT / "params.yaml").models[model]
    settings = settings.model_copy(update={"batch_size": 8, **recipe})
    engine = Engine(settings, {"images": images}, seed=0, device=CPU, longest=plan.log_every)
    return run.Run(folder, engine, plan)


def weights(current: run.Run) -> Iterator[torch.Tensor]:
    """The generator's parameters."""
    return current.engine.method.networks["generator"].parameters()


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(images: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    current = start(folder / "run", images)
    list(current.go_on())
    current.export(folder / "out", {})
    return contents(folder / "out")


def test_the_outputs_are_those_of_the_plan(whole: dict[str, bytes]) -> None:
    assert set(whole) == {
        "config.json",
        "discriminator.safetensors",
        "generator/architecture.json",
        "generator/epoch-0002.safetensors",
        "generator/epoch-0003.safetensors",
        "history.csv",
        "progress.gif",
        "progress/iteration-0000002.png",
        "progress/iteration-0000007.png",
        "progress/iteration-0000015.png",
    }
    lines = whole["history.csv"].decode().splitlines()
    columns = ["iteration", "epoch", "discriminator_loss", "generator_loss"]
    assert lines[0].split(",") == [*columns, "real_probability", "fake_probability"]
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["4", "0.8"],
        ["8", "1.6"],
        ["12", "2.4"],
        ["15", "3"],
    ]


def test_history_rows_are_means_over_their_iterations(images: torch.Tensor, tmp_path: Path) -> None:
    current = start(tmp_path, images)
    rows = [row for stop in current.go_on() for row in stop.history]
    assert [row[0] for row in rows] == [4, 8, 12, 15]
    expected = current.measured[4:8].double().mean(0).tolist()
    assert list(rows[1][2:]) == pytest.approx(expected)


@pytest.mark.parametrize("stops", [1, 4, 6])
def test_interrupted_and_begun_again_gives_the_same_bytes(
    stops: int, images: torch.Tensor, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    first = start(tmp_path / "run", images)
    for count, _ in enumerate(first.go_on(), start=1):
        if count == stops:
            first.interrupt()
    done = first.engine.iteration
    assert 0 < done < 15
    second = start(tmp_path / "run", images)
    assert second.engine.iteration == done
    list(second.go_on())
    second.export(tmp_path / "out", {})
    assert contents(tmp_path / "out") == whole


def test_dcgan_goes_on_to_the_byte_too(images: torch.Tensor, tmp_path: Path) -> None:
    """Its weights lie channels_last in memory, which a file does not keep."""
    whole = start(tmp_path / "whole", images, model="dcgan")
    list(whole.go_on())
    first = start(tmp_path / "run", images, model="dcgan")
    next(first.go_on())
    first.save()
    second = start(tmp_path / "run", images, model="dcgan")
    assert second.engine.iteration == 2
    list(second.go_on())
    for current, out in ((whole, tmp_path / "a"), (second, tmp_path / "b")):
        current.export(out, {})
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize(("model", "side"), [("gan", 32), ("dcgan", 48)])
def test_images_in_colour_are_drawn_in_colour_and_go_on_to_the_byte(
    model: str, side: int, tmp_path: Path
) -> None:
    stream = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 3, side, side), generator=stream, dtype=torch.uint8)
    few = {"generator_widths": [8], "discriminator_widths": [8]}
    plan = run.Plan(epochs=1, checkpoint_every=1, pictures=[2, 4], log_every=2, save_seconds=60)
    whole, first = (start(tmp_path / name, images, plan, model, **few) for name in ("a", "b"))
    list(whole.go_on())
    next(first.go_on())
    first.save()
    second = start(tmp_path / "b", images, plan, model, **few)
    assert second.engine.iteration == 2
    list(second.go_on())
    for current in (whole, second):
        current.export(current.folder / "out", {})
    assert contents(tmp_path / "a/out") == contents(tmp_path / "b/out")
    architecture = json.loads((tmp_path / "a/out/generator/architecture.json").read_text())
    assert (architecture["channels"], architecture["image_size"]) == (3, side)
    drawn = whole.engine.method.draw(whole.engine, whole.engine.first(1))
    assert drawn.shape == (5, 5, 3, side, side)
    with Image.open(tmp_path / "a/out/progress/iteration-0000005.png") as picture:
        assert picture.mode == "RGB"
        scale = pictures.enlargement(side)
        assert picture.size == (((side + 2) * 5 + 2) * scale,) * 2
        left, top = 2 + (side + 2) * 3, 2 + (side + 2) * 1  # of the fourth in the second row
        cut = np.asarray(picture)[::scale, ::scale][top : top + side, left : left + side]
    assert np.array_equal(cut, drawn[1, 3].permute(1, 2, 0).numpy())
    with Image.open(tmp_path / "a/out/progress.gif") as animation:
        assert animation.n_frames == 3


def test_weights_that_are_not_finite_are_never_exported(
    images: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = start(tmp_path, images)
    advance = current.engine.advance

    def spoiled(iterations: int) -> torch.Tensor:
        rows = advance(iterations)
        with torch.no_grad():
            next(weights(current)).fill_(float("nan"))
        return rows

    monkeypatch.setattr(current.engine, "advance", spoiled)
    with pytest.raises(GanvasError, match="iteration 2: the weights are not finite"):
        list(current.go_on())
    assert not list(tmp_path.rglob("*.safetensors"))


def test_more_epochs_go_on_from_the_shorter_run(
    images: torch.Tensor, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    short = start(tmp_path / "run", images, PLAN._replace(epochs=1))
    list(short.go_on())
    longer = start(tmp_path / "run", images)
    assert longer.engine.iteration == 5
    list(longer.go_on())
    longer.export(tmp_path / "out", {})
    assert contents(tmp_path / "out") == whole


def test_fewer_epochs_begin_anew(images: torch.Tensor, tmp_path: Path) -> None:
    list(start(tmp_path / "run", images).go_on())
    short = start(tmp_path / "run", images, PLAN._replace(epochs=1))
    assert short.engine.iteration == 0


def test_a_damaged_state_begins_anew(
    images: torch.Tensor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    list(start(tmp_path, images).go_on())
    state = tmp_path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        assert start(tmp_path, images).engine.iteration == 0
    assert "training starts anew" in caplog.text


def test_a_state_whose_pictures_are_gone_begins_anew(images: torch.Tensor, tmp_path: Path) -> None:
    list(start(tmp_path, images).go_on())
    (tmp_path / "progress/iteration-0000002.png").unlink()
    assert start(tmp_path, images).engine.iteration == 0


def test_the_key_changes_with_every_fact_and_with_the_code() -> None:
    facts = {"seed": 0, "data": "x", "code": {"a.py": "1"}}
    keys = {run.key(facts), run.key({**facts, "seed": 1})}
    keys.add(run.key({**facts, "code": {"a.py": "2"}}))
    assert len(keys) == 3
    again = {"code": {"a.py": "1"}, "data": "x", "seed": 0}
    assert run.key(again) in keys  # the order of facts says nothing


def test_a_loss_that_is_not_finite_stops_with_the_iteration_and_keeps_the_last_state(
    images: torch.Tensor, tmp_path: Path
) -> None:
    current = start(tmp_path, images, PLAN._replace(save_seconds=1e-9))
    stops = current.go_on()
    next(stops)
    next(stops)
    saved = (tmp_path / "state.safetensors").read_bytes()
    iteration = current.engine.iteration
    with torch.no_grad():
        next(weights(current)).fill_(float("nan"))
    with pytest.raises(GanvasError, match=rf"iteration {iteration + 1}: a loss is not finite") as e:
        list(stops)
    assert "discriminator nan, generator nan" in str(e.value) and "\n" not in str(e.value)
    assert "lower lr_generator" in str(e.value)
    after = start(tmp_path, images)
    assert after.engine.iteration <= iteration
    assert all(bool(p.isfinite().all()) for p in weights(after))
    assert saved == (tmp_path / "state.safetensors").read_bytes()


@pytest.mark.parametrize("network", ["generator", "discriminator"])
@pytest.mark.parametrize("which", [0, -1])
def test_weights_that_are_not_finite_are_never_saved(
    network: str, which: int, images: torch.Tensor, tmp_path: Path
) -> None:
    current = start(tmp_path, images)
    with torch.no_grad():
        [*current.engine.method.networks[network].parameters()][which].fill_(float("inf"))
    current.save()
    assert not (tmp_path / "state.safetensors").exists()


def test_a_discriminator_that_has_won_is_a_warning(images: torch.Tensor, tmp_path: Path) -> None:
    current = start(tmp_path, images)
    losses = torch.full((2500, 4), 0.5)
    losses[700:1699, 0] = 1e-4  # 999: not yet
    current.measured = losses
    assert current.warnings() == []
    losses[1699, 0] = -1e-4  # as Wasserstein's critic has it, which still tells a difference
    assert current.warnings() == []
    losses[1699, 0] = 1e-4
    assert "up to iteration 1700" in current.warnings()[0]


def test_a_second_process_on_the_same_model_stops(tmp_path: Path) -> None:
    with run.exclusive(tmp_path / "model.lock", "mnist-gan"):
        code = (
            "from pathlib import Path; from ganvas.training import run\n"
            f"with run.exclusive(Path({str(tmp_path)!r}) / 'model.lock', 'mnist-gan'): pass"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
        )
    assert done.returncode != 0
    assert "mnist-gan: another process is training it" in done.stderr
    with run.exclusive(tmp_path / "model.lock", "mnist-gan"):
        pass  # free again


def test_only_the_newest_runs_are_kept_and_never_a_busy_one_deleted(tmp_path: Path) -> None:
    for age, name in enumerate(["a", "b", "c", "d", "e"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    with run.exclusive(tmp_path / "e.lock", "e"):
        run.forget_old_runs(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["a", "b", "e"]


# The stage as a process, killed for real.

TINY = """
matrix: {datasets: [digits], models: [gan]}
train:
  precision: float32
  log_every: 20
  pictures: [100, 500]
  save_seconds: 0.1
  processes: 1
  sync_batch_norm: false
tracking: {enabled: false, tensorboard: false}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository's root with normalized digits, and a gan of 1,096 short iterations."""
    from ruamel.yaml import YAML

    folder = tmp_path_factory.mktemp("workspace")
    for name in ("ganvas", "stages", "dvc.yaml"):
        (folder / name).symlink_to(ROOT / name)
    yaml = YAML(typ="safe")
    params = yaml.load((ROOT / "params.yaml").read_text()) | yaml.load(TINY)
    params["datasets"]["digits"]["models"]["gan"] = {
        "batch_size": 4,
        "epochs": 4,
        "checkpoint_every": 1,
    }
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(params, file)
    normalize.export_digits(folder / "raw" / normalize.DIGITS)
    parts = normalize.splits("digits", folder / "raw", 28, 200)
    for split, arrays in parts.items():
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        files.write_tensors(folder / f"data/normalized/digits/{split}.safetensors", tensors)
    return folder


def train(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "stages.train", "--dataset", "digits", "--model", "gan"]
    variables = environment()
    return subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def unbroken(workspace: Path) -> dict[str, bytes]:
    process = train(workspace)
    assert process.wait() == 0, process.communicate()[1]
    made = contents(workspace / "models/digits/gan")
    shutil.rmtree(workspace / ".ganvas")
    shutil.rmtree(workspace / "models")
    return made


def test_killed_at_ten_random_moments_it_ends_with_the_same_bytes(
    workspace: Path, unbroken: dict[str, bytes]
) -> None:
    moments, kills = random.Random(), 0
    while kills < 10:
        process = train(workspace)
        # Mostly once training has begun; sometimes before.
        states = list((workspace / ".ganvas").glob("runs/*/*/state.safetensors"))
        before = states[0].stat().st_mtime_ns if states else 0
        if moments.random() < 0.8:
            while not _saved_since(workspace, before) and process.poll() is None:
                time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        if (workspace / "models").exists():  # it ended before the kill: once more from nothing
            shutil.rmtree(workspace / "models")
            shutil.rmtree(workspace / ".ganvas")
    process = train(workspace)
    assert process.wait() == 0, process.communicate()[1]
    assert contents(workspace / "models/digits/gan") == unbroken
    shutil.rmtree(workspace / ".ganvas")


def test_ctrl_c_writes_the_state_says_so_and_exits_with_130(
    workspace: Path, unbroken: dict[str, bytes]
) -> None:
    process = train(workspace)
    while not _saved_since(workspace, 0):
        assert process.poll() is None, "it ended before it had written a state"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    said = process.communicate()[1]
    assert "the same command goes on from there" in said and "Traceback" not in said
    again = train(workspace)
    assert again.wait() == 0
    assert "goes on from iteration" in again.communicate()[1]
    assert contents(workspace / "models/digits/gan") == unbroken


def _saved_since(workspace: Path, nanoseconds: int) -> bool:
    states = (workspace / ".ganvas").glob("runs/*/*/state.safetensors")
    return any(path.stat().st_mtime_ns > nanoseconds for path in states)


@pytest.mark.parametrize(("decay", "goes_on"), [(1.0, True), (0.5, False)])
def test_more_epochs_go_on_unless_the_rates_hang_on_their_number(
    decay: float, goes_on: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "dvc_hash", lambda path: "")
    monkeypatch.setattr(pipeline, "code_hashes", lambda stage, of: {})
    shutil.copy(Path(__file__).parents[1] / "params.yaml", tmp_path)
    keys = []
    for epochs in (2, 3):
        own = {"epochs": epochs, "lr_decay_from": decay}
        edit(tmp_path, datasets__digits__models={"gan": own})
        data = instances.DataSet(config.load(tmp_path / "params.yaml"), "digits")
        plan = run.Plan(epochs, 1, [], 10, 60)
        keys.append(stage._key(instances.Instance(data, "gan"), plan, torch.device("cpu")))
    assert (keys[0] == keys[1]) == goes_on
