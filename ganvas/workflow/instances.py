"""What a stage works on: one data set, or one model on it. Names, settings, and where files lie.

Paths are relative to the repository's root, as dvc.yaml has them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganvas import config
from ganvas.config import Params, Translating
from ganvas.errors import GanvasError
from ganvas.workflow import modules

PLACES = Path("data/places")
CLASSES = "classes.json"  # beside the splits
TRANSLATION = "-translation"  # behind the names of stages that do the same for translations
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
        self.group = TRANSLATION if self.settings.holds != "images" else ""

    def stage(self, stage: str) -> str:
        """As DVC names that stage of this data set."""
        return f"{stage}{self.group}@{self.name}"

    def split(self, name: str) -> Path:
        """The file of `train`, `validation` or `test`."""
        return self.normalized / f"{name}.safetensors"

    @property
    def extractors(self) -> list[str]:
        """Those that params.yaml names; else the one made for it, which hangs on its classes."""
        named = self.settings.extractors
        return [*named] if named else ["classifier" if self.class_names else "contrastive"]

    @property
    def extractor_weights(self) -> Path:
        """Of the extractor made for it, by whose name they are called.

        Raises `GanvasError` where there are none yet.
        """
        found = sorted(self.made_for_it.glob("*.safetensors"))
        if not found:
            stage = self.stage("classifier")
            raise GanvasError(f"{self.made_for_it}: no weights; make them with `dvc repro {stage}`")
        return found[0]

    @property
    def class_names(self) -> list[str]:
        """Sorted as the labels count them; empty where no image has a class."""
        return self._names(CLASSES)

    def _names(self, file: str) -> list[str]:
        path = self.normalized / file
        try:
            names: list[str] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise GanvasError(
                f"{path}: cannot be read ({error}); run dvc repro {self.stage('normalize')}"
            ) from None
        return names

    @property
    def domain_names(self) -> list[str]:
        """As `domains` of its images count them; empty where they are of none."""
        return self._names(DOMAINS) if self.settings.holds == "domains" else []

    @property
    def classes_of_a_domain(self) -> int:
        """How many: the classes are those of the first domain, then of the second, and so on."""
        return len(self.class_names) // max(len(self.domain_names), 1)

    def reference(self, extractor: str) -> Path:
        """The features of its real images."""
        return Path("data/reference", self.name, f"{extractor}.safetensors")

    def instances(self) -> "list[Instance]":
        """One for each model that the matrix has for it."""
        matrix = self.params.matrix
        translating = [t.model for t in matrix.translations.values() if t.dataset == self.name]
        return [Instance(self, m) for m in (translating if self.group else matrix.models)]


class Instance:
    """A model of params.yaml on a data set.

    Raises `GanvasError` on a name that is not there, or on a model that such data are not for.
    """

    def __init__(self, data: DataSet, model: str) -> None:
        data.params.check_names(data.name, model)
        if isinstance(data.params.models[model], Translating) != bool(data.group):
            what = "translates nothing" if data.group else "translates"
            raise GanvasError(f"{data.name} has {data.settings.holds}, and {model} {what}")
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

    def stage(self, stage: str) -> str:
        """As DVC names that stage of this model."""
        return f"{stage}{self.data.group}@{self.name}"

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
            **shared(self.params.train.processes, self.params.train.sync_batch_norm),
        }


def shared(processes: int, sync_batch_norm: bool) -> dict[str, Any]:
    """What is said of a training that several processes share."""
    of_several = {"processes": processes, "sync_batch_norm": sync_batch_norm}
    return of_several if processes > 1 else {}


def data_set(name: str) -> DataSet:
    return DataSet(config.load(), name)


def instance(dataset: str, model: str) -> Instance:
    return Instance(data_set(dataset), model)


def data_sets(params: Params) -> list[DataSet]:
    """All that `dvc repro` makes something of."""
    names = (*params.matrix.datasets, *params.matrix.translated)
    return [DataSet(params, name) for name in names]


def matrix(params: Params) -> Iterator[Instance]:
    """All that `dvc repro` makes."""
    for data in data_sets(params):
        yield from data.instances()
