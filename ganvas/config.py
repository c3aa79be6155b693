"""params.yaml: names, types and ranges. Holds no default, so every value can be seen in one place.

Raises `GanvasError` on the first key that is unknown or out of range.
"""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ganvas import parts
from ganvas.data.sources import SOURCES
from ganvas.errors import GanvasError

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Widths = Annotated[list[Count], Field(min_length=1)]
Norm = Literal["batch", "spectral", "none"]
Extractor = Literal["classifier", "inception"]
RULES = ("best", "last", "lowest_generator_loss")
Device = Literal["auto", "cpu", "cuda", "mps"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown key {key!r}; {_likely(key, cls.model_fields)}")
        return values

    def merged(self, override: dict[str, Any], where: str) -> Self:
        """With the values of `override`, which stands at the key `where`."""
        try:
            return self.model_validate({**self.model_dump(), **override})
        except ValidationError as error:
            raise GanvasError(_first(error, where)) from None


class Matrix(Section):
    datasets: Annotated[list[str], Field(min_length=1)]
    models: Annotated[list[str], Field(min_length=1)]


class Recipe(Section):
    """How one generator/discriminator pair is built and trained.

    Keys stand side by side, and only recipes with penalties have that mapping: recipes are merged
    into others in YAML, and of a mapping that two share `dvc exp run -S` cannot set one alone.
    """

    network: str
    generator_widths: Widths
    generator_norm: Norm
    generator_output: Literal["tanh", "sigmoid"]
    discriminator_widths: Widths
    discriminator_norm: Norm
    discriminator_dropout: Annotated[float, Field(ge=0, lt=1)]
    classes: Literal["none", "concatenated", "auxiliary"]
    latent: Literal["normal", "uniform"]
    latent_dim: Count
    objective: str
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    penalties: dict[str, Annotated[float, Field(gt=0)]] = {}  # none
    method: str
    discriminator_steps: Count
    augment: list[str]
    instance_noise: Annotated[float, Field(ge=0)]
    optimizer: str
    lr_generator: Rate
    lr_discriminator: Rate
    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)]
    momentum: Beta
    batch_size: Annotated[int, Field(ge=2)]  # BatchNorm needs two images
    epochs: Count
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    checkpoint_every: Count

    @field_validator(*parts.FOLDERS)
    @classmethod
    def _known_part(cls, value: Any, field: ValidationInfo) -> Any:
        names = parts.names(str(field.field_name))
        for name in [value] if isinstance(value, str) else value:
            if name not in names:
                raise ValueError(f"{name!r} is not allowed; {_likely(name, names)}")
        return value


class Train(Section):
    precision: Literal["float32", "bfloat16"]
    log_every: Count
    pictures: list[Count]
    save_seconds: Annotated[float, Field(gt=0)]


class Classifier(Section):
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    lr: Rate
    features: Count
    seed: Annotated[int, Field(ge=0)]


class Select(Section):
    images: Annotated[int, Field(ge=2)]
    rule: str | int

    @field_validator("rule", mode="plain")
    @classmethod
    def _known_rule(cls, value: Any) -> str | int:
        epoch = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if not epoch and value not in RULES:
            rules = ", ".join(map(repr, RULES))
            raise ValueError(f"{value!r} is not allowed; allowed: {rules} or an epoch's number")
        return cast(str | int, value)


class Sample(Section):
    grid: Count
    interpolation: Annotated[int, Field(ge=2)]


class Evaluate(Section):
    images: Annotated[int, Field(ge=100)]  # ten splits of the Inception Score need some each


class Tracking(Section):
    enabled: bool
    tensorboard: bool


class Dataset(Section):
    validation_images: Annotated[int, Field(ge=2)]
    seed_deviation: Annotated[float, Field(ge=0, lt=1)] = 0.0  # not measured
    extractors: Annotated[list[Extractor], Field(min_length=1)]
    classifier: dict[str, Any]
    models: dict[str, dict[str, Any]]


class Params(Section):
    matrix: Matrix
    seed: Annotated[int, Field(ge=0)]
    image_size: Annotated[int, Field(ge=8, le=64)]
    device: Device
    models: dict[str, Recipe]
    datasets: dict[str, Dataset]
    train: Train
    classifier: Classifier
    select: Select
    sample: Sample
    evaluate: Evaluate
    tracking: Tracking

    def recipe(self, dataset: str, model: str) -> Recipe:
        """The recipe `model` with the data set's own settings."""
        override = self.datasets[dataset].models.get(model, {})
        return self.models[model].merged(override, f"datasets.{dataset}.models.{model}")

    def classifier_for(self, dataset: str) -> Classifier:
        """The classifier's settings with the data set's own."""
        override = self.datasets[dataset].classifier
        return self.classifier.merged(override, f"datasets.{dataset}.classifier")

    def check_names(self, dataset: str | None = None, model: str | None = None) -> None:
        """Raise `GanvasError` on a data set or model that params.yaml does not have."""
        if dataset is not None:
            _known(dataset, self.datasets, f"unknown data set {dataset!r}")
        if model is not None:
            _known(model, self.models, f"unknown model {model!r}")


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check the whole file. Raises `GanvasError` with one line that names the key."""
    try:
        # YAML 1.2, as DVC reads it: 1e-4 is a number. The parser in Python names the right line.
        values = YAML(typ="safe", pure=True).load(path.read_text())
    except OSError as error:
        raise GanvasError(f"{path}: {error.strerror}; run from the repository's root") from None
    except UnicodeDecodeError:
        raise GanvasError(f"{path}: not a text file; restore it with git checkout") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise GanvasError(f"{path}:{line} {problem}; mend the YAML there") from None
    try:
        params = Params.model_validate(values)
        _check_together(params)
    except ValidationError as error:
        raise GanvasError(f"{path}: {_first(error)}") from None
    except GanvasError as error:
        raise GanvasError(f"{path}: {error}") from None
    return params


def _check_together(params: Params) -> None:
    """What no single key shows: names that must exist, and settings that must fit the data."""
    for model in params.models:
        # The name becomes a folder beside models/<dataset>/classifier and part of a stage's name.
        if model == "classifier" or not re.fullmatch("[a-z][a-z0-9_]*", model):
            raise GanvasError(
                f"models.{model}: not allowed as a name; use small letters, digits and _ "
                "(classifier is taken)"
            )
    for dataset in params.datasets:
        _known(dataset, SOURCES, f"datasets.{dataset}: unknown data set")
        extractors = params.datasets[dataset].extractors
        if len(set(extractors)) < len(extractors):
            raise GanvasError(f"datasets.{dataset}.extractors: {extractors} names one twice")
        for model in params.datasets[dataset].models:
            _known(model, params.models, f"datasets.{dataset}.models.{model}: unknown model")
        left = SOURCES[dataset].train_images - params.datasets[dataset].validation_images
        for model in params.models:
            recipe = params.recipe(dataset, model)
            _check_batch(
                recipe.batch_size, left, f"{dataset} with {model}", recipe.discriminator_steps
            )
        _check_batch(params.classifier_for(dataset).batch_size, left, f"{dataset}'s classifier")
    for index, dataset in enumerate(params.matrix.datasets):
        words = f"matrix.datasets.{index}: unknown data set {dataset!r}"
        _known(dataset, params.datasets, words)
    for index, model in enumerate(params.matrix.models):
        _known(model, params.models, f"matrix.models.{index}: unknown model {model!r}")


def _known(name: str, known: Iterable[str], otherwise: str) -> None:
    if name not in known:
        raise GanvasError(f"{otherwise}; {_likely(name, known)}")


def _check_batch(batch_size: int, images: int, where: str, batches: int = 1) -> None:
    if batch_size * batches > images:
        times = f"{batches} times " * (batches > 1)
        raise GanvasError(
            f"batch_size: {times}{batch_size} is more than the {max(images, 0)} training images "
            f"left for {where}; lower batch_size or validation_images"
        )


def _first(error: ValidationError, where: str = "") -> str:
    """The first problem as `key: value: what is allowed`."""
    problem = error.errors()[0]
    key = ".".join([where] * bool(where) + [str(part) for part in problem["loc"]]) or "the file"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{key}: missing; add it (its default is in the committed params.yaml)"
    if problem["type"] == "value_error":
        return f"{key}: {message}"
    return f"{key}: {problem['input']!r} is not allowed; {message[0].lower()}{message[1:]}"


def _likely(key: str, allowed: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(key), allowed, n=1)
    return f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(allowed)}"
