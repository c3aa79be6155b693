"""The real `dvc repro` where a data set lists inception among its extractors.

The published weights cannot be fetched everywhere: random ones take their place, under their name
in the mirror and with their sha256 in the copy of ganvas/evaluation/inception.py.
"""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pooch
import pytest
import torch
from PIL import Image
from repositories import commit, make, ran, run
from weights import random_weights

from ganvas.data import datasets
from ganvas.evaluation import features, inception

# Inception sees some 11 images/s on two cores: fewer than digits has and config.py allows will do.
TEST_IMAGES = 40
GENERATED = 40
MEASURES = {
    *("fid", "fid_std", "fid_infinity", "kid", "kid_std", "inception_score", "inception_score_std"),
    *("precision", "recall", "density", "coverage"),
}


class Made(NamedTuple):
    """A repository, and what its repros said."""

    folder: Path
    weights: Path  # the file that the mirror had
    damaged: subprocess.CompletedProcess[str]  # dvc repro while the mirror's file was half a file
    kept: list[str]  # what that left in the cache
    reference: set[str]  # stages that ran with the right file in the mirror
    evaluate: set[str]  # stages that ran after the mirror was gone


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    weights = random_weights(tmp_path_factory.mktemp("weights"))
    folder, mirror = tmp_path_factory.mktemp("repository"), tmp_path_factory.mktemp("mirror")
    make_repository(folder, weights)
    around = {"GANVAS_MIRROR": str(mirror)}
    published = mirror / "inception" / inception.FILE
    cached = folder / ".ganvas/inception"

    published.parent.mkdir()
    published.write_bytes(b"half a file")
    damaged = run(folder, "dvc", "repro", "reference@digits", check=False, **around)
    kept = [path.name for path in cached.glob("*")]

    shutil.copyfile(weights, published)
    reference = ran(run(folder, "dvc", "repro", "reference@digits", **around))

    shutil.rmtree(mirror)
    evaluate = ran(run(folder, "dvc", "repro", "evaluate@digits-gan", **around))
    return Made(folder, weights, damaged, kept, reference, evaluate)


def make_repository(folder: Path, weights: Path) -> None:
    """The smallest pipeline of digits and gan, to which `weights` are the published file."""
    make(
        folder,
        matrix__datasets=["digits"],
        matrix__models=["gan"],
        datasets__digits__extractors=["classifier", "inception"],
        datasets__digits__validation_images=2,
        # Fewer, and it may find no real image of some class, which the stages refuse.
        datasets__digits__classifier={"epochs": 3},
        datasets__digits__models={"gan": {"epochs": 1}},
        train__log_every=5,
        train__pictures=[10],
        select__images=2,
        evaluate__images=GENERATED,
        tracking__enabled=False,
    )
    module = folder / "ganvas/evaluation/inception.py"
    substitute(module, inception.SHA256, pooch.file_hash(str(weights)))
    substitute(module, "[URL.removesuffix(FILE)]", "[]")  # the real file, 95 MB, stays where it is
    sources = folder / "ganvas/data/sources.py"
    substitute(sources, "test_images=500", f"test_images={TEST_IMAGES}")
    substitute(sources, "train_images=1297", f"train_images={1797 - TEST_IMAGES}")
    substitute(folder / "ganvas/config.py", "Field(ge=100)", f"Field(ge={GENERATED})")
    commit(folder, "random weights, fewer images")


def substitute(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path} does not say {old} once"
    path.write_text(text.replace(old, new))


def results(made: Made, file: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((made.folder / "results/digits" / file).read_text())
    return values


def test_damaged_weights_stop_the_stage_with_one_line_and_are_not_kept(made: Made) -> None:
    assert made.damaged.returncode != 0
    lines = [line for line in made.damaged.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, made.damaged.stderr
    assert f"inception/{inception.FILE}" in lines[0] and "sha256 differs" in lines[0]
    assert "Traceback" not in made.damaged.stderr
    assert made.kept == []


def test_weights_are_fetched_once_for_all_stages(made: Made) -> None:
    assert made.reference == {"reference@digits"}, "what was made before the failure stays"
    after = ("train", "select", "sample", "evaluate")
    assert made.evaluate == {f"{stage}@digits-gan" for stage in after}
    cached = made.folder / ".ganvas/inception"
    assert [path.name for path in cached.iterdir()] == [inception.FILE]
    assert (cached / inception.FILE).read_bytes() == made.weights.read_bytes()


def test_reference_holds_the_features_that_these_weights_give(made: Made) -> None:
    images = datasets.load(made.folder / "data/normalized/digits", "validation").images
    expected, _ = inception.load(made.weights, sha256=None)(images)
    reference = made.folder / "data/reference/digits/inception.safetensors"
    found = features.load(reference, "validation").features
    # The scale of the weights is a free choice, so the tolerance is relative to the largest.
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.max()))
    test = features.load(reference, "test")
    assert test.features.shape == (TEST_IMAGES, 2048)
    assert test.probabilities.shape == (TEST_IMAGES, 1008)


def test_metrics_hold_the_scores_of_both_extractors(made: Made) -> None:
    scores = results(made, "gan/metrics.json")
    assert list(scores) == ["images", "classifier", "inception", "pixels"]
    assert scores["images"] == GENERATED
    assert scores["inception"].keys() == MEASURES
    # Inception's classes are not digits: no modes and no histogram of them.
    assert scores["classifier"].keys() == MEASURES | {"modes_covered", "modes_kl", "histogram"}
    floor = results(made, "floor.json")
    assert 0 < floor["inception"]["fid"] < scores["inception"]["fid"], "gan is no perfect generator"
    assert 1 <= scores["inception"]["inception_score"] <= 1008


def test_fid_is_what_pytorch_fids_program_prints_of_the_same_images(
    made: Made, tmp_path: Path
) -> None:
    """From files to a number, by both: only the weights are shared."""
    published = tmp_path / "torch/hub/checkpoints" / inception.FILE
    published.parent.mkdir(parents=True)
    published.symlink_to(made.weights)
    test = datasets.load(made.folder / "data/normalized/digits", "test").images.squeeze(1).numpy()
    generated = np.load(made.folder / "samples/digits/gan/images.npy")
    for name, images in (("real", test), ("fake", generated)):
        (tmp_path / name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{number:04}.png")
    command = [sys.executable, "-m", "pytorch_fid", "real", "fake", "--device", "cpu"]
    home = str(tmp_path / "torch")
    program = run(tmp_path, *command, "--num-workers", "0", "--batch-size", "10", TORCH_HOME=home)
    theirs = float(program.stdout.split("FID:")[1])
    assert theirs > 0.1, "two sets that do not differ would prove nothing"
    assert results(made, "gan/metrics.json")["inception"]["fid"] == pytest.approx(theirs, rel=1e-4)


def test_each_score_stands_beside_its_floor_and_what_it_was_computed_from(made: Made) -> None:
    with (made.folder / "results/digits/gan/scores.csv").open(newline="") as file:
        rows = {(row["extractor"], row["measure"]): row for row in csv.DictReader(file)}
    assert {measure for extractor, measure in rows if extractor == "inception"} == MEASURES
    scores = results(made, "gan/metrics.json")["inception"]
    floor = results(made, "floor.json")["inception"]
    for measure in MEASURES:
        row = rows["inception", measure]
        assert float(row["value"]) == pytest.approx(scores[measure], rel=1e-5)  # six digits
        assert float(row["floor"]) == pytest.approx(floor[measure], rel=1e-5)
        assert row["images"] == str(GENERATED) and row["reference"] == f"{TEST_IMAGES} test"
        assert row["weights_sha256"] == pooch.file_hash(str(made.weights))
    classifier = made.folder / "models/digits/classifier/classifier.safetensors"
    assert rows["classifier", "fid"]["weights_sha256"] == pooch.file_hash(str(classifier))


def test_the_report_and_the_card_show_both(made: Made) -> None:
    assert ran(run(made.folder, "dvc", "repro", "report@digits")) == {"report@digits"}
    page = (made.folder / "reports/digits/index.html").read_text()
    card = (made.folder / "reports/digits/gan/card.md").read_text()
    for extractor in ("classifier", "inception"):
        assert f"`{extractor}`: {GENERATED} generated images" in card
    assert pooch.file_hash(str(made.weights)) in card
    assert "Features of InceptionV3" in page and "Features of the classifier" in page
