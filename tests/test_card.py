"""A model card says what its generator is worth, from the files that the stages wrote."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest

from ganvas import config, files
from ganvas.data.sources import SOURCES
from ganvas.evaluation import scores as evaluation
from ganvas.reporting import card, scoreboard
from ganvas.tracking import registry

SHA = "5" * 64
FID, FLOOR_FID = 12.345678, 0.87654321
SELECTION = {
    "extractor": "classifier",
    "rule": "best",
    "epoch": 18,
    "iteration": 15462,
    "validation_fid": 11.98765,
}
CLASSIFIER = {"test_accuracy": 0.9912, "test_images": 10_000, "train_images": 55_000}


@pytest.fixture
def trained(root: Path) -> dict[str, Any]:
    """config.json of the committed recipe."""
    params = config.load(root / "params.yaml")
    recipe = params.recipe("mnist", "dcgan").model_dump()
    facts = {"dataset": "mnist", "model": "dcgan", "seed": 0, "image_size": 28}
    return facts | recipe | {"precision": "float32", "warnings": []}


def scores(folder: Path, *extractors: str) -> list[dict[str, str]]:
    """Rows of a scores.csv that stage evaluate would write, with every measure there is."""
    names = [name for name in scoreboard.MEASURES if name != "memorisation"]
    names += ["fid_std", "kid_std", "inception_score_std"]
    found = dict.fromkeys(names, 1.5)
    table = {
        "images": 10_000,
        "reference": "test",
        "reference_images": 9_999,
        "extractors": dict.fromkeys(extractors, SHA),
        **{name: found | {"fid": FID, "histogram": [0.1] * 10} for name in extractors},
        "pixels": {"memorisation": -0.125},
        "floor": {
            **{name: found | {"fid": FLOOR_FID} for name in extractors},
            "pixels": {"memorisation": 0.0},
        },
    }
    files.write_csv(folder / "scores.csv", *evaluation.table(table))
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def page(trained: dict[str, Any], rows: list[dict[str, str]], dataset: str = "mnist") -> str:
    return card.page(
        dataset, "dcgan", config=trained, scores=rows, selection=SELECTION, classifier=CLASSIFIER
    )


@pytest.mark.parametrize(
    ("channels", "said", "shape"),
    [(1, "grey", "(16, 28, 28)"), (3, "in colour", "(16, 28, 28, 3)")],
)
def test_it_says_what_images_look_like_and_how_they_come(
    trained: dict[str, Any], channels: int, said: str, shape: str
) -> None:
    text = page(trained | {"channels": channels}, [])
    assert text.startswith("# ganvas-mnist: dcgan\n")
    assert f"images like those of `mnist`: {said}, 28 × 28 pixels, uint8." in text
    assert f'"seed": 0}}])  # uint8 {shape}\n' in text
    assert ("grey" in text) == (channels == 1)


def test_every_score_stands_beside_its_floor_with_what_it_was_computed_from(
    trained: dict[str, Any], tmp_path: Path
) -> None:
    rows = scores(tmp_path, "classifier", "inception")
    text = page(trained, rows)
    assert text.count("| fid | 12.3457 | 0.876543 | lower is better |") == 2
    assert "| memorisation | -0.125 | 0 | 0 is best |" in text
    assert "| fid_std | 1.5 | 1.5 |  |" in text
    assert len(re.findall(r"^\| \w+ \| [\d.-]+ \| [\d.-]+ \| .*\|$", text, re.MULTILINE)) == len(
        rows
    )
    origin = f"10000 generated images, 9999 test images, weights sha256 `{SHA}`."
    for extractor in ("classifier", "inception"):
        assert f"`{extractor}`: {origin}" in text
    assert "`pixels`: 10000 generated images, 9999 test images.\n" in text


def test_every_parameter_of_the_recipe_is_there(trained: dict[str, Any], tmp_path: Path) -> None:
    text = page(trained, scores(tmp_path, "classifier"))
    assert "| betas | 0.5, 0.999 |" in text and "| lr_generator | 0.0002 |" in text
    assert "| generator_widths | 128, 64, 32 |" in text and "| augment | none |" in text
    shown = re.findall(r"^\| ([\w.]+) \| [^|]+ \|$", text, re.MULTILINE)
    apart = {"dataset", "model", "warnings"}
    sections = dict.fromkeys(key.partition(".")[0] for key in shown)
    assert [*sections] == [
        "parameter",
        *(key for key in trained if key not in apart and trained[key] != {}),
    ]
    assert "epoch 18, iteration 15,462, by the rule `best`; FID 11.99" in text


def test_a_training_that_went_wrong_says_so(trained: dict[str, Any], tmp_path: Path) -> None:
    rows = scores(tmp_path, "classifier")
    assert "Warning" not in page(trained, rows)
    warned = trained | {"warnings": ["the discriminator has won", "another"]}
    assert "\nWarning: the discriminator has won.\n" in page(warned, rows)
    assert "\nWarning: another.\n" in page(warned, rows)


def test_scores_by_a_classifier_that_does_not_know_the_data_say_so(
    trained: dict[str, Any], tmp_path: Path
) -> None:
    text = card.page(
        "mnist",
        "dcgan",
        config=trained,
        scores=scores(tmp_path, "classifier"),
        selection=SELECTION,
        classifier=CLASSIFIER,
        warnings=["the classifier reads 10.00 %"],
    )
    assert "\nWarning: the classifier reads 10.00 %.\n\n`classifier`: 10000" in text


@pytest.mark.parametrize("dataset", SOURCES)
def test_source_and_licence_of_every_data_set_are_named(
    trained: dict[str, Any], tmp_path: Path, dataset: str
) -> None:
    text = page(trained, scores(tmp_path, "classifier"), dataset)
    assert card.DATA[dataset] in text and re.search(r"CC BY|MIT", card.DATA[dataset])
    assert f"models:/{registry.name_of(dataset)}@best" in text


def test_a_data_set_without_an_entry_has_a_card_too(
    trained: dict[str, Any], tmp_path: Path
) -> None:
    assert card.ELSEWHERE in page(trained, scores(tmp_path, "classifier"), "letters")


def test_limits_are_told(trained: dict[str, Any], tmp_path: Path) -> None:
    limits = page(trained, scores(tmp_path, "classifier")).partition("## Limits")[2]
    for word in ("knows no classes", "99.1 %", "recall", "grey", "never with a paper's", "study"):
        assert word in limits


def test_a_generator_that_is_told_classes_says_so(trained: dict[str, Any], tmp_path: Path) -> None:
    rows = scores(tmp_path, "classifier")
    told = trained | {"classes": "concatenated"}
    text = page(told, rows)
    assert "turns 100 random numbers and a class into one image" in text
    limits = text.partition("## Limits")[2]
    assert "knows no classes" not in limits and "`class_accuracy` above" in limits
    assert "and a class" not in page(trained, rows)


def test_the_same_files_give_the_same_text(trained: dict[str, Any], tmp_path: Path) -> None:
    rows = scores(tmp_path, "classifier")
    text = page(trained, rows)
    assert text == page(dict(trained), [dict(row) for row in rows])
    assert text.endswith(".\n") and "\n\n\n" not in text
    assert not re.search(r"\b\d{4}-\d\d-\d\d\b|\d\d:\d\d", text)


def test_a_card_is_short_enough_for_the_registry(trained: dict[str, Any], tmp_path: Path) -> None:
    """With one extractor, as committed; a longer one is cut there."""
    assert len(page(trained, scores(tmp_path, "classifier"))) < registry.DESCRIPTION
