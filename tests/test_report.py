import base64
import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas.data.normalize import CLASSES
from ganvas.errors import GanvasError
from ganvas.pictures import grid, save_png
from ganvas.reporting import report, scoreboard
from ganvas.tracking.runs import Origin

ROOT = Path(__file__).parents[1]

SCORES = {
    "fid": 12.5,
    "fid_std": 0.25,
    "fid_infinity": 11.75,
    "inception_score": 7.5,
    "inception_score_std": 0.1,
    "kid": 3.25,
    "kid_std": 0.5,
    "precision": 0.5,
    "recall": 0.25,
    "density": 0.75,
    "coverage": 0.625,
    "modes_covered": 9.0,
    "modes_kl": 0.03125,
}
FLOOR = {**SCORES, "fid": 1.5, "precision": 0.96875, "modes_covered": 10.0}
PICTURES = {"gan": (100, 300, 1000), "dcgan": (100, 400)}
SHARES = [0.1] * 10


def build(
    root: Path,
    *,
    rows: int = 30,
    epochs: int = 20,
    pictures: dict[str, tuple[int, ...]] = PICTURES,
    optional: bool = False,
    side: int = 604,  # pixels, of the largest pictures
    warnings: tuple[str, ...] = (),
) -> None:
    """Write below `root` the files of a finished pipeline that the report reads."""
    random = np.random.default_rng(0)
    floor: dict[str, Any] = {"classifier": dict(FLOOR), "images": 1097}
    if optional:
        floor["classifier"]["histogram"] = SHARES
    write(root / "results/digits/floor.json", floor)
    classifier = {"test_accuracy": 0.998, "test_images": 500, "train_images": 1097}
    write(root / "results/digits/classifier.json", classifier)
    for model, drawn in pictures.items():
        at = folders(root, model)
        for path in (at.model / "progress", at.samples, at.results):
            path.mkdir(parents=True)
        scores: dict[str, Any] = dict(SCORES, fid=SCORES["fid"] * (10 if model == "gan" else 1))
        metrics: dict[str, Any] = {"images": 10_000, "classifier": scores}
        if optional:
            scores["histogram"] = random.dirichlet(np.ones(10)).tolist()
            metrics["pixels"] = {"memorisation": -0.125}
            picture(random, at.samples / "nearest.png", side // 2)
        write(at.results / "metrics.json", metrics)
        names = ["classifier", "pixels"] if optional else ["classifier"]
        origin = {
            "extractor": names,
            "reference": ["500 test"] * len(names),
            "weights_sha256": ["e" * 64, ""][: len(names)],
        }
        table(at.results / "scores.csv", origin)
        config = {"model": model, "seed": 0, "network": model, "betas": [0.5, 0.999]}
        write(at.model / "config.json", {**config, "warnings": list(warnings)})
        table(
            at.model / "history.csv",
            {
                "iteration": 100 * np.arange(1, rows + 1),
                "epoch": np.linspace(0, epochs, rows),
                "discriminator_loss": random.uniform(0.1, 0.7, rows),
                "generator_loss": 2 + np.sin(np.arange(rows) / rows * 9) + random.random(rows),
                "real_probability": random.uniform(0.5, 0.9, rows),
                "fake_probability": random.uniform(0.1, 0.5, rows),
            },
        )
        every = np.arange(1, 21) * epochs // 20
        fid = (200 if model == "gan" else 20) / np.arange(1, 21)
        fid[14] = 0.5  # the best one, of epoch 15 / 20
        loss = np.linspace(4, 2, 20)
        columns = {"epoch": every, "iteration": every * 100, "fid": fid, "generator_loss": loss}
        table(at.results / "selection.csv", columns)
        selection = {
            "extractor": "classifier",
            "rule": "best",
            "epoch": int(every[14]),
            "iteration": int(every[14]) * 100,
            "checkpoint": f"epoch-{every[14]:04}.safetensors",
            "validation_fid": 0.5,
            "best_epoch": int(every[14]),
            "lowest_generator_loss_epoch": int(every[19]),
        }
        write(at.results / "selection.json", selection)
        picture(random, at.samples / "grid.png", side)
        picture(random, at.samples / "interpolation.png", side, side // 2)
        for iteration in drawn:
            picture(random, at.model / f"progress/iteration-{iteration:07}.png", side // 2)


# Ten models, in params.yaml's order, and what their files have beside those of `gan`.
TEN: dict[str, dict[str, Any]] = {
    "gan": {"objective": "non_saturating"},
    "dcgan": {
        "objective": "non_saturating",
        "discriminator_widths": [32, 64],
        "discriminator_norm": "batch",
    },
    "gan_minimax": {"objective": "minimax"},
    "dcgan_dense": {"objective": "non_saturating", "augment": ["cutout", "translation"]},
    "lsgan": {"objective": "least_squares"},
    "wgan_gp": {"objective": "wasserstein", "penalties": {"gradient": 10.0}},
    "hinge_sn": {"objective": "hinge"},
    "r3gan": {"objective": "relativistic", "penalties": {"r1": 1.0, "r2": 1.0}},
    "acgan": {"objective": "non_saturating", "classes": "auxiliary"},
    "infogan_lucic": {"objective": "non_saturating", "latent": "uniform"},
}
TEN_FIDS = dict(zip(TEN, (75.25, 5.5, 150.0, 9.0, 4.5, 3.5, 2.5, 1.75, 5.25, 7.0), strict=True))
HASHES = dict(zip(TEN, (letter * 32 + ".dir" for letter in "abcdefghij"), strict=True))
RANKED = sorted(TEN_FIDS, key=TEN_FIDS.__getitem__)


def build_ten(root: Path, rows: int = 30) -> None:
    """As `build` does, of ten models with every kind of objective."""
    pictures = dict.fromkeys(TEN, PICTURES["gan"])
    build(root, rows=rows, pictures=pictures, optional=True, side=120)
    random = np.random.default_rng(1)
    floor = json.loads((root / "results/digits/floor.json").read_text())
    within = {"class_accuracy": 0.9875, "class_fid": 6.5, "class_fids": [6.5] * 9 + [None]}
    floor["classifier"] |= within
    write(root / "results/digits/floor.json", floor)
    for model, given in TEN.items():
        at = folders(root, model)
        metrics = json.loads((at.results / "metrics.json").read_text())
        metrics["classifier"]["fid"] = TEN_FIDS[model]
        if "classes" in given:
            fids = [*random.uniform(8, 20, 9).round(3), None]
            metrics["classifier"] |= {
                "class_accuracy": 0.875,
                "class_fid": 12.5,
                "class_fids": fids,
            }
        write(at.results / "metrics.json", metrics)
        recipe = {
            "network": "dcgan",
            "generator_widths": [128, 64, 32],
            "generator_norm": "batch",
            "discriminator_widths": [32, 64, 128],
            "discriminator_norm": "none",
            "classes": "none",
            "latent": "normal",
            "penalties": {},
            "augment": [],
            "betas": [0.5, 0.999],
        }
        write(at.model / "config.json", {"model": model, **recipe, **given, "warnings": []})
        history = report.read_columns(at.model / "history.csv", ())
        real, fake = history["real_probability"], history["fake_probability"]
        if given["objective"] in ("least_squares", "wasserstein", "hinge", "relativistic"):
            del history["real_probability"], history["fake_probability"]
            history["real_logit"] = [20 * value for value in real]
            history["fake_logit"] = [-30 * value for value in fake]
        if given["objective"] in ("minimax", "wasserstein"):
            history["generator_loss"] = [-value for value in history["generator_loss"]]
        if given["objective"] == "wasserstein":
            history["discriminator_loss"] = [-30 * value for value in fake]
        if "penalties" in given:
            history["penalty"] = [value / 10 for value in real]
        if "classes" in given:
            history["class_loss"] = [2.3 * value for value in fake]
        history["something_else"] = real
        table(at.model / "history.csv", history)


def folders(root: Path, model: str) -> report.Folders:
    return report.Folders(
        *(root / kind / "digits" / model for kind in ("models", "samples", "results"))
    )


def write(path: Path, values: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def table(path: Path, columns: dict[str, Any]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def picture(random: np.random.Generator, path: Path, width: int, height: int = 0) -> None:
    """Noise, the worst that can be compressed, enlarged twice as the pipeline's pictures are."""
    pixels = random.integers(0, 256, ((height or width) // 2, width // 2), dtype=np.uint8)
    Image.fromarray(pixels.repeat(2, axis=0).repeat(2, axis=1)).save(path)


def page(
    root: Path,
    lineage: report.Lineage | None = None,
    seed_deviation: float = 0.0,
    classes: Sequence[str] = (),
    dataset: str = "digits",
) -> str:
    found = sorted(path.name for path in (root / "models/digits").iterdir())
    names = TEN if set(found) == set(TEN) else found
    models = {name: folders(root, name) for name in names}
    lineage = lineage or report.Lineage("c" * 40, False, "d" * 32 + ".dir", HASHES)
    return report.page(dataset, root / "results/digits", models, lineage, seed_deviation, classes)


# What the page says


def test_the_scores_stand_beside_their_floor(tmp_path: Path) -> None:
    build(tmp_path)
    row = re.search(r'<tr data-measure="fid">.*?</tr>', page(tmp_path), re.DOTALL)
    assert row
    cells = re.findall(r"<td.*?>([\d.,]+)<span class=\"deviation\">± ([\d.]+)", row[0])
    assert cells == [("12.50", "0.25"), ("125.0", "0.2"), ("1.500", "0.250")]
    assert 'data-label="dcgan" class="best"' in row[0]
    assert 'data-label="gan" class="best"' not in row[0]
    assert "lower is better" in row[0]


@pytest.mark.parametrize("better", ["gan", "dcgan"])
def test_the_page_opens_with_the_nearest_to_the_real_images(tmp_path: Path, better: str) -> None:
    build(tmp_path)
    for model in ("gan", "dcgan"):
        path = tmp_path / f"results/digits/{model}/metrics.json"
        scores = json.loads(path.read_text())
        scores["classifier"]["fid"] = 20.0 if model == better else 30.0
        path.write_text(json.dumps(scores))
    text = " ".join(page(tmp_path).split())
    other = {"gan": "dcgan", "dcgan": "gan"}[better]
    said = f"{better} comes nearest to the real images with 20.00; {other} scores 30.00."
    assert said in text
    assert 'class="best">20.00' in text
    text = " ".join(page(tmp_path, seed_deviation=0.2).split())
    assert said not in text and 'class="best">20.00' not in text
    assert (
        f"{better} scores 20.00, {other} scores 30.00: between {better} and {other} seeds make "
        "more of a difference than that, so none of them is ahead."
    ) in text


def test_each_table_says_what_its_scores_were_computed_from(tmp_path: Path) -> None:
    build(tmp_path, optional=True)
    section = re.search(r'<section id="scores">.*?</section>', page(tmp_path), re.DOTALL)
    assert section
    intro, *tables = re.sub(r"<[^>]+>", "", section[0]).split("Against ")
    assert "10,000 by each model." in " ".join(intro.split())
    assert "1,097 real training images" in " ".join(intro.split()), "the floor's number of images"
    assert [text.partition(".")[0] for text in tables] == [
        f"500 test images, by the weights with sha256 {'e' * 64}",
        "500 test images",
    ]


def test_every_measure_of_the_pipeline_is_explained() -> None:
    from ganvas.evaluation.features import Features
    from ganvas.evaluation.measures import MEASURES, Labelled

    torch = pytest.importorskip("torch")
    random = torch.Generator().manual_seed(0)
    features = torch.rand(60, 4, generator=random).double()
    probabilities = torch.rand(60, 3, generator=random).double().softmax(1)
    of = Features(features=features, probabilities=probabilities)
    told = Labelled(of, torch.arange(60) % 3, classes=3)
    images = np.zeros((2, 28, 28), np.uint8)
    names = {"memorisation", "domain_fids"}
    for measure in MEASURES.values():
        if measure.of != "pixels":
            sides = of if measure.of in ("features", "probabilities", "classes") else told
            sides = images if measure.of in ("truth", "cycle") else sides
            names |= measure.compare(sides, sides, 0).keys()
    found = {name.removesuffix("_std") for name in names}
    apart = {"class_fids", "domain_fids"}  # which have tables of their own
    assert found - scoreboard.MEASURES.keys() == apart


def test_every_measure_on_the_page_says_what_it_means(tmp_path: Path) -> None:
    build(tmp_path, optional=True)
    said = re.findall(r'data-measure="(\w+)".*?class="meaning">(.*?)</', page(tmp_path), re.DOTALL)
    of_classes = {"class_accuracy", "class_fid"}  # which these models are not told
    translated = {"domain_accuracy", "class_kept", "l1", "psnr", "ssim", "cycle_l1"}
    assert {measure for measure, _ in said} == scoreboard.MEASURES.keys() - of_classes - translated
    assert all(len(meaning) > 40 for _, meaning in said)
    template = report.TEMPLATE.read_text()
    for measure in translated:
        assert re.search(rf'^  "{measure}": "[^"]{{40,}}"', template, re.MULTILINE)


def test_what_is_optional_appears_only_where_it_is_made(tmp_path: Path) -> None:
    build(tmp_path / "without")
    build(tmp_path / "with", optional=True)
    without, with_them = page(tmp_path / "without"), page(tmp_path / "with")
    for part in ('<section id="nearest">', '<section id="classes">', "Memorisation"):
        assert part not in without
        assert part in with_them
    assert "MLflow run" not in with_them
    lineage = report.Lineage(
        "c" * 40,
        True,
        "data",
        HASHES,
        origins={
            "gan": Origin("run-7", "2026-01-02", "a" * 40, newest=True),
            "dcgan": Origin("run-8", "2026-01-03", "b" * 40, newest=False),
        },
    )
    text = page(tmp_path / "with", lineage)
    assert "run-7" in text and "run-8" in text and "2026-01-02" in text and "b" * 40 in text
    assert text.count("DVC kept or restored this one") == 1


def test_the_lineage_says_whether_the_tree_was_dirty(tmp_path: Path) -> None:
    build(tmp_path)
    clean = page(tmp_path, report.Lineage("c" * 40, False, "data-hash", HASHES))
    dirty = page(tmp_path, report.Lineage("c" * 40, True, "data-hash", HASHES))
    without_git = page(tmp_path, report.Lineage(None, False, "data-hash", HASHES))
    assert "c" * 40 in clean and "data-hash" in clean and HASHES["gan"] in clean
    assert "not committed" in dirty and "not committed" not in clean
    assert "not in a git repository" in without_git


def test_parameters_that_differ_stand_apart_from_those_that_agree(tmp_path: Path) -> None:
    build(tmp_path)
    section = re.search(r'<section id="parameters">.*?</section>', page(tmp_path), re.DOTALL)
    assert section
    differing, agreeing = section[0].split("<details>")
    assert "network" in differing and "seed" not in differing
    assert "seed" in agreeing and "0.5, 0.999" in agreeing and "network" not in agreeing


def test_the_lowest_generator_loss_is_said_with_its_fid(tmp_path: Path) -> None:
    build(tmp_path)
    text = plain(page(tmp_path))
    assert "gan 15 0.5000 15 20 10.00" in text
    assert "dcgan 15 0.5000 15 20 1.000" in text
    assert "(rule: best)" in text


def test_one_model_makes_a_page_too(tmp_path: Path) -> None:
    build(tmp_path, pictures={"dcgan": (100,)})
    assert "dcgan reaches an FID of 12.50" in page(tmp_path)


# Many models


def section(html: str, name: str) -> str:
    found = re.search(rf'<section id="{name}">.*?</section>', html, re.DOTALL)
    assert found
    return found[0]


def plain(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", "", re.sub(r"</t[dh]>", " ", html)).split())


def charts(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html)
    assert found
    return dict(json.loads(found[1])["charts"])


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of ten models: to be read, not changed."""
    root = tmp_path_factory.mktemp("ten")
    build_ten(root)
    return root


@pytest.fixture(scope="module")
def of_ten(ten: Path) -> str:
    return page(ten)


def test_models_stand_in_the_order_of_their_fid_everywhere(of_ten: str) -> None:
    head = re.search(r"<thead>.*?</thead>", section(of_ten, "scores"), re.DOTALL)
    assert head and plain(head[0]).split()[1:11] == RANKED
    names = {
        part: re.findall(r'class="model tone-\d">(.*?)</span>', section(of_ten, part))
        for part in ("samples", "progress", "losses", "interpolation", "classes", "parameters")
    }
    for part, found in names.items():
        assert [plain(name) for name in found[:10]] == RANKED, part


def test_without_any_fid_models_stand_as_in_params_yaml(tmp_path: Path) -> None:
    build_ten(tmp_path)
    for model in TEN:
        path = folders(tmp_path, model).results / "metrics.json"
        scores = json.loads(path.read_text())
        del scores["classifier"]["fid"]
        path.write_text(json.dumps(scores))
    html = page(tmp_path)
    head = re.search(r"<thead>.*?</thead>", section(html, "scores"), re.DOTALL)
    assert head and plain(head[0]).split()[1:11] == [*TEN]
    assert "comes nearest" not in html


def test_a_models_colour_does_not_follow_its_rank(of_ten: str) -> None:
    tones = dict(re.findall(r'class="chart tone-(\d)" data-chart="fid-(\w+)"', of_ten))
    assert tones == {str(place): model for place, model in enumerate(TEN)}


def test_the_opening_names_the_first_of_many(ten: Path, of_ten: str) -> None:
    text = " ".join(of_ten.split())
    assert (
        "r3gan comes nearest to the real images with 1.750; hinge_sn scores 2.500, wgan_gp scores "
        "3.500, the other 7 from 4.500 to 150.0."
    ) in text
    text = " ".join(page(ten, seed_deviation=0.2).split())
    assert (
        "r3gan comes out first with 1.750, but between r3gan and hinge_sn seeds make more of a "
        "difference than what parts them, so none of them is ahead. The last of the 10 scores "
        "150.0."
    ) in text
    text = " ".join(page(ten, seed_deviation=0.4).split())
    assert "between the first 8 models seeds make" in text and "The last of the 10" in text
    text = " ".join(page(ten, seed_deviation=0.5).split())
    assert "between the first 10 models seeds make" in text and "The last of the" not in text


def test_losses_below_zero_have_room_and_compare_within_an_objective(of_ten: str) -> None:
    drawn = charts(of_ten)
    for name, chart in drawn.items():
        low, high = chart["y"]
        values = [value for series in chart["series"] for value in series["values"]]
        rounding = (high - low) / 1_000  # the values have four digits
        assert low - rounding <= min(values) and max(values) <= high + rounding, name
    scales = {model: drawn[f"generator-{model}"]["y"] for model in TEN}
    assert scales["gan_minimax"][0] < -2 and scales["gan_minimax"][1] == 0
    assert scales["wgan_gp"][0] < -2
    assert scales["gan"] == scales["dcgan"] == scales["acgan"] and scales["gan"][0] == 0
    assert scales["gan"] != scales["lsgan"]


def test_logits_stand_apart_from_probabilities_each_on_its_scale(of_ten: str) -> None:
    drawn = charts(of_ten)
    of_logits = {model for model in TEN if f"logit-{model}" in drawn}
    assert of_logits == {"lsgan", "wgan_gp", "hinge_sn", "r3gan"}
    assert {model for model in TEN if f"probability-{model}" in drawn} == TEN.keys() - of_logits
    assert all(drawn[f"probability-{model}"]["y"] == [0, 1] for model in TEN.keys() - of_logits)
    assert len({tuple(drawn[f"logit-{model}"]["y"]) for model in of_logits}) == 4
    assert "What the discriminator answers" in of_ten


def test_logits_far_from_zero_fill_their_chart(tmp_path: Path) -> None:
    build(tmp_path)
    path = folders(tmp_path, "gan").model / "history.csv"
    history = report.read_columns(path, ())
    history["real_logit"] = [300 + value for value in history.pop("real_probability")]
    history["fake_logit"] = [300 + value for value in history.pop("fake_probability")]
    table(path, history)
    low, high = charts(page(tmp_path))["logit-gan"]["y"]
    assert 300 <= low < high < 301


def test_penalties_and_losses_of_classes_have_a_chart_where_there_are_any(
    tmp_path: Path, of_ten: str
) -> None:
    drawn = charts(of_ten)
    assert {name for name in drawn if name.startswith(("penalty", "class_loss"))} == {
        "penalty-wgan_gp",
        "penalty-r3gan",
        "class_loss-acgan",
    }
    build(tmp_path)
    html = page(tmp_path)
    for heading in ("<h3>Penalty", "<h3>Loss of the classes", "What the discriminator answers"):
        assert heading in of_ten and heading not in html


def test_outputs_on_held_out_images_have_a_chart_where_they_were_measured(tmp_path: Path) -> None:
    build(tmp_path)
    assert "Learnt by heart?" not in page(tmp_path)
    path = folders(tmp_path, "gan").model / "history.csv"
    history = report.read_columns(path, ())
    outputs = {
        "train_logit": [5.0 + row for row in range(30)],
        "validation_logit": [4.0] * 30,
        "generated_logit": [-3.0] * 30,
    }
    table(path, {**history, **outputs})
    html = page(tmp_path)
    drawn = charts(html)
    assert "Learnt by heart?" in html
    assert [name for name in drawn if name.startswith("heart")] == ["heart-gan"]
    found = {series["name"]: series["values"] for series in drawn["heart-gan"]["series"]}
    named = ("training", "held-out", "generated")
    assert found == dict(zip(named, outputs.values(), strict=True))
    assert drawn["heart-gan"]["y"] == [-3, 34]


def test_columns_that_nobody_knows_change_nothing(tmp_path: Path) -> None:
    build(tmp_path)
    before = page(tmp_path)
    path = folders(tmp_path, "gan").model / "history.csv"
    history = report.read_columns(path, ())
    table(path, {**history, "another": [float("nan")] * len(history["epoch"])})
    assert page(tmp_path) == before


def test_scores_of_classes_have_a_row_where_a_model_has_them(tmp_path: Path, of_ten: str) -> None:
    row = re.search(r'<tr data-measure="class_accuracy">.*?</tr>', of_ten, re.DOTALL)
    assert row
    cells = dict(re.findall(r'data-label="(\w+)"[^>]*>([^<]+)</td>', row[0]))
    assert cells == {**dict.fromkeys(TEN, "–"), "acgan": "87.5 %", "floor": "98.8 %"}
    assert re.search(r'data-measure="class_fid".*?class="meaning">FID of', of_ten, re.DOTALL)
    # The floor has them for every data set.
    build(tmp_path, optional=True)
    floor = json.loads((tmp_path / "results/digits/floor.json").read_text())
    floor["classifier"] |= {"class_accuracy": 0.9, "class_fid": 2.0, "class_fids": [2.0] * 10}
    write(tmp_path / "results/digits/floor.json", floor)
    html = page(tmp_path)
    assert 'data-measure="class' not in html and "FID within each class" not in html


def test_the_fid_within_each_class_is_a_table_beside_its_floor(of_ten: str) -> None:
    rows = re.search(r"FID within each class.*?<tbody>(.*?)</tbody>", of_ten, re.DOTALL)
    assert rows
    cells = [plain(row) for row in rows[1].split("</tr>")][:10]
    assert re.fullmatch(r"0 [\d.]+ 6\.500", cells[0]) and cells[9] == "9 – –"


def test_classes_have_their_names(ten: Path) -> None:
    html = page(ten, classes=CLASSES["fashion_mnist"])
    assert '<th scope="row">ankle boot</th>' in html
    assert charts(html)["classes-gan"]["names"][9] == "ankle boot"


def test_parameters_have_dotted_keys_and_what_most_have_is_pale(of_ten: str) -> None:
    part = section(of_ten, "parameters")
    differing, agreeing = part.split("<details>")
    norm = re.search(r"discriminator_(?:<wbr>)?norm</code></th>(.*?)</tr>", differing, re.DOTALL)
    widths = re.search(r"discriminator_(?:<wbr>)?widths</code>(.*?)</tr>", differing, re.DOTALL)
    assert norm and widths
    assert re.findall(r"<td>(.*?)</td>", norm[1]) == ["batch"], "dcgan's alone"
    assert norm[1].count('class="usual">none') == 9 and "32, 64, 128" in widths[1]
    keys = [plain(key) for key in re.findall(r"<code>(.*?)</code>", differing)]
    assert [key for key in keys if key.startswith("penalties")] == [
        *("penalties.r1", "penalties.r2", "penalties.gradient")
    ]
    assert "generator_<wbr>norm" in agreeing
    assert "acgan is told the class" in plain(part)


def test_a_page_of_ten_stays_under_ten_megabytes(tmp_path: Path) -> None:
    drawn = tuple(range(100, 2_600, 100))
    build(tmp_path, rows=2_000, pictures=dict.fromkeys(TEN, drawn), optional=True)
    assert len(page(tmp_path).encode()) < 10_000_000


# What the page is made of


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    build(tmp_path, optional=True)
    program = (
        "import sys; from pathlib import Path; from test_report import page; "
        "import hashlib; print(hashlib.sha256(page(Path(sys.argv[1])).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_a_long_training_stays_under_five_megabytes(tmp_path: Path) -> None:
    drawn = tuple(range(10_000, 130_000, 10_000))
    build(tmp_path, rows=1_700, epochs=200, pictures={"gan": drawn, "dcgan": drawn}, optional=True)
    assert len(page(tmp_path).encode()) < 5_000_000


def test_far_too_many_pictures_and_rows_stay_under_five_megabytes(tmp_path: Path) -> None:
    drawn = tuple(range(100, 6_100, 100))
    build(tmp_path, rows=30_000, pictures={"gan": drawn, "dcgan": drawn})
    picture(np.random.default_rng(0), tmp_path / "samples/digits/gan/grid.png", 3_000)
    html = page(tmp_path)
    assert len(html.encode()) < 5_000_000
    assert "each point averages 1,500 iterations" in html


def test_pictures_in_colour_are_shown_so_at_their_full_size(tmp_path: Path) -> None:
    build(tmp_path, optional=True)
    at = folders(tmp_path, "gan")
    rows = np.linspace(0, 255, 64)
    blurred = np.stack(np.broadcast_arrays(rows[:, None], rows, rows[::-1, None]), -1)
    noise = np.random.default_rng(0).normal(0, 5, (100, 64, 64, 3))
    images = (blurred + noise).clip(0, 255).astype(np.uint8)
    save_png(at.samples / "grid.png", grid(images, 10))
    assert (at.samples / "grid.png").stat().st_size > 2 * report.PICTURE_BYTES
    found = shown_pictures(page(tmp_path))
    shown = found["Grid of images generated by gan"]
    assert (shown.format, shown.mode, shown.size) == ("JPEG", "RGB", (662, 662))
    apart = np.abs(np.asarray(shown).astype(int) - np.asarray(grid(images, 10)))
    assert apart.mean() < 4
    grey = found["Grid of images generated by dcgan"]
    assert (grey.format, grey.mode, grey.size) == ("PNG", "L", (604, 604))


def shown_pictures(html: str) -> dict[str, Image.Image]:
    """Those of a page by what they are said to show."""
    found = re.findall(
        r'<img src="data:image/(?:png|jpeg);base64,([^"]+)"[^>]* alt="([^"]+)"', html
    )
    return {words: Image.open(io.BytesIO(base64.b64decode(data))) for data, words in found}


def test_nothing_is_fetched(tmp_path: Path) -> None:
    build(tmp_path, optional=True)
    html = re.sub(r"data:image/(png|jpeg);base64,[\w+/=]+", "data:", page(tmp_path))
    assert set(re.findall(r'(?:src|href)="(?!#)([^"]*)"', html)) == {"data:", "data:,"}
    assert set(re.findall(r"\w+://[^\"' ]+", html)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in html and "@import" not in html


def test_scores_by_a_classifier_that_does_not_know_the_data_say_so(tmp_path: Path) -> None:
    build(tmp_path)
    assert "Scores to distrust" not in page(tmp_path)
    for model in PICTURES:
        path = folders(tmp_path, model).results / "metrics.json"
        warned = {**json.loads(path.read_text()), "warnings": ["the classifier reads <10 %"]}
        write(path, warned)
    html = page(tmp_path)
    assert "<strong>Scores to distrust</strong>" in html
    assert html.count("<li>the classifier reads &lt;10 %</li>") == 1


def test_text_from_files_is_escaped(tmp_path: Path) -> None:
    build(tmp_path, warnings=("</script><script>alert(1)</script>",))
    at = folders(tmp_path, "gan")
    config = json.loads((at.model / "config.json").read_text())
    write(at.model / "config.json", {**config, "network": "<img src=x onerror=alert(2)>"})
    html = page(tmp_path, dataset="</title><b>")
    assert "<script>alert(1)" not in html
    assert "<img src=x" not in html
    assert "</title><b>" not in html
    assert "&lt;img src=x" in html


# What can be missing


MISSING = [
    "results/digits/floor.json",
    "results/digits/classifier.json",
    "results/digits/gan/metrics.json",
    "results/digits/gan/scores.csv",
    "results/digits/gan/selection.json",
    "results/digits/gan/selection.csv",
    "models/digits/gan/config.json",
    "models/digits/gan/history.csv",
    "models/digits/gan/progress",
    "samples/digits/gan/grid.png",
    "samples/digits/gan/interpolation.png",
]


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_file_is_named_with_what_makes_it(tmp_path: Path, name: str) -> None:
    build(tmp_path)
    path = tmp_path / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(GanvasError) as caught:
        page(tmp_path)
    message = str(caught.value)
    assert str(path) in message and "`dvc repro report@digits`" in message
    assert "\n" not in message


def test_the_stage_asks_for_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganvas.workflow import instances
    from stages import report as stage

    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    with pytest.raises(GanvasError, match=r"data/normalized/digits: missing; .* report@digits"):
        stage.main(instances.data_set("digits"))
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results/digits/floor.json", "{"),
        ("results/digits/gan/metrics.json", "[]"),
        ("results/digits/gan/scores.csv", "extractor,value\nclassifier,1\n"),
        ("models/digits/gan/history.csv", "iteration,epoch\n1,2\n"),
        (
            "models/digits/gan/history.csv",
            "iteration,epoch,discriminator_loss,generator_loss\n1,2,x,3\n",
        ),
        ("results/digits/gan/selection.csv", "epoch,iteration,fid,generator_loss\n"),
        ("samples/digits/gan/grid.png", "x" * 400_000),
        ("samples/digits/gan/grid.png", "x"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: str) -> None:
    build(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(GanvasError, match=re.escape(name)):
        page(tmp_path)


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    build(tmp_path, rows=100)
    path = tmp_path / "models/digits/gan/history.csv"
    lines = path.read_text().splitlines()
    lines[3] = "300,1,nan,inf,0.5,nan"
    path.write_text("\n".join(lines))
    html = page(tmp_path)
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html)
    assert found and "NaN" not in found[1] and "Infinity" not in found[1]
    curve = json.loads(found[1])["charts"]["generator-gan"]["series"][0]
    assert curve["values"][2] is None and curve["smooth"][2] is not None


# The parts


@pytest.mark.parametrize("scheme", [0, 1])
def test_ten_colours_stay_apart(scheme: int) -> None:
    """Distances in Oklab; with colour vision deficiencies as simulated by Machado 2009."""
    colours = re.findall(r"--tone-\d: #(\w{6})", report.TEMPLATE.read_text())
    assert len(colours) == 20
    srgb = np.array([[*bytes.fromhex(colour)] for colour in colours[10 * scheme :][:10]]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)

    def nearest(seen: np.ndarray) -> Any:
        cones = np.cbrt(seen.clip(0, 1) @ np.array(OKLAB[0]).T) @ np.array(OKLAB[1]).T
        return np.linalg.norm(cones[:, None] - cones, axis=2) + np.eye(10)

    assert nearest(linear).min() > 0.07
    for deficiency in DEFICIENCIES:
        assert nearest(linear @ np.array(deficiency).T)[6:].min() > 0.05, "beside the first six"


OKLAB = (
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
)
DEFICIENCIES = (
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
)


def test_a_model_without_a_picture_shows_its_nearest_earlier_one() -> None:
    shown = report.steps({"gan": [100, 1000], "dcgan": [300, 850]})
    assert [step["iteration"] for step in shown] == [100, 300, 850, 1000]
    assert [step["shown"]["gan"] for step in shown] == [100, 100, 100, 1000]
    assert [step["shown"]["dcgan"] for step in shown] == [None, 300, 850, 850]
    assert shown[3]["captions"]["dcgan"] == "iteration 850, the nearest earlier picture"
    assert shown[2]["captions"]["dcgan"] == "iteration 850"


def test_thinned_steps_keep_both_ends() -> None:
    shown = report.steps({"gan": range(1, 1001)}, limit=7)
    assert len(shown) == 7
    assert (shown[0]["iteration"], shown[-1]["iteration"]) == (1, 1000)


def test_running_mean() -> None:
    expected = [1.5, 2.0, 3.0, 4.0, 4.5]
    assert report.running_mean([1, 2, 3, 4, 5], 3).tolist() == expected
    assert report.running_mean([1, float("nan"), 3], 3).tolist() == [1, 2, 3]
    values = np.random.default_rng(0).random(101)
    assert report.running_mean(values, 11)[50] == pytest.approx(values[45:56].mean())


# In a browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("report")
    build(root, rows=200, optional=True, warnings=("the discriminator has won: " + "lost " * 30,))
    path = root / "index.html"
    path.write_text(page(root), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def address_of_ten(ten: Path, of_ten: str) -> str:
    path = ten / "index.html"
    path.write_text(of_ten, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Any]:
    """The page at desktop width in light mode; afterwards nothing may be on the console."""
    yield from visit(browser, address)


@pytest.fixture
def opened_ten(browser: Any, address_of_ten: str) -> Iterator[Any]:
    """The page of ten models, likewise."""
    yield from visit(browser, address_of_ten)


def visit(browser: Any, address: str) -> Iterator[Any]:
    view(browser, 1100)
    browser.get(address)
    browser.get_log("browser")
    browser.refresh()
    yield browser
    assert browser.get_log("browser") == []


def view(browser: Any, width: int, scheme: str = "light") -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def shown(browser: Any) -> dict[str, list[int]]:
    """The iterations of the pictures that can be seen, by model."""
    script = """
      return Object.fromEntries([...document.querySelectorAll('#frames figure')].map(figure => [
        figure.dataset.model,
        [...figure.querySelectorAll('img')].filter(i => i.offsetHeight > 0 && i.naturalWidth > 0)
          .map(i => Number(i.dataset.iteration))]))"""
    return dict(browser.execute_script(script))


def test_the_slider_moves_the_pictures(opened: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    slider = opened.find_element("id", "step")
    caption = opened.find_element("css selector", "#frames [data-model=dcgan] .shown")
    value = opened.find_element("id", "step-value")
    assert shown(opened) == {"gan": [1000], "dcgan": [400]}
    assert caption.text == "iteration 400, the nearest earlier picture"

    slider.send_keys(Keys.ARROW_LEFT)
    assert shown(opened) == {"gan": [300], "dcgan": [400]}
    assert value.text == "400" and caption.text == "iteration 400"
    slider.send_keys(Keys.HOME)
    assert shown(opened) == {"gan": [100], "dcgan": [100]}
    slider.send_keys(Keys.ARROW_RIGHT)
    assert shown(opened) == {"gan": [300], "dcgan": [100]}
    assert slider.get_attribute("aria-valuetext") == "iteration 300"

    opened.execute_script(
        "arguments[0].value = 3; arguments[0].dispatchEvent(new Event('input'))", slider
    )
    assert shown(opened) == {"gan": [1000], "dcgan": [400]}


def test_the_pictures_stand_side_by_side_on_a_telephone_too(opened: Any) -> None:
    view(opened, 360)
    opened.refresh()
    figures = opened.find_elements("css selector", "#frames figure")
    pictures = [figure.find_element("css selector", "img:not([hidden])") for figure in figures]
    left, right = (picture.rect for picture in pictures)
    assert left["y"] == right["y"] and left["x"] + left["width"] < right["x"]


def test_every_chart_is_drawn(opened: Any) -> None:
    charts = opened.find_elements("css selector", "figure.chart")
    names = {chart.get_attribute("data-chart") for chart in charts}
    kinds = ("generator", "discriminator", "probability", "fid", "classes")
    assert names == {f"{k}-{m}" for k in kinds for m in ("gan", "dcgan")}
    for chart in charts:
        drawn = chart.find_elements("css selector", "path.line, rect.bar")
        assert drawn, chart.get_attribute("data-chart")
        assert len(chart.find_elements("css selector", "text")) > 4
        assert "NaN" not in chart.get_attribute("outerHTML")
    marks = opened.find_elements("css selector", "[data-chart='fid-gan'] svg path:not(.line)")
    assert [mark.get_attribute("class") for mark in marks] == ["taken", "best", "loss"]


def test_hover_touch_and_keys_read_values(opened: Any) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.pointer_input import PointerInput
    from selenium.webdriver.common.keys import Keys

    chart = opened.find_element("css selector", "[data-chart='fid-gan']")
    svg, readout = (
        chart.find_element("tag name", "svg"),
        chart.find_element("class name", "readout"),
    )
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", svg)
    assert readout.text.startswith("epoch 20\n")

    # The middle of 42 .. width - 10 is epoch 10, whose FID is 200 / 10.
    middle = round((42 - 10) / 2)
    ActionChains(opened, duration=0).move_to_element_with_offset(svg, middle, 0).perform()
    assert readout.text.startswith("epoch 10\nFID 20 ·")
    assert chart.find_elements("css selector", "line.cursor")

    touch = ActionChains(opened, duration=0, devices=[PointerInput("touch", "finger")])
    right = svg.size["width"] // 2 - 12
    touch.w3c_actions.pointer_action.move_to(svg, right, 0).pointer_down().pointer_up()
    touch.w3c_actions.perform()
    assert readout.text.startswith("epoch 20\nFID 10 ·")
    assert readout.text.endswith("lowest generator loss")

    svg.send_keys(Keys.HOME)
    assert readout.text.startswith("epoch 1\nFID 200 ·")
    svg.send_keys(Keys.ARROW_RIGHT)
    assert readout.text.startswith("epoch 2\nFID 100 ·")
    assert svg.get_attribute("aria-valuetext") == "epoch 2: " + readout.text.split("\n")[1]

    bars = opened.find_element("css selector", "[data-chart='classes-dcgan'] svg")
    bars.send_keys(Keys.HOME)
    text = opened.find_element("css selector", "[data-chart='classes-dcgan'] .readout").text
    assert text.startswith("class 0\nreal images 10 % · generated ")


def test_the_slider_shows_all_ten(opened_ten: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    assert shown(opened_ten) == {model: [1000] for model in RANKED}
    opened_ten.find_element("id", "step").send_keys(Keys.HOME)
    assert shown(opened_ten) == {model: [100] for model in RANKED}


@pytest.mark.parametrize("width", [375, 1280])
def test_the_curves_of_ten_lie_within_their_charts(opened_ten: Any, width: int) -> None:
    view(opened_ten, width)
    opened_ten.refresh()
    script = """
      return [...document.querySelectorAll('figure.chart')].map(figure => {
        const svg = figure.querySelector('svg');
        const of = svg.getBoundingClientRect();
        const out = [...svg.querySelectorAll('.line, .bar, .real, .zero, text')].filter(part => {
          const box = part.getBoundingClientRect();
          return box.top < of.top - 4 || box.bottom > of.bottom + 4
            || box.left < of.left - 4 || box.right > of.right + 4;
        });
        return [figure.dataset.chart, svg.querySelectorAll('.line, .bar').length > 0,
                out.map(part => part.outerHTML.slice(0, 60)), svg.querySelectorAll('.zero').length,
                svg.querySelectorAll('.bar').length];
      })"""
    found = opened_ten.execute_script(script)
    assert len(found) == 10 * 5 + 3  # generator, discriminator, its answer, FID, classes; others
    for name, drawn, outside, _, _ in found:
        assert drawn and outside == [], name
    assert {name for name, _, _, zeros, _ in found if zeros} == {
        f"logit-{model}" for model in ("lsgan", "wgan_gp", "hinge_sn", "r3gan")
    }
    assert {bars for name, _, _, _, bars in found if name.startswith("classes")} == {10}


def test_measures_and_floor_stay_in_view_while_a_table_scrolls(opened_ten: Any) -> None:
    view(opened_ten, 800)
    script = """
      const scroller = document.querySelector('.scroll:has(.scores)');
      const row = scroller.querySelector('tbody tr');
      const places = () => [row.cells[0], row.cells[1], row.cells[row.cells.length - 1]]
        .map(cell => Math.round(cell.getBoundingClientRect().left));
      const before = places();
      scroller.scrollLeft = 200;
      return [scroller.scrollWidth - scroller.clientWidth, before, places()]"""
    room, before, after = opened_ten.execute_script(script)
    assert room >= 200
    assert after == [before[0], before[1] - 200, before[2]]


@pytest.mark.parametrize("width", [360, 768, 1100])
def test_nothing_is_cut_off(opened: Any, width: int) -> None:
    stays_within(opened, width)


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_of_ten_models_is_cut_off(opened_ten: Any, width: int) -> None:
    stays_within(opened_ten, width)


def stays_within(opened: Any, width: int) -> None:
    view(opened, width)
    opened.refresh()
    script = """
      const wide = [...document.querySelectorAll('body *')].filter(element => {
        if (element.closest('script, noscript, thead, .scroll .scroll')) return false;
        const scroller = element.closest('.scroll');
        if (scroller && scroller !== element && scroller.scrollWidth > scroller.clientWidth
            && (!element.closest('.scores') || innerWidth > 640)) return false;
        const box = element.getBoundingClientRect();
        return box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
      });
      return [document.scrollingElement.scrollWidth, innerWidth,
              wide.map(element => element.outerHTML.slice(0, 80))]"""
    scroll_width, inner_width, wide = opened.execute_script(script)
    assert inner_width == width
    assert wide == []
    assert scroll_width <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(opened: Any, scheme: str) -> None:
    has_contrast(opened, scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ten_colours_have_contrast(opened_ten: Any, scheme: str) -> None:
    has_contrast(opened_ten, scheme)


def has_contrast(opened: Any, scheme: str) -> None:
    view(opened, 1100, scheme)
    script = """
      const rgb = text => text.match(/[\\d.]+/g).map(Number);
      const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const behind = element => {
        for (; element; element = element.parentElement) {
          const colour = rgb(getComputedStyle(element).backgroundColor);
          if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
      };
      const ratios = {};
      for (const element of document.querySelectorAll('body, body *')) {
        if (element.closest('script, noscript')) continue;
        if (![...element.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
        const style = getComputedStyle(element);
        const colour = rgb(element.tagName === 'text' ? style.fill : style.color);
        const pair = [light(colour), light(behind(element))].sort((a, b) => b - a);
        ratios[element.outerHTML.slice(0, 80)] = (pair[0] + 0.05) / (pair[1] + 0.05);
      }
      for (const line of document.querySelectorAll('.chart .line, .chart .bar')) {
        const style = getComputedStyle(line);
        const colour = rgb(line.classList.contains('bar') ? style.fill : style.stroke);
        const pair = [light(colour), light(behind(line))].sort((a, b) => b - a);
        ratios['line ' + line.outerHTML.slice(0, 80)] = (pair[0] + 0.05) / (pair[1] + 0.05);
      }
      return [light(behind(document.body)), ratios]"""
    background, ratios = opened.execute_script(script)
    assert (background < 0.1) == (scheme == "dark")
    assert len(ratios) > 50
    assert {what: ratio for what, ratio in ratios.items() if ratio < 4.5} == {}
