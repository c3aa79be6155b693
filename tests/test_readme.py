"""What the pages say of recipes, keys and measures is so, and what they tell people to do works."""

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from repositories import ROOT, copy, edit, make, ran, run
from ruamel.yaml import YAML

import ganvas
from ganvas import config, parts
from ganvas.reporting import scoreboard

# What every recipe sets as it suits it: how long and how fast it learns, how wide its layers are.
TUNED = {"lr_generator", "lr_discriminator", "betas", "batch_size", "epochs", "checkpoint_every"}
TUNED |= {"ema_decay", "generator_widths", "discriminator_widths"}
PARAMS = ROOT / "params.yaml"


README, GUIDE, REFERENCE = (
    ROOT / name for name in ("README.md", "docs/guide.md", "docs/reference.md")
)


def section(page: Path, title: str) -> str:
    """A section with all that is below it."""
    marks, text = re.split(rf"^(##+) {title}\n", page.read_text(), flags=re.MULTILINE)[1:]
    return re.split(rf"^##{{1,{len(marks) - 1}}} ", text, flags=re.MULTILINE)[0]


def blocks(page: Path, title: str) -> list[str]:
    """The indented blocks of code in a section."""
    found = re.findall(r"(?:^    .*\n(?:\n+(?=    ))?)+", section(page, title), re.MULTILINE)
    return [re.sub("^    ", "", block, flags=re.MULTILINE) for block in found]


def table(page: Path, title: str) -> list[list[str]]:
    """The cells of a section's tables, without their heads."""
    lines = re.findall(r"^\| (.*) \|$", section(page, title), re.MULTILINE)
    heads = {line for line, below in pairwise(page.read_text().splitlines()) if below[:4] == "|---"}
    return [line.split(" | ") for line in lines if f"| {line} |" not in heads]


def rows() -> dict[str, list[str]]:
    """The code in the second column of the table of the recipes, by the first."""
    found = table(REFERENCE, "Recipes")
    return {first.strip("`"): re.findall("`([^`]+)`", what) for first, what, _ in found}


@pytest.mark.parametrize("page", [README, REFERENCE])
def test_the_table_has_every_recipe_once_in_the_order_of_the_file(page: Path) -> None:
    names = [first.strip("`") for first, *_ in table(page, "Recipes")]
    assert names == list(config.load(PARAMS).generating)


def test_the_short_table_says_what_a_recipe_is_a_change_of() -> None:
    bases = {name: found[0] for name, found in rows().items() if found}
    for first, what, _ in table(README, "Recipes")[2:]:
        [base] = re.findall("^`([^`]+)`", what)
        assert base in (bases[first.strip("`")], "dcgan_dense"), first


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


def test_the_options_are_all_there() -> None:
    named = re.findall("`([a-z_]+)`", section(REFERENCE, "Options"))
    assert sorted(named) == sorted(set(config.Recipe.model_fields) - {"method"})


def test_the_measures_are_all_there() -> None:
    titles = [first for first, _, _ in table(REFERENCE, "What the scores mean")]
    assert sorted(titles) == sorted(measure.title for measure in scoreboard.MEASURES.values())


def test_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 150


def insert(folder: Path, block: str) -> str:
    """Write a block's recipe below `models`, where a person would; returns its name."""
    path = folder / "params.yaml"
    recipe = re.search(r"^models:\n(  (\w+):\n(?:    .*\n)+)", block, re.MULTILINE)
    text = path.read_text()
    assert recipe and text.count("\ndatasets:") == 1
    path.write_text(text.replace("\ndatasets:", f"\n{recipe[1]}\ndatasets:"))
    return recipe[2]


def test_a_combination_is_written_as_the_guide_says(tmp_path: Path) -> None:
    (block,) = blocks(GUIDE, "Without code")
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


def test_parts_are_added_as_the_guide_says(original: Path, tmp_path: Path) -> None:
    folder = copy(original, tmp_path / "repository")
    _, *modules, own, command = blocks(GUIDE, "Add your own model")
    kinds = set()
    for module in modules:
        name, _, source = module.partition("\n")
        path = Path(name.removeprefix("# "))
        kinds.add(path.parent.as_posix())
        (folder / path).write_text(source)
    assert kinds == {f"ganvas/{parts.FOLDERS[k]}" for k in ("network", "objective", "penalties")}
    model = insert(folder, own)
    edit(folder, matrix__models=["gan", "dcgan", model])
    # Quicker than `{}`, what the guide writes.
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
    lines, command = blocks(README, "Your own images")
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
    keys = [(key.strip("`"), default.strip("`")) for key, default, _ in table(GUIDE, "All keys")]
    fields = config.Dataset.model_fields
    said = {key: YAML(typ="safe").load(value) for key, value in keys if key != "extractors"}
    assert said == {key: fields[key].default for key in config.OF_FOLDERS}
