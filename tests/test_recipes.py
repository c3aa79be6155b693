"""Every recipe of params.yaml through the real pipeline: killed, gone on with, measured, drawn."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from repositories import commit, copy, edit, environment, ran, run

from ganvas import config, devices
from ganvas.data import datasets
from ganvas.training import run as training
from ganvas.training.engine import Engine
from ganvas.training.overfitting import Probe

NAMES = [name for name in config.load().generating if name not in ("gan", "dcgan")]
TINY = {"epochs": 1, "batch_size": 32, "checkpoint_every": 1}
TOLD = ("cdcgan", "acgan")  # what becomes of their images, too


@pytest.fixture(scope="module")
def folder(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of all recipes, of which nothing but `gan` and `dcgan` is made yet."""
    folder = copy(original, tmp_path_factory.mktemp("recipes") / "repository")
    made = config.load(folder / "params.yaml").datasets["digits"].models
    settings = {name: dict(TINY) for name in NAMES} | {m: made[m] for m in ("gan", "dcgan")}
    edit(
        folder,
        matrix__models=["gan", "dcgan", *NAMES],
        datasets__digits__models=settings,
        train__save_seconds=0.001,
    )
    commit(folder, "recipes")
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """All of them trained by one `dvc repro`, each of which was killed once before."""
    run(folder, "dvc", "repro", "-q", "params")
    killed = [name for name in NAMES if _kill(folder, name)]
    # A machine may be so quick that one ends first.
    assert len(killed) >= len(NAMES) / 2
    done = run(folder, "dvc", "repro", *(f"train@digits-{name}" for name in NAMES))
    assert ran(done) == {f"train@digits-{name}" for name in NAMES}
    assert done.stderr.count("goes on from iteration") == len(killed)
    return folder


def _kill(folder: Path, name: str) -> bool:
    """Kill the training once it has written a state; whether there was anything left to do."""
    command = [sys.executable, "-m", "stages.train", "--dataset", "digits", "--model", name]
    process = subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.DEVNULL)
    runs = folder / ".ganvas/runs" / f"digits-{name}"
    while process.poll() is None and not list(runs.glob("*/state.safetensors")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    if process.wait() == -signal.SIGKILL:
        return True
    shutil.rmtree(runs)
    shutil.rmtree(folder / "models/digits" / name)
    return False


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "config.json"
    }


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", NAMES)
def test_killed_and_begun_again_it_makes_the_bytes_of_an_unbroken_training(
    trained: Path, tmp_path: Path, name: str
) -> None:
    params = config.load(trained / "params.yaml")
    recipe, settings = params.recipe("digits", name), params.train
    data, held_out = (
        datasets.load(trained / "data/normalized/digits", split).tensors()
        for split in ("train", "validation")
    )
    engine = Engine(
        recipe, data, params.seed, devices.choose("cpu"), settings.precision, settings.log_every
    )
    plan = training.Plan(
        recipe.epochs, recipe.checkpoint_every, settings.pictures, settings.log_every, 60
    )
    unbroken = training.Run(tmp_path / "run", engine, plan, Probe(engine, data, held_out))
    for _ in unbroken.go_on():
        pass
    unbroken.export(tmp_path / "made", {})
    assert contents(trained / "models/digits" / name) == contents(tmp_path / "made")


@pytest.fixture(scope="module")
def measured(trained: Path) -> Path:
    """Those that are told classes, to the report."""
    edit(trained, matrix__models=["gan", "dcgan", *TOLD])
    done = run(trained, "dvc", "repro", "report@digits")
    of_told = {
        f"{stage}@digits-{name}" for stage in ("select", "sample", "evaluate") for name in TOLD
    }
    assert ran(done) == of_told | {"params", "report@digits"}
    return trained


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("name", TOLD)
class TestToldClasses:
    def test_a_row_of_the_grids_is_of_a_class(self, measured: Path, name: str) -> None:
        model = measured / "models/digits" / name
        with Image.open(measured / "samples/digits" / name / "grid.png") as grid:
            assert grid.size == (2 * (10 * 30 + 2), 2 * (10 * 30 + 2))
        with Image.open(next((model / "progress").glob("*.png"))) as grid:
            assert grid.size == (2 * (10 * 30 + 2), 2 * (10 * 30 + 2))

    def test_architecture_counts_the_training_images_of_each(
        self, measured: Path, name: str
    ) -> None:
        found = read(measured / "models/digits" / name / "generator/architecture.json")
        labels = datasets.load(measured / "data/normalized/digits", "train").labels
        assert found["class_counts"] == torch.bincount(labels).tolist()

    def test_scores_are_of_the_classes_that_were_asked_for(self, measured: Path, name: str) -> None:
        folder = measured / "samples/digits" / name
        asked, images = np.load(folder / "classes.npy"), np.load(folder / "images.npy")
        assert len(asked) == len(images) == 200 and asked.dtype == np.int64
        metrics = read(measured / "results/digits" / name / "metrics.json")["classifier"]
        floor = read(measured / "results/digits/floor.json")["classifier"]
        for key in ("class_accuracy", "class_fid"):
            assert key in metrics and key in floor
        assert 0 <= metrics["class_accuracy"] <= 1
        # The training images, which the classifier has learnt, would flatter it.
        about = read(measured / "results/digits/classifier.json")
        assert floor["class_accuracy"] == pytest.approx(about["test_accuracy"])
        known = [fid for fid in metrics["class_fids"] if fid is not None]
        assert len(metrics["class_fids"]) == 10
        assert metrics["class_fid"] == pytest.approx(sum(known) / len(known))

    def test_what_is_told_none_has_no_such_scores(self, measured: Path, name: str) -> None:
        metrics = read(measured / "results/digits/gan/metrics.json")["classifier"]
        assert not {"class_accuracy", "class_fid", "class_fids"} & metrics.keys()
        assert not (measured / "samples/digits/gan/classes.npy").exists()

    def test_the_report_shows_them(self, measured: Path, name: str) -> None:
        page = (measured / "reports/digits/index.html").read_text()
        assert f'data-model="{name}"' in page and 'data-measure="class_fid"' in page


def test_classes_of_an_earlier_recipe_do_not_stay(measured: Path, tmp_path: Path) -> None:
    """By hand, where DVC does not clear the folder first."""
    folder = copy(measured, tmp_path / "copy")
    left = folder / "samples/digits/gan/classes.npy"
    np.save(left, np.zeros(200, np.int64))
    run(folder, sys.executable, "-m", "stages.sample", "--dataset", "digits", "--model", "gan")
    assert not left.exists()
