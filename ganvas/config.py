"""params.yaml: names, types and ranges. Holds no default, so every value can be seen in one place,
but for those of a data set of a person's own images.

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
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ganvas import parts
from ganvas.data.form import Fit, Form, Kind
from ganvas.data.sources import SOURCES
from ganvas.errors import GanvasError

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, lt=0.5)]
Weight = Annotated[float, Field(ge=0)]
Level = Annotated[int, Field(ge=0, le=255)]
Widths = Annotated[list[Count], Field(min_length=1)]
Norm = Literal["batch", "spectral", "none"]
Extractor = Literal["classifier", "contrastive", "inception"]
# What ganvas/data/made.py makes of a data set: pairs by one of these, or domains by several.
PAIRS = ("edges", "thick", "grey", "surroundings")
DRESSES = ("plain", "inverted", "coloured", "outlined", "rotated")
TAKEN = ("classifier", "identity", "mean", "nearest")  # a folder's name, and baselines
LARGEST = 64  # pixels a side of images that are made of noise
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
                    raise ValueError(f"unknown key {key!r}; {likely(key, cls.model_fields)}")
        return values

    def merged(self, override: dict[str, Any], where: str) -> Self:
        """With the values of `override`, which stands at the key `where`."""
        try:
            return self.model_validate({**self.model_dump(), **override})
        except ValidationError as error:
            raise GanvasError(_first(error, where)) from None


class Translation(Section):
    """A model of `matrix.translations` and the data set that it learns from."""

    dataset: str
    model: str


class Matrix(Section):
    """Every one of `datasets` is made with every one of `models`, and each of `translations`.

    `translated` are the data sets that these name: DVC makes a stage of each entry of a list, and
    cannot tell which of several entries name the same.
    """

    datasets: list[str]
    models: Annotated[list[str], Field(min_length=1)]
    translated: list[str] = []
    translations: dict[str, Translation] = {}


class Training(Section):
    """How two networks are trained: what every recipe has.

    Keys stand side by side, and only recipes with penalties have that mapping: recipes are merged
    into others in YAML, and of a mapping that two share `dvc exp run -S` cannot set one alone.
    """

    method: str
    objective: str
    penalties: dict[str, Annotated[float, Field(gt=0)]] = {}  # none
    penalty_every: Count = 1  # iterations
    discriminator_steps: Count
    horizontal_flips: bool
    optimizer: str
    lr_generator: Rate
    lr_discriminator: Rate
    lr_decay_from: Annotated[float, Field(ge=0, le=1)] = 1.0  # of the epochs; the rates stay
    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)]
    momentum: Beta
    epochs: Count
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    batch_size: Count
    checkpoint_every: Count

    @field_validator(*parts.FOLDERS, check_fields=False)
    @classmethod
    def _known_part(cls, value: Any, field: ValidationInfo) -> Any:
        names = parts.names(str(field.field_name))
        for name in [value] if isinstance(value, str) else value:
            if name not in names:
                raise ValueError(f"{name!r} is not allowed; {likely(name, names)}")
        return value


class Recipe(Training):
    """How one generator/discriminator pair is built and trained."""

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
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    augment: list[str]
    instance_noise: Annotated[float, Field(ge=0)]
    batch_size: Annotated[int, Field(ge=2)]  # BatchNorm needs two images


class Translating(Training):
    """How the networks that turn one image into another are built and trained."""

    generator: str
    generator_widths: Widths
    generator_norm: Literal["batch", "instance", "none"]
    blocks: Annotated[int, Field(ge=0)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    padding: Literal["reflect", "zeros"]
    discriminator: str
    discriminator_widths: Widths
    discriminator_norm: Literal["batch", "instance", "none"]
    adversarial_weight: Weight
    reconstruction_weight: Weight
    identity_weight: Weight
    domain_weight: Weight
    pool: Annotated[int, Field(ge=0)]


def _kind(recipe: Any) -> str:
    """Which of the two a recipe is, read or not: one names a network, the other a generator."""
    found = recipe if isinstance(recipe, dict) else getattr(recipe, "__dict__", {})
    return TRANSLATING if "generator" in found and "network" not in found else GENERATING


# In pydantic's places of errors, where nobody is told of them.
GENERATING, TRANSLATING = "<generating>", "<translating>"
Model = Annotated[
    Annotated[Recipe, Tag(GENERATING)] | Annotated[Translating, Tag(TRANSLATING)],
    Discriminator(_kind),
]


class Train(Section):
    precision: Literal["float32", "bfloat16"]
    log_every: Count
    pictures: list[Count]
    save_seconds: Annotated[float, Field(gt=0)]
    processes: Count
    sync_batch_norm: bool


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


class Cluster(Section):
    cpus: Annotated[float, Field(gt=0)]
    gpus: Annotated[float, Field(ge=0)]


class Dataset(Section):
    """A published data set, or with `folder` a person's own images.

    Here alone are defaults, since who brings images writes three lines: the first three.
    """

    folder: Annotated[str, Field(min_length=1)] | None = None
    kind: Kind = "images"
    inputs: Annotated[str, Field(min_length=1)] | None = None  # of pairs, which side or folder
    of: str | None = None  # the published data set that it is made of
    made: str | Annotated[list[str], Field(min_length=2)] | None = None
    channels: Literal[1, 3]
    image_size: Annotated[int, Field(ge=8, le=256)]
    fit: Fit = "crop"
    background: Annotated[list[Level], Field(min_length=3, max_length=3)] = [255, 255, 255]
    classes: bool = True
    test_share: Share = 0.2
    validation_share: Share = 0.1
    split_seed: Annotated[int, Field(ge=0)] = 0
    unreadable_share: Annotated[float, Field(ge=0, lt=1)] = 0.01
    validation_images: Annotated[int, Field(ge=2)] | None = None
    seed_deviation: Annotated[float, Field(ge=0, lt=1)] = 0.0  # not measured
    extractors: Annotated[list[Extractor], Field(min_length=1)] | None = None  # the one made for it
    classifier: dict[str, Any] = {}
    models: dict[str, dict[str, Any]] = {}

    @field_validator("made")
    @classmethod
    def _known_making(cls, value: Any) -> Any:
        known = PAIRS if isinstance(value, str) else DRESSES
        for name in [value] if isinstance(value, str) else value or ():
            if name not in known:
                raise ValueError(f"{name!r} is not allowed; {likely(name, known)}")
        if not isinstance(value, str) and len(set(value or ())) < len(value or ()):
            raise ValueError(f"{value} names one twice")
        return value

    @property
    def holds(self) -> Kind:
        """Images, or what translations learn from."""
        if self.made is not None:
            return "pairs" if isinstance(self.made, str) else "domains"
        return self.kind

    @property
    def form(self) -> Form:
        """What every image of a folder is brought to."""
        red, green, blue = self.background
        return Form(self.channels, self.image_size, self.fit, (red, green, blue))

    @property
    def reading(self) -> dict[str, Any]:
        """How else `ganvas.data.folder.read` is called."""
        return {
            "seed": self.split_seed,
            "test_share": self.test_share,
            "validation_share": self.validation_share,
            "classes": self.classes,
            "unreadable_share": self.unreadable_share,
            "kind": self.kind,
            "inputs": self.inputs,
        }


# Say how a folder is read.
OF_FOLDERS = (
    *("kind", "inputs", "fit", "background", "classes", "test_share", "validation_share"),
    *("split_seed", "unreadable_share"),
)


class Params(Section):
    matrix: Matrix
    seed: Annotated[int, Field(ge=0)]
    device: Device
    models: dict[str, Model]
    datasets: dict[str, Dataset]
    train: Train
    classifier: Classifier
    select: Select
    sample: Sample
    evaluate: Evaluate
    tracking: Tracking
    cluster: Cluster

    @property
    def generating(self) -> dict[str, Recipe]:
        """Of `models` those that make images of noise."""
        return {name: each for name, each in self.models.items() if isinstance(each, Recipe)}

    @property
    def translating(self) -> dict[str, Translating]:
        """Those that make images of images."""
        return {name: each for name, each in self.models.items() if isinstance(each, Translating)}

    def recipe(self, dataset: str, model: str) -> Recipe | Translating:
        """The recipe `model` with the data set's own settings."""
        override = self.datasets[dataset].models.get(model, {})
        return self.models[model].merged(override, f"datasets.{dataset}.models.{model}")

    def classifier_for(self, dataset: str) -> Classifier:
        """The classifier's settings with the data set's own."""
        override = self.datasets[dataset].classifier
        return self.classifier.merged(override, f"datasets.{dataset}.classifier")

    def data_sets(self) -> dict[str, dict[str, Any]]:
        """The settings of every data set, defaults and an entry for each recipe among them."""
        return {
            name: settings.model_dump()
            | {"models": {model: settings.models.get(model, {}) for model in self.models}}
            for name, settings in self.datasets.items()
        }

    def check_names(self, dataset: str | None = None, model: str | None = None) -> None:
        """Raise `GanvasError` on a data set or model that params.yaml does not have."""
        if dataset is not None:
            _known(dataset, self.datasets, f"unknown data set {dataset!r}")
        if model is not None:
            _known(model, self.models, f"unknown model {model!r}")


def defaults(datasets: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By data set, what its keys are where params.yaml leaves them out."""
    fields = Dataset.model_fields.items()
    known = {key: field.default for key, field in fields if not field.is_required()}
    return dict.fromkeys(datasets, known)


def recipe(values: Any) -> Recipe | Translating:
    """One that was written down, with all its keys. Raises `ValidationError` where one is off."""
    return TypeAdapter(Model).validate_python(values)


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
        if model in TAKEN or not re.fullmatch("[a-z][a-z0-9_]*", model):
            raise GanvasError(
                f"models.{model}: not allowed as a name; use small letters, digits and _ "
                f"({', '.join(TAKEN)} are taken)"
            )
    for model, translator in params.translating.items():
        if translator.method == "adversarial":
            raise GanvasError(
                f"models.{model}.method: adversarial needs a network, not a generator"
            )
    for dataset, settings in params.datasets.items():
        where, extractors = f"datasets.{dataset}", settings.extractors or []
        if len(set(extractors)) < len(extractors):
            raise GanvasError(f"{where}.extractors: {extractors} names one twice")
        for model in settings.models:
            _known(model, params.models, f"{where}.models.{model}: unknown model")
        if settings.holds == "images" and settings.image_size > LARGEST:
            raise GanvasError(
                f"{where}.image_size: {settings.image_size} is not allowed; images are generated "
                f"up to {LARGEST} pixels, and translated up to 256"
            )
        recipes = {model: params.recipe(dataset, model) for model in params.models}
        classifier = params.classifier_for(dataset)
        if settings.folder is not None:
            _check_folder(dataset, settings)
            continue  # how many images there are is known when they have been read
        _check_published(dataset, settings)
        left = SOURCES[settings.of or dataset].train_images - (settings.validation_images or 0)
        for model, recipe in recipes.items():
            _check_batch(
                recipe.batch_size, left, f"{dataset} with {model}", recipe.discriminator_steps
            )
        _check_batch(classifier.batch_size, left, f"{dataset}'s classifier")
    _check_matrix(params)


def _check_matrix(params: Params) -> None:
    """What is to be made: images, by models that make images, and translations, by such."""
    matrix = params.matrix
    for key in ("datasets", "translated"):
        if len(set(getattr(matrix, key))) < len(getattr(matrix, key)):
            raise GanvasError(f"matrix.{key}: {getattr(matrix, key)} names one twice")
        for index, dataset in enumerate(getattr(matrix, key)):
            where = f"matrix.{key}.{index}"
            _known(dataset, params.datasets, f"{where}: unknown data set {dataset!r}")
            holds = params.datasets[dataset].holds
            if key == "datasets" and holds != "images":
                raise GanvasError(
                    f"{where}: {dataset} has {holds}, to translate; name it in matrix.translated"
                )
            if key == "translated" and holds == "images":
                raise GanvasError(
                    f"{where}: {dataset} has neither pairs nor domains; name it in matrix.datasets"
                )
    for index, model in enumerate(matrix.models):
        where = f"matrix.models.{index}"
        _known(model, params.models, f"{where}: unknown model {model!r}")
        if isinstance(params.models[model], Translating):
            raise GanvasError(f"{where}: {model} translates; name it in matrix.translations")
    for name, (dataset, model) in (
        (n, (t.dataset, t.model)) for n, t in matrix.translations.items()
    ):
        where = f"matrix.translations.{name}"
        if name != f"{dataset}-{model}":
            raise GanvasError(f"{where}: name it {dataset}-{model}, as its stages are called")
        _known(dataset, params.datasets, f"{where}.dataset: unknown data set {dataset!r}")
        _known(model, params.models, f"{where}.model: unknown model {model!r}")
        if not isinstance(params.models[model], Translating):
            raise GanvasError(
                f"{where}.model: {model} translates nothing; name it in matrix.models"
            )
        if dataset not in matrix.translated:
            raise GanvasError(f"{where}.dataset: add {dataset} to matrix.translated, too")
    for index, dataset in enumerate(matrix.translated):
        if dataset not in (each.dataset for each in matrix.translations.values()):
            raise GanvasError(f"matrix.translated.{index}: no translation of {dataset}; add one")
    if not matrix.datasets and not matrix.translated:
        raise GanvasError("matrix.datasets: names none; add one")


def _check_folder(dataset: str, settings: Dataset) -> None:
    where = f"datasets.{dataset}"
    _check_name(dataset, where)
    if dataset in SOURCES:
        raise GanvasError(f"{where}.folder: {dataset} is published; give your images another name")
    if settings.of is not None:
        raise GanvasError(f"{where}.of: of published data sets, and this one has a folder")
    if isinstance(settings.made, list):
        raise GanvasError(f"{where}.made: {settings.made} are made of published data sets alone")
    if settings.made is not None and settings.kind != "images":
        raise GanvasError(
            f"{where}.made: {settings.made} is made of images, not of {settings.kind}"
        )
    if settings.inputs is not None and settings.kind != "pairs":
        raise GanvasError(f"{where}.inputs: of kind: pairs")
    if settings.validation_images is not None:
        raise GanvasError(
            f"{where}.validation_images: of published data sets; a folder has validation_share"
        )


def _check_published(dataset: str, settings: Dataset) -> None:
    where, source = f"datasets.{dataset}", settings.of or dataset
    if settings.of is None:
        _known(dataset, SOURCES, f"{where}: unknown data set, and no `folder` of your own images")
    _known(source, SOURCES, f"{where}.of: {source!r} is not published")
    if (settings.of is None) != (settings.made is None) or (settings.of and dataset in SOURCES):
        raise GanvasError(
            f"{where}.of: of data sets that are made of it; give it a name of its own, and `made`"
        )
    _check_name(dataset, where)
    if settings.validation_images is None:
        raise GanvasError(
            f"{where}.validation_images: missing; add it (its default is in the committed "
            "params.yaml)"
        )
    colour = isinstance(settings.made, list) and "coloured" in settings.made
    if settings.channels != (3 if colour else 1):
        what = "in colour" if colour else "grey"
        raise GanvasError(f"{where}.channels: {dataset} is {what}; set {3 if colour else 1}")
    if settings.made == "grey":
        raise GanvasError(f"{where}.made: grey needs colour, and {source} has none")
    drawn = {"split_seed"} if isinstance(settings.made, list) else set()  # who is in which domain
    if given := [key for key in OF_FOLDERS if key in settings.model_fields_set - drawn]:
        raise GanvasError(f"{where}.{given[0]}: only where there is a `folder` of your own images")


def _check_name(name: str, where: str) -> None:
    """It becomes a folder's name and part of stages' names."""
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise GanvasError(f"{where}: not allowed as a name; use small letters, digits and _")


def _known(name: str, known: Iterable[str], otherwise: str) -> None:
    if name not in known:
        raise GanvasError(f"{otherwise}; {likely(name, known)}")


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
    places = [str(place) for place in problem["loc"] if place not in (GENERATING, TRANSLATING)]
    key = ".".join([where] * bool(where) + places) or "the file"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{key}: missing; add it (its default is in the committed params.yaml)"
    if problem["type"] == "value_error":
        return f"{key}: {message}"
    return f"{key}: {problem['input']!r} is not allowed; {message[0].lower()}{message[1:]}"


def likely(key: str, allowed: Iterable[str]) -> str:
    """What may have been meant by a name that is not allowed, or else all that are."""
    near = difflib.get_close_matches(str(key), allowed, n=1)
    return f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(allowed)}"
