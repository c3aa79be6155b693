"""Selected generators as MLflow models: written to a folder, registered, the best one marked.

One registered model per data set, one version per generator. mlflow, seconds to import, is only
imported by the functions.
"""

import os
import re
import shutil
import threading
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ganvas import files
from ganvas.errors import GanvasError
from ganvas.tracking.runs import GENERATOR_TAG, Job, reading, store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema

PACKAGE = Path(__file__).parents[1]
SERVING, TRANSLATING = (Path(__file__).with_name(name) for name in ("serving.py", "translating.py"))
WEIGHTS, FACTS = "generator.safetensors", "config.json"  # of a generator, in an MLflow model
GIVEN = "given"  # among the facts, of one that translates: config.json's of its training
# What those two and the modules they import need.
REQUIREMENTS = (
    *("joblib", "mlflow", "numpy", "pandas", "pillow", "pydantic", "ruamel.yaml", "safetensors"),
    "torch",
)
EXAMPLE = [{"images": 4, "seed": 0, "class": None}, {"images": 2, "seed": 1, "class": 3}]

CARD = "README.md"
DESCRIPTION = 5000  # characters that MLflow's database holds
REGISTERED_TAG = "ganvas.registered"  # when, in nanoseconds since 1970
BEST = "best"
_saving = threading.Lock()  # MLflow's functions to save a model are for one thread
ABOUT = (
    "The selected generators of one data set; @best is the one with the lowest FID. A version's "
    "description is its model card."
)


def name_of(dataset: str) -> str:
    """The registered model of a data set."""
    return f"ganvas-{dataset}"


def save(
    folder: Path, generator: Path, config: Mapping[str, Any], classifier: Path | None, card: str
) -> None:
    """Write an MLflow model into `folder`, which must be empty or absent.

    `generator` and `classifier` are safetensors files, the latter None where there are no classes;
    `config` is what stands in architecture.json beside the generator, and of one that translates
    `GIVEN`. The folder holds no pickle and no path of this machine.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    _without_bars()
    translates = "in_channels" in config
    signature = _translating(config) if translates else _drawing(config)
    with TemporaryDirectory() as temporary:
        artifacts = {"generator": Path(temporary, WEIGHTS), "config": Path(temporary, FACTS)}
        shutil.copyfile(generator, artifacts["generator"])
        if classifier:
            artifacts["classifier"] = Path(temporary, "classifier.safetensors")
            shutil.copyfile(classifier, artifacts["classifier"])
        files.write_json(artifacts["config"], dict(config))
        mlflow.pyfunc.save_model(
            folder,
            python_model=TRANSLATING if translates else SERVING,
            artifacts={name: str(path) for name, path in artifacts.items()},
            code_paths=[str(PACKAGE)],
            signature=signature,
            input_example=_blank(config) if translates else EXAMPLE,
            pip_requirements=[
                f"{package}=={version(package).partition('+')[0]}" for package in REQUIREMENTS
            ],
        )
    # MLflow notes where the files came from; it loads them from where they are now.
    model = Model.load(folder)
    flavor = model.flavors[mlflow.pyfunc.FLAVOR_NAME]
    flavor[mlflow.pyfunc.MODEL_CODE_PATH] = (TRANSLATING if translates else SERVING).name
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]
    model.save(str(folder / "MLmodel"))
    files.write_text(folder / CARD, card)


def _drawing(config: Mapping[str, Any]) -> "ModelSignature":
    """A table of what to draw in, images out."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, DataType, Schema

    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(DataType.long, "images"),
                ColSpec(DataType.long, "seed"),
                # A column of whole numbers with nulls among them fits none of MLflow's number
                # types; serving.py checks it.
                ColSpec(AnyType(), "class", required=False),  # type: ignore[no-untyped-call]
            ]
        ),
        outputs=_images(config["image_size"], config["channels"]),
    )


def _translating(config: Mapping[str, Any]) -> "ModelSignature":
    """Images in, images out."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import DataType, ParamSchema, ParamSpec

    params = [ParamSpec("seed", DataType.long, 0)]
    if names := config.get(GIVEN, {}).get("domains"):
        params.append(ParamSpec("to", DataType.string, names[-1]))
    return ModelSignature(
        # Of any size: MLflow says of one that does not fit all of its pixels, translating.py which.
        inputs=_images(-1, config["in_channels"]),
        outputs=_images(config["image_size"], config["out_channels"]),
        params=ParamSchema(params),
    )


def _blank(config: Mapping[str, Any]) -> Any:
    """An image as it takes them, uint8 (1, H, W) or (1, H, W, 3)."""
    import numpy as np

    side, channels = config["image_size"], config["in_channels"]
    return np.zeros((1, side, side, *[3] * (channels == 3)), np.uint8)


def _images(side: int, channels: int) -> "Schema":
    from mlflow.types.schema import Schema, TensorSpec
    from numpy import dtype

    shape = (side, side) if channels == 1 else (side, side, channels)
    return Schema([TensorSpec(dtype("uint8"), (-1, *shape))])


def publication(
    name: str,
    generator: Path,
    config: Mapping[str, Any],
    classifier: Path | None,
    *,
    card: str,
    generator_hash: str,
    tags: Mapping[str, str],
) -> Job:
    """What a tracker has to do so that a generator is saved, registered, and the best one crowned.

    As `save` and `register` say.
    """

    def job(client: "MlflowClient", run_id: str) -> None:
        with _saving, TemporaryDirectory() as temporary:
            folder = Path(temporary) / "model"
            save(folder, generator, config, classifier, card)
            register(client, run_id, name, folder, generator_hash=generator_hash, tags=tags)
            crown(client, name)

    return job


def register(
    client: "MlflowClient",
    run_id: str,
    name: str,
    folder: Path,
    *,
    generator_hash: str,
    tags: Mapping[str, str],
) -> str:
    """The number of the version of `name` that holds this generator, uploaded where it is new.

    `folder` is what `save` wrote; it goes to the artifacts of the run. `tags` has at least `fid`
    and `scale`, which `crown` reads; they and the card are those of the last call.
    """
    _without_bars()
    tags = {**tags, GENERATOR_TAG: generator_hash, REGISTERED_TAG: str(time.time_ns())}
    card = _description((folder / CARD).read_text())
    _make(client, name)
    known = [v for v in _versions(client, name) if v.tags.get(GENERATOR_TAG) == generator_hash]
    if known:
        number = str(known[0].version)
        client.update_model_version(name, number, card)
        for key, value in tags.items():
            client.set_model_version_tag(name, number, key, value)
        return number
    # A folder per generator: the run may have another one already, from another checkpoint.
    path = f"model/{generator_hash}"
    client.log_artifacts(run_id, str(folder), path)
    source = f"{client.get_run(run_id).info.artifact_uri}/{path}"
    made = client.create_model_version(name, source, run_id, dict(tags), description=card)
    return str(made.version)


def crown(client: "MlflowClient", name: str) -> str | None:
    """Give the alias `best` to the version with the lowest FID; its number, None without any.

    FIDs compare where they were measured alike (tag `scale`): as that of the version registered
    last was. Those of an earlier classifier, or of fewer images, take no part.
    """
    scored = [v for v in _versions(client, name) if {"fid", "scale"} <= v.tags.keys()]
    if not scored:
        return None
    rivals = [v for v in scored if v.tags["scale"] == scored[-1].tags["scale"]]
    # The newest first, so that it wins a tie.
    best = str(min(reversed(rivals), key=lambda v: float(v.tags["fid"])).version)
    client.set_registered_model_alias(name, BEST, best)
    return best


def download(uri: str, root: Path, folder: Path) -> tuple[str, Path]:
    """Bring the files of a registered generator into `folder`: its version, and where they lie.

    `uri` is models:/NAME@ALIAS or models:/NAME/VERSION, `root` where the store is if it is a file.
    The files are `WEIGHTS` and `FACTS`. Raises `GanvasError` where there is no such model.
    """
    named = re.fullmatch("models:/([^/@]+)(?:@([^/@]+)|/([0-9]+))", uri)
    if named is None:
        raise GanvasError(f"{uri}: give models:/NAME@ALIAS or models:/NAME/VERSION")
    name, alias, number = named.groups()
    with reading():
        client = store(root)
        if client is None:
            raise GanvasError(f"{uri}: no mlflow.db in {root}; run this in the repository's root")
        import mlflow.artifacts
        from mlflow.exceptions import MlflowException

        _without_bars()
        try:
            if alias:
                number = str(client.get_model_version_by_alias(name, alias).version)
            source = client.get_model_version_download_uri(name, number)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            known = ", ".join(sorted(model.name for model in client.search_registered_models()))
            raise GanvasError(
                f"{uri}: not in the registry, which has {known or 'no models'}; `mlflow ui` shows "
                "their versions and aliases"
            ) from None
        try:
            path = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{source}/artifacts",
                dst_path=str(folder),
                tracking_uri=client.tracking_uri,
            )
        except (OSError, MlflowException):
            raise GanvasError(
                f"{uri}: version {number} is registered, but its files cannot be fetched from "
                f"{source}; name a folder of models/ instead"
            ) from None
    return number, Path(path)


def _without_bars() -> None:
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def _make(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=ABOUT)
    except MlflowException as error:  # another process was first, or an earlier run
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _versions(client: "MlflowClient", name: str) -> "list[ModelVersion]":
    """The last registered one last."""
    return sorted(client.search_model_versions(f"name = '{name}'"), key=_age)


def _age(found: "ModelVersion") -> tuple[int, int]:
    # By the number alone a generator that is registered again would stay old.
    return int(found.tags.get(REGISTERED_TAG, 0)), int(found.version)


def _description(card: str) -> str:
    """The card; where it is too long for the database, whole lines of it."""
    if len(card) <= DESCRIPTION:
        return card
    rest = f"\n\nCut here: the whole card is {CARD} among the model's files.\n"
    return card[: DESCRIPTION - len(rest)].rpartition("\n")[0] + rest
