"""A person's own pairs and domains, from params.yaml to arrays, by the stages themselves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from repositories import ROOT, edit

from ganvas.data import datasets, findings, questions
from ganvas.workflow import instances
from stages import normalize, params

OWN = {"channels": 3, "image_size": 32, "test_share": 0.3, "validation_share": 0.2}


def pixels(number: int, width: int = 32) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (32, width, 3), np.uint8)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.fixture
def normalized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What stages `params` and `normalize` make of a data set of that folder."""
    for name in ("ganvas", "stages"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(findings, "FEWEST", {})  # a handful of images is enough

    def make(model: str, **settings: object) -> dict[str, dict[str, Any]]:
        translation = {f"own-{model}": {"dataset": "own", "model": model}}
        edit(tmp_path, datasets__own={**OWN, "folder": "given", **settings})
        edit(tmp_path, matrix__translated=["own"], matrix__translations=translation)
        data = instances.data_set("own")
        params.main(data.params)
        normalize.main(data)
        return {s: datasets.tensors(data.normalized, s) for s in ("train", "validation", "test")}

    return make


def test_pairs_that_lie_side_by_side(normalized: Any, tmp_path: Path) -> None:
    for number in range(30):
        save(tmp_path / f"given/{number}.png", pixels(number, 64))
    found = normalized("pix2pix", kind="pairs", inputs="right")
    assert sum(len(split["images"]) for split in found.values()) == 30
    whole = {pixels(number, 64).tobytes() for number in range(30)}
    for split in found.values():
        assert split.keys() == {"images", "inputs"}
        for answer, given in zip(split["images"], split["inputs"], strict=True):
            both = np.concatenate([answer.numpy(), given.numpy()], 2).transpose(1, 2, 0)
            assert both.tobytes() in whole
    asked = questions.ask(found["test"], 99, 0, 0)
    assert asked is not None and asked.truth is not None and asked.labels is None
    assert json.loads((tmp_path / "data/normalized/own/classes.json").read_text()) == []


def test_domains_are_classes_too(normalized: Any, tmp_path: Path) -> None:
    """So the classifier of the data set tells them apart."""
    for number in range(40):
        save(tmp_path / "given" / ("cats", "dogs")[number % 2] / f"{number}.png", pixels(number))
    found = normalized("cyclegan", kind="domains")
    folder = tmp_path / "data/normalized/own"
    for name in ("classes.json", "domains.json"):
        assert json.loads((folder / name).read_text()) == ["cats", "dogs"]
    dogs = {pixels(number).tobytes() for number in range(1, 40, 2)}
    for split in found.values():
        assert split["labels"].tolist() == split["domains"].tolist()
        for image, domain in zip(split["images"], split["domains"], strict=True):
            assert (image.permute(1, 2, 0).numpy().tobytes() in dogs) == bool(domain)
    data = instances.data_set("own")
    assert data.domain_names == ["cats", "dogs"] and data.classes_of_a_domain == 1
    assert data.extractors == ["classifier"]


def test_colour_is_to_be_found_from_grey(normalized: Any, tmp_path: Path) -> None:
    for number in range(20):
        save(tmp_path / f"given/{number}.png", pixels(number))
    found = normalized("pix2pix", made="grey")["test"]
    assert found["inputs"].shape[1:] == (1, 32, 32) and found["images"].shape[1:] == (3, 32, 32)
    for given, image in zip(found["inputs"], found["images"], strict=True):
        luma = Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")
        assert (given[0].numpy() == np.asarray(luma)).all()
