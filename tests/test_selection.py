"""Which checkpoint is taken, under every rule, and by which images."""

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import recipes
import torch
from repositories import edit, run

from ganvas.drawing import sampling
from ganvas.errors import GanvasError
from ganvas.evaluation import classifier, features
from ganvas.evaluation.metrics.frechet import frechet_distance, statistics
from ganvas.evaluation.selection import Scored, choose
from ganvas.training import checkpoints


def scored(*rows: tuple[int, float, float]) -> list[Scored]:
    """Of (epoch, generator loss, FID)."""
    return [
        Scored(epoch, epoch * 17, loss, f"epoch-{epoch:04}.safetensors", fid)
        for epoch, loss, fid in rows
    ]


SCORES = scored((10, 2.0, 50.0), (20, 0.5, 40.0), (30, 3.0, 30.0), (35, 4.0, 35.0))


@pytest.mark.parametrize(
    ("rule", "epoch"),
    [("best", 30), ("last", 35), ("lowest_generator_loss", 20), (10, 10), (35, 35)],
)
def test_rule_takes(rule: str | int, epoch: int) -> None:
    assert choose(SCORES, rule)["epoch"] == epoch


def test_answer_is_all_that_the_next_stages_need() -> None:
    assert choose(SCORES, "lowest_generator_loss") == {
        "rule": "lowest_generator_loss",
        "epoch": 20,
        "iteration": 340,
        "checkpoint": "epoch-0020.safetensors",
        "validation_fid": 40.0,
        "best_epoch": 30,
        "lowest_generator_loss_epoch": 20,
    }


@pytest.mark.parametrize("rule", ["best", "last", "lowest_generator_loss", 10])
def test_answer_names_what_the_other_rules_would_take(rule: str | int) -> None:
    found = choose(SCORES, rule)
    assert (found["best_epoch"], found["lowest_generator_loss_epoch"]) == (30, 20)


def test_earlier_one_wins_a_tie() -> None:
    tied = scored((1, 2.0, 5.0), (2, 1.0, 4.0), (3, 1.0, 4.0), (4, 3.0, 9.0))
    assert choose(tied, "best")["epoch"] == 2
    assert choose(tied, "lowest_generator_loss")["epoch"] == 2


@pytest.mark.parametrize("rule", ["best", "last", "lowest_generator_loss", 7])
def test_only_one_is_taken_by_every_rule(rule: str | int) -> None:
    assert choose(scored((7, 1.0, 1.0)), rule)["epoch"] == 7


@pytest.mark.parametrize("epoch", [1, 25, 36])
def test_epoch_without_a_checkpoint_is_answered_with_those_there_are(epoch: int) -> None:
    with pytest.raises(GanvasError) as caught:
        choose(SCORES, epoch)
    expected = f"select.rule: no checkpoint of epoch {epoch}; there are 10, 20, 30, 35"
    assert str(caught.value) == expected


def test_last_is_the_latest_epoch_in_whatever_order_they_come() -> None:
    """Names of files sort 10000 before 9999."""
    assert choose(list(reversed(SCORES)), "last")["epoch"] == 35


@pytest.mark.parametrize("rule", ["best", 3])
def test_no_checkpoint_at_all_is_said_so(rule: str | int) -> None:
    with pytest.raises(GanvasError, match="no checkpoint"):
        choose([], rule)


class TestStage:
    """The real command, in a copy of a pipeline that was made."""

    @pytest.fixture
    def folder(self, repository: Path, tmp_path: Path) -> Path:
        ignored = shutil.ignore_patterns(".git", ".dvc")
        return Path(shutil.copytree(repository, tmp_path / "copy", ignore=ignored))

    def select(self, folder: Path) -> dict[str, Any]:
        command = "-m", "stages.select", "--dataset", "digits", "--model", "gan"
        run(folder, sys.executable, *command)
        found: dict[str, Any] = json.loads(
            (folder / "results/digits/gan/selection.json").read_text()
        )
        return found

    def table(self, folder: Path) -> list[dict[str, str]]:
        with (folder / "results/digits/gan/selection.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def test_scores_every_checkpoint_against_the_validation_images(self, folder: Path) -> None:
        network = classifier.load(folder / "models/digits/classifier/classifier.safetensors")
        reference = folder / "data/reference/digits/classifier.safetensors"
        real = statistics(features.load(reference, "validation").features)
        found = sorted((folder / "models/digits/gan/generator").glob("*.safetensors"))
        rows = self.table(folder)
        assert [int(row["epoch"]) for row in rows] == [1, 2] and len(found) == 2
        for path, row in zip(found, rows, strict=True):
            generator = checkpoints.load(path, recipes.architecture("gan"))
            images = sampling.images(generator, 100, seed=0)  # as many as select.images says
            fake = statistics(features.extract(network, images, torch.device("cpu")).features)
            assert float(row["fid"]) == pytest.approx(frechet_distance(*real, *fake), rel=1e-4)

    def test_looks_at_no_test_image(self, folder: Path) -> None:
        reference = folder / "data/reference/digits/classifier.safetensors"
        validation, test = (features.load(reference, split) for split in ("validation", "test"))
        before = self.table(folder)
        (folder / "data/normalized/digits/test.safetensors").unlink()
        features.save(reference, {"validation": validation})
        self.select(folder)
        assert self.table(folder) == before
        features.save(reference, {"validation": test})
        self.select(folder)
        assert self.table(folder) != before, "other images, other scores"

    @pytest.mark.parametrize(("rule", "epoch"), [(1, 1), ("last", 2)])
    def test_takes_what_params_yaml_says(self, folder: Path, rule: str | int, epoch: int) -> None:
        edit(folder, select__rule=rule)
        found = self.select(folder)
        assert (found["rule"], found["epoch"], found["extractor"]) == (rule, epoch, "classifier")
