"""README's table of the recipes, and the models that it tells people to add, as it is written."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from repositories import ROOT, copy, edit, make, ran, run
from ruamel.yaml import YAML

import ganvas
from ganvas import config, parts

# What every recipe sets as it suits it: how long and how fast it learns, how wide its layers are.
TUNED = {"lr_generator", "lr_discriminator", "betas", "batch_size", "epochs", "checkpoint_every"}
TUNED |= {"ema_decay", "generator_widths", "discriminator_widths"}
PARAMS = ROOT / "params.yaml"


def section(title: str) -> str:
    return (ROOT / "README.md").read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(title: str) -> list[str]:
    """The indented blocks of code in a section."""
    found = re.findall(r"(?:^    .*\n(?:\n+(?=    ))?)+", section(title), re.MULTILINE)
    return [re.sub("^    ", "", block, flags=re.MULTILINE) for block in found]


def rows() -> dict[str, list[str]]:
    """The code in the second column of the table of the recipes, by the first."""
    table = [line.split(" | ") for line in section("Recipes").splitlines() if line[:3] == "| `"]
    return {first.strip("| `"): re.findall("`([^`]+)`", what) for first, what, _ in table}


def test_the_table_has_every_recipe_once_in_the_order_of_the_file() -> None:
    assert list(rows()) == list(config.load(PARAMS).generating)


@pytest.mark.parametrize("model", config.load(PARAMS).generating)
def test_the_table_says_what_a_recipe_changes_and_no_more(model: str) -> None:
    recipes = config.load(PARAMS).generating
    base, *said = rows()[model] or [model]
    named = {
        key: YAML(typ="safe").load(value) for key, _, value in (s.partition(": ") for s in said)
    }
    recipe, of_base = recipes[model].model_dump(), recipes[base].model_dump()
    assert {key: recipe[key] for key in named} == named
    changed = {key for key in recipe.keys() - TUNED if recipe[key] != of_base[key]}
    assert named.keys() - TUNED == changed


def test_both_pages_have_the_same_code_in_their_tables() -> None:
    english, vietnamese = (
        [re.findall("`([^`]+)`", row) for row in re.findall(r"^\| `.*", page, re.MULTILINE)]
        for page in ((ROOT / name).read_text() for name in ("README.md", "README.vi.md"))
    )
    assert english == vietnamese and len(english) > 15


def test_the_options_are_all_there() -> None:
    *_, options = section("Recipes").strip().split("\n\n")
    told_elsewhere = {"method", "epochs", "batch_size", "checkpoint_every"}
    told_elsewhere |= {"lr_generator", "lr_discriminator"}
    named = set(config.Recipe.model_fields) - told_elsewhere
    assert set(re.findall("`([a-z_]+)`", options)) == named


def insert(folder: Path, block: str) -> str:
    """Write a block's recipe below `models`, where a person would; returns its name."""
    path = folder / "params.yaml"
    recipe = re.search(r"^models:\n(  (\w+):\n(?:    .*\n)+)", block, re.MULTILINE)
    text = path.read_text()
    assert recipe and text.count("\ndatasets:") == 1
    path.write_text(text.replace("\ndatasets:", f"\n{recipe[1]}\ndatasets:"))
    return recipe[2]


def test_a_combination_is_written_as_the_readme_says(tmp_path: Path) -> None:
    (block,) = blocks("Recipes")
    shutil.copy(PARAMS, tmp_path)
    assert insert(tmp_path, block) == "soft"
    entries = YAML(typ="safe").load(re.sub(r"(?m)^models:\n(?:  .*\n)+", "", block))
    edit(tmp_path, matrix__models=entries["matrix"]["models"])
    params = config.load(tmp_path / "params.yaml")
    assert params.matrix.models[-1] == "soft"
    recipe = params.recipe("digits", "soft")
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28), np.uint8)
    assert recipe.augment and recipe.ema_decay and recipe.objective == "hinge"
    assert np.isfinite(ganvas.train(recipe, images, epochs=1).history["generator_loss"]).all()


def test_parts_are_added_as_the_readme_says(original: Path, tmp_path: Path) -> None:
    folder = copy(original, tmp_path / "repository")
    *modules, own, command = blocks("Add your own model")
    kinds = set()
    for module in modules:
        name, _, source = module.partition("\n")
        path = Path(name.removeprefix("# "))
        kinds.add(path.parent.as_posix())
        (folder / path).write_text(source)
    assert kinds == {f"ganvas/{parts.FOLDERS[k]}" for k in ("network", "objective", "penalties")}
    model = insert(folder, own)
    edit(folder, matrix__models=["gan", "dcgan", model])
    # Quicker than `{}`, what the README writes.
    short = {"epochs": 1, "checkpoint_every": 1}
    edit(folder, **{f"datasets__digits__models__{model}": short})
    made = ran(run(folder, *command.split()))
    of_it = {f"{stage}@digits-{model}" for stage in ("train", "select", "sample", "evaluate")}
    assert made == of_it | {"params", "report@digits"}
    facts = json.loads((folder / f"models/digits/{model}/config.json").read_text())
    named = {key: YAML(typ="safe").load(value) for key, value in re.findall(r"(\w+): (.*)", own)}
    assert len(named) == 5
    assert {key: facts[key] for key in named} == named


def test_own_images_are_trained_on_as_the_readme_says(tmp_path: Path) -> None:
    lines, command = blocks("Your own images")
    pictures, random = tmp_path / "home/pictures/flowers", np.random.default_rng(0)
    for name in ("roses", "tulips"):
        (pictures / name).mkdir(parents=True)
        for index in range(300):
            pixels = random.integers(0, 256, (40, 50, 3), np.uint8)
            Image.fromarray(pixels).save(pictures / name / f"{index}.jpg")
    folder = tmp_path / "repository"
    folder.mkdir()
    written = YAML(typ="safe").load(lines)
    matrix = {f"matrix__{key}": value for key, value in written["matrix"].items()}
    make(folder, **matrix, datasets__flowers=written["datasets"]["flowers"])
    # Quicker than what people wait for.
    quick = {"epochs": 1, "checkpoint_every": 1}
    edit(folder, datasets__flowers__models={"dcgan": quick}, tracking__enabled=False)
    edit(folder, classifier__epochs=1, select__images=100, evaluate__images=100)
    done = run(folder, *command.split(), HOME=str(tmp_path / "home"))
    assert "600 of 600 images read" in done.stdout
    assert (folder / "reports/flowers/index.html").exists()


def test_the_keys_of_own_images_are_all_there_with_their_defaults() -> None:
    table = re.findall(r"^\| `(\w+)` \| `?([^|`]+)`? \|", section("Your own images"), re.MULTILINE)
    fields = config.Dataset.model_fields
    said = {key: YAML(typ="safe").load(value) for key, value in table if key != "extractors"}
    assert said == {key: fields[key].default for key in config.OF_FOLDERS}
