"""What a stage works on: one data set, or one model on it. Names, settings, and where files lie.

Paths are relative to the repository's root, as dvc.yaml has them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganvas import config
from ganvas.config import Params, Recipe
from ganvas.workflow import modules


@dataclass(frozen=True)
class DataSet:
    """A data set of params.yaml."""

    params: Params
    name: str

    @property
    def settings(self) -> config.Dataset:
        return self.params.datasets[self.name]

    @property
    def classifier(self) -> config.Classifier:
        """Its classifier's settings."""
        return self.params.classifier_for(self.name)

    @property
    def raw(self) -> Path:
        return Path("data/raw") / self.name

    @property
    def normalized(self) -> Path:
        return Path("data/normalized") / self.name

    def split(self, name: str) -> Path:
        """The file of `train`, `validation` or `test`."""
        return self.normalized / f"{name}.safetensors"

    @property
    def classifier_weights(self) -> Path:
        return Path("models") / self.name / "classifier" / "classifier.safetensors"

    def reference(self, extractor: str) -> Path:
        """The features of its real images."""
        return Path("data/reference") / self.name / f"{extractor}.safetensors"

    @property
    def results(self) -> Path:
        return Path("results") / self.name

    @property
    def report(self) -> Path:
        """The folder of its page."""
        return Path("reports") / self.name

    @property
    def page(self) -> Path:
        return self.report / "index.html"

    def instances(self) -> "list[Instance]":
        """One for each model of the matrix."""
        return [Instance(self, model) for model in self.params.matrix.models]


@dataclass(frozen=True)
class Instance:
    """A model of params.yaml on a data set."""

    data: DataSet
    model: str

    @property
    def name(self) -> str:
        return f"{self.data.name}-{self.model}"

    @property
    def params(self) -> Params:
        return self.data.params

    @property
    def recipe(self) -> Recipe:
        """The model's recipe with the data set's own settings."""
        return self.params.recipe(self.data.name, self.model)

    @property
    def parameters(self) -> dict[str, Any]:
        """What made the model, under the names of params.yaml: what is tracked, and config.json."""
        return {
            "dataset": self.data.name,
            "model": self.model,
            "seed": self.params.seed,
            "image_size": self.params.image_size,
            **self.recipe.model_dump(exclude_none=True),
            "precision": self.params.train.precision,
        }

    @property
    def links(self) -> Path:
        """The folder of links to its network, objective and method."""
        return modules.LINKS / self.data.name / self.model

    @property
    def folder(self) -> Path:
        """What its training made."""
        return Path("models") / self.data.name / self.model

    @property
    def generators(self) -> Path:
        """The folder of its checkpoints."""
        return self.folder / "generator"

    @property
    def samples(self) -> Path:
        return Path("samples") / self.data.name / self.model

    @property
    def results(self) -> Path:
        return Path("results") / self.data.name / self.model

    @property
    def report(self) -> Path:
        """Its card and charts, beside the data set's page."""
        return self.data.report / self.model


def data_set(name: str) -> DataSet:
    """Raises `GanvasError` on a name that params.yaml does not have."""
    params = config.load()
    params.check_names(name)
    return DataSet(params, name)


def instance(dataset: str, model: str) -> Instance:
    """Raises `GanvasError` on a name that params.yaml does not have."""
    params = config.load()
    params.check_names(dataset, model)
    return Instance(DataSet(params, dataset), model)


def matrix(params: Params) -> Iterator[Instance]:
    """All that `dvc repro` makes."""
    for dataset in params.matrix.datasets:
        yield from DataSet(params, dataset).instances()
