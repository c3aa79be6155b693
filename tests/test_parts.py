"""A recipe touches nobody else.

Told by the real `dvc`: what it makes again where a network, objective or method is new, or edited.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from repositories import copy, edit, ran, run
from ruamel.yaml import YAML

from ganvas import parts
from ganvas.workflow import modules, pipeline, provenance

Status = dict[str, list[dict[str, Any]]]

TINY = {"epochs": 2, "checkpoint_every": 1}
HELPER = "ganvas/networks/_shared.py"
NEW = {  # what recipe `new` names
    **{"network": "other", "objective": "another", "method": "third", "optimizer": "fourth"},
    **{"penalties": "fifth", "augment": "sixth"},
}
OF_NEW = NEW | {"penalties": {"fifth": 1.0}, "augment": ["sixth"]}
IMPORT = "from ganvas.networks import _shared"
COPIED = {
    **{"network": "gan", "objective": "non_saturating", "method": "adversarial"},
    **{"optimizer": "adam", "penalties": "r1", "augment": "cutout"},
}


class Grown(NamedTuple):
    """The tiny repository with a third recipe, and what DVC said on the way there."""

    folder: Path
    before: Status  # with modules that no recipe names yet
    ran: set[str]  # stages that ran once a recipe named them


@pytest.fixture(scope="module")
def grown(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Grown:
    folder = copy(original, tmp_path_factory.mktemp("grown") / "repository")
    for kind, name in COPIED.items():
        shutil.copy(folder / parts.file(kind, name), folder / parts.file(kind, NEW[kind]))
    # One of them shares something with networks yet to come.
    network = folder / parts.file("network", NEW["network"])
    (folder / HELPER).write_text('"""What several networks share."""\n\nSLOPE = 0.2\n')
    text = network.read_text()
    assert "nn.LeakyReLU(0.2)" in text
    text = text.replace("nn.LeakyReLU(0.2)", "nn.LeakyReLU(_shared.SLOPE)")
    network.write_text(text.replace("from torch import nn", f"from torch import nn\n\n{IMPORT}"))
    before = status(folder)

    recipe = YAML(typ="safe").load((folder / "params.yaml").read_text())["models"]["gan"]
    edit(
        folder,
        matrix__models=["gan", "dcgan", "new"],
        models__new=recipe | OF_NEW,
        datasets__digits__models={model: dict(TINY) for model in ("gan", "dcgan", "new")},
    )
    return Grown(folder, before, ran(run(folder, "dvc", "repro")))


def status(folder: Path) -> Status:
    found: Status = json.loads(run(folder, "dvc", "status", "--json").stdout)
    return found


@contextmanager
def edited(path: Path) -> Iterator[None]:
    """A module whose text, not its meaning, is another for a while."""
    content = path.read_bytes()
    path.write_bytes(content + b"# edited\n")
    yield
    path.write_bytes(content)


def test_a_module_that_no_recipe_names_concerns_nobody(grown: Grown) -> None:
    for kind, name in NEW.items():
        assert (grown.folder / parts.file(kind, name)).exists()
    assert grown.before == {}


def test_a_new_recipe_is_made_and_no_other_again(grown: Grown) -> None:
    of_new = {f"{stage}@digits-new" for stage in ("train", "select", "sample", "evaluate")}
    assert grown.ran == of_new | {"params", "report@digits"}
    assert status(grown.folder) == {}


@pytest.mark.parametrize(
    ("file", "folder", "models"),
    [
        *(
            (parts.file(kind, name), "network" if kind == "network" else "training", ["new"])
            for kind, name in NEW.items()
        ),
        (HELPER, "network", ["new"]),
        (parts.file("network", "gan"), "network", ["gan"]),
        (parts.file("network", "dcgan"), "network", ["dcgan"]),
        (parts.file("network", "_blocks"), "network", ["gan", "dcgan", "new"]),
        (parts.file("objective", "non_saturating"), "training", ["gan", "dcgan"]),
        (parts.file("method", "adversarial"), "training", ["gan", "dcgan"]),
        (parts.file("optimizer", "adam"), "training", ["gan", "dcgan"]),
    ],
)
def test_an_edit_shows_at_once_at_the_models_that_use_the_module_alone(
    grown: Grown, file: str, folder: str, models: list[str]
) -> None:
    with edited(grown.folder / file):
        found = status(grown.folder)
    # The links lead there; what they are in is made by stage params.
    assert found.pop("params") == [{"changed outs": {"data/recipes": "modified"}}]
    users = ("train", "select", "sample") if folder == "network" else ("train",)
    assert found == {
        f"{stage}@digits-{model}": [
            {"changed deps": {f"data/recipes/digits/{model}/{folder}": "modified"}}
        ]
        for stage in users
        for model in models
    }


def test_the_hash_of_links_is_the_one_that_dvc_records(
    grown: Grown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a run's code can be compared with any commit's, where no links are."""
    monkeypatch.chdir(grown.folder)
    recipes = YAML(typ="safe").load(Path("params.yaml"))["models"]
    entries = pipeline.locked()
    for model in ("gan", "dcgan", "new"):
        recipe = recipes[model]
        recorded = entries[f"train@digits-{model}"].deps
        for linked in modules.LINKED:
            dep = f"data/recipes/digits/{model}/{linked}"
            assert recorded[dep] == pipeline.code_hash(dep, recipe)
            assert recorded[dep] == provenance.dvc_hash(Path(dep))


def test_an_edit_makes_the_models_that_use_the_module_again_and_no_other(grown: Grown) -> None:
    with edited(grown.folder / parts.file("objective", NEW["objective"])):
        made = ran(run(grown.folder, "dvc", "repro"))
    # The same images came out: nothing to score, but the page tells of another training.
    assert made == {"params", "train@digits-new", "report@digits"}
