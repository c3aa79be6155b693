"""What a stage works on: one data set, or one model on it. Names, settings, and where files lie.

Paths are relative to the repository's root, as dvc.yaml has them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganvas import config
from ganvas.config import Params
from ganvas.errors import GanvasError
from ganvas.workflow import modules

PLACES = Path("data/places")
CLASSES = "classes.json"  # beside the splits
DOMAINS = "domains.json"  # there too, where images are of several


class DataSet:
    """A data set of params.yaml. Raises `GanvasError` on a name that is not there."""

    def __init__(self, params: Params, name: str) -> None:
        params.check_names(name)
        self.params, self.name = params, name
        self.settings = params.datasets[name]
        self.classifier = params.classifier_for(name)  # its settings

        self.place = PLACES / name  # links to where a person's own images lie
        self.raw = Path("data/raw", name)
        self.normalized = Path("data/normalized", name)
        self.made_for_it = Path("models", name, "classifier")  # an extractor's weights
        self.results = Path("results", name)
        self.report = Path("reports", name)
        self.page = self.report / "index.html"

    def split(self, name: str) -> Path:
        """The file of `train`, `validation` or `test`."""
        return self.normalized / f"{name}.safetensors"

    @property
    def extractors(self) -> list[str]:
        """Those that params.yaml names; else the one made for it, which hangs on its classes."""
        named = self.settings.extractors
        return [*named] if named else [self.extractor_weights.stem]

    @property
    def extractor_weights(self) -> Path:
        """Of the extractor made for it, by whose name they are called.

        Raises `GanvasError` where there are none yet.
        """
        found = sorted(self.made_for_it.glob("*.safetensors"))
        if not found:
            raise GanvasError(
                f"{self.made_for_it}: no weights; make them with `dvc repro classifier@{self.name}`"
            )
        return found[0]

    @property
    def class_names(self) -> list[str]:
        """Sorted as the labels count them; empty where no image has a class."""
        path = self.normalized / CLASSES
        try:
            names: list[str] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise GanvasError(
                f"{path}: cannot be read ({error}); run dvc repro normalize@{self.name}"
            ) from None
        return names

    def reference(self, extractor: str) -> Path:
        """The features of its real images."""
        return Path("data/reference", self.name, f"{extractor}.safetensors")

    def instances(self) -> "list[Instance]":
        """One for each model of the matrix."""
        return [Instance(self, model) for model in self.params.matrix.models]


class Instance:
    """A model of params.yaml on a data set. Raises `GanvasError` on a name that is not there."""

    def __init__(self, data: DataSet, model: str) -> None:
        data.params.check_names(data.name, model)
        self.data, self.model, self.params = data, model, data.params
        self.name = f"{data.name}-{model}"
        self.recipe = data.params.recipe(data.name, model)  # with the data set's own settings

        self.links = modules.LINKS / data.name / model  # to the modules that its recipe names
        self.folder = Path("models", data.name, model)  # what its training made
        self.config = self.folder / "config.json"  # how it was made
        self.generators = self.folder / "generator"  # its checkpoints, and
        self.architecture = self.generators / "architecture.json"  # what they are of
        self.samples = Path("samples", data.name, model)
        self.results = Path("results", data.name, model)
        self.report = data.report / model  # its card and charts, beside the data set's page

    @property
    def parameters(self) -> dict[str, Any]:
        """What made the model, under the names of params.yaml: what is tracked, and config.json."""
        return {
            "dataset": self.data.name,
            "model": self.model,
            "seed": self.params.seed,
            "channels": self.data.settings.channels,
            "image_size": self.data.settings.image_size,
            **self.recipe.model_dump(exclude_none=True),
            "precision": self.params.train.precision,
        }


def data_set(name: str) -> DataSet:
    return DataSet(config.load(), name)


def instance(dataset: str, model: str) -> Instance:
    return Instance(data_set(dataset), model)


def matrix(params: Params) -> Iterator[Instance]:
    """All that `dvc repro` makes."""
    for dataset in params.matrix.datasets:
        yield from DataSet(params, dataset).instances()
