"""Data sets that are made of others, by the real `dvc repro`."""

import json
from pathlib import Path

import numpy as np
import pytest
from repositories import edit, make, ran, run
from safetensors.numpy import load_file

from ganvas.data import datasets, made

OF_DIGITS = {"of": "digits", "image_size": 28, "validation_images": 200}
SPLITS = ("train", "validation", "test")


def splits(folder: Path, name: str) -> dict[str, dict[str, np.ndarray]]:
    path = folder / "data/normalized" / name
    return {split: load_file(path / f"{split}.safetensors") for split in SPLITS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("made")
    make(
        found,
        matrix__datasets=["digits", "edges", "dresses"],
        datasets__edges={**OF_DIGITS, "channels": 1, "made": "edges"},
        datasets__dresses={**OF_DIGITS, "channels": 3, "made": ["plain", "coloured"]},
    )
    run(found, "dvc", "repro", "normalize")
    return found


def test_pairs_are_made_of_the_images_as_they_are_published(folder: Path) -> None:
    plain, found = splits(folder, "digits"), splits(folder, "edges")
    for split in SPLITS:
        inputs, images = made.PAIRS["edges"](plain[split]["images"])
        assert found[split].keys() == {"inputs", "images", "labels"}
        assert np.array_equal(found[split]["inputs"], inputs)
        assert np.array_equal(found[split]["images"], images)
        assert np.array_equal(found[split]["labels"], plain[split]["labels"])
        images, labels = datasets.load(folder / "data/normalized/edges", split)  # of a GAN
        assert labels is not None and np.array_equal(images.numpy(), found[split]["images"])


def test_domains_are_named_and_each_image_has_an_answer(folder: Path) -> None:
    plain, found = splits(folder, "digits"), splits(folder, "dresses")
    path = folder / "data/normalized/dresses"
    assert json.loads((path / "domains.json").read_text()) == ["plain", "coloured"]
    assert json.loads((path / "classes.json").read_text()) == [*"0123456789"]
    assert not (folder / "data/normalized/edges/domains.json").exists()
    assert len(found["train"]["images"]) == len(plain["train"]["images"])
    test = found["test"]
    assert len(test["images"]) == 2 * len(plain["test"]["images"])
    rows = made.answer(test["sources"], test["domains"], 1)
    coloured = made.DRESSES["coloured"](plain["test"]["images"])
    assert np.array_equal(test["images"][rows], coloured[test["sources"]])


def test_making_another_thing_makes_that_data_set_again_alone(folder: Path) -> None:
    edit(folder, datasets__edges__made="surroundings")
    assert ran(run(folder, "dvc", "repro", "normalize")) == {"params", "normalize@edges"}
    images = splits(folder, "edges")["test"]
    assert np.array_equal(images["inputs"], made.PAIRS["surroundings"](images["images"])[0])
