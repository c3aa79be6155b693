"""What the stages tell MLflow about a model, all of it read from files.

So that a store that was lost, or one that never heard of a training, can be filled again.
"""

import csv
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ganvas import registry
from ganvas.config import Params, Recipe
from ganvas.events import Events
from ganvas.tracking import GENERATOR_TAG, Input, Tracker
from stages import paths, pipeline, provenance

if TYPE_CHECKING:
    from mlflow import MlflowClient


OF_A_MODEL = ("train", "select", "sample", "evaluate")
DIRTY = ", with changes that were not committed"
REBUILD_PATIENCE = 3600  # seconds: nothing else waits, and whole models may go to a far server
_registering = threading.Lock()  # MLflow's functions to save a model are for one thread


def parameters(params: Params, dataset: str, model: str) -> dict[str, Any]:
    """What made a model, under the names of params.yaml."""
    return {
        "dataset": dataset,
        "model": model,
        "seed": params.seed,
        "image_size": params.image_size,
        **params.recipe(dataset, model).model_dump(),
        "precision": params.train.precision,
    }


def of_training(dataset: str, model: str, params: Params, run_id: Path) -> Tracker:
    """The run of a training that begins, or goes on: then `run_id` holds its id."""
    tracker = Tracker(
        paths.ROOT,
        dataset,
        f"{dataset}-{model}",
        enabled=params.tracking.enabled,
        run_id=run_id.read_text() if run_id.exists() else None,
        tags=_code(),
        system=True,
    )
    tracker.keep_run_id(run_id)
    tracker.params(parameters(params, dataset, model))
    _input(tracker, dataset, "train", "training")
    return tracker


def of_model(dataset: str, model: str, params: Params) -> Tracker:
    """The run that trained the model on disk; where the store does not have it, a new one."""
    tracker = Tracker(
        paths.ROOT,
        dataset,
        f"{dataset}-{model}",
        enabled=params.tracking.enabled,
        generator=provenance.dvc_hash(paths.model(dataset, model) / "generator"),
        tags=_code(),
    )
    tracker.params(parameters(params, dataset, model))
    return tracker


def events(dataset: str, model: str, params: Params, key: str, since: int = 0) -> Events:
    """TensorBoard's files of the training with that key: runs/, where a bare SummaryWriter is."""
    folder = paths.ROOT / "runs" / f"{dataset}-{model}" / key
    return Events(folder, since, enabled=params.tracking.tensorboard)


def training(tracker: Tracker, dataset: str, model: str) -> None:
    """The curves and pictures of a training that was not watched."""
    folder = paths.model(dataset, model)
    _input(tracker, dataset, "train", "training")
    for row in _rows(folder / "history.csv"):
        step, _ = int(row.pop("iteration")), row.pop("epoch")
        tracker.curves([(step, {key: float(value) for key, value in row.items()})])
    for path in sorted((folder / "progress").glob("iteration-*.png")):
        tracker.picture("progress", path, int(path.stem.removeprefix("iteration-")))


def trained(tracker: Tracker, dataset: str, model: str) -> None:
    """From now on the run is found by what it trained."""
    folder = paths.model(dataset, model)
    tracker.tags({GENERATOR_TAG: provenance.dvc_hash(folder / "generator")})
    for warning in json.loads((folder / "config.json").read_text())["warnings"]:
        tracker.tags({"warning": warning})


def selection(tracker: Tracker, dataset: str, model: str) -> None:
    folder = paths.results(dataset, model)
    tracker.curves(checkpoint_fids(dataset, model))
    chosen = json.loads((folder / "selection.json").read_text())
    tracker.metrics({"selected_epoch": chosen["epoch"]})


def checkpoint_fids(dataset: str, model: str) -> list[tuple[int, dict[str, float]]]:
    """The FID of every checkpoint, as a curve."""
    rows = _rows(paths.results(dataset, model) / "selection.csv")
    return [(int(row["iteration"]), {"checkpoint_fid": float(row["fid"])}) for row in rows]


def samples(tracker: Tracker, dataset: str, model: str) -> None:
    for path in sorted(paths.samples(dataset, model).glob("*.png")):
        tracker.file(path)


def scores(tracker: Tracker, dataset: str, model: str) -> None:
    _input(tracker, dataset, "test", "evaluation")
    tracker.metrics(measured(dataset, model))


def measured(dataset: str, model: str) -> dict[str, float]:
    """Every score as `extractor.measure`."""
    return measures((paths.results(dataset, model) / "metrics.json").read_bytes())


def measures(metrics: bytes) -> dict[str, float]:
    """`measured`, of any metrics.json."""
    scores = json.loads(metrics)
    return {
        f"{extractor}.{measure}": value
        for extractor, measures in scores.items()
        if isinstance(measures, dict)
        for measure, value in measures.items()
        if isinstance(value, int | float)
    }


def report(tracker: Tracker, dataset: str, model: str, params: Params) -> None:
    """The page, the model's figures and card, and its generator in the registry."""
    folder = paths.report(dataset).parent
    tracker.file(folder / "index.html", "report")
    for path in sorted((folder / model).iterdir()):
        tracker.file(path, "report")
    chosen = json.loads((paths.results(dataset, model) / "selection.json").read_text())
    generator = paths.model(dataset, model) / "generator" / chosen["checkpoint"]
    config = parameters(params, dataset, model)
    config["features"] = params.classifier_for(dataset).features
    tags = {"dataset": dataset, "model": model}
    tags |= _score(dataset, model, params.datasets[dataset].extractors[0])

    def register(client: "MlflowClient", run: str) -> None:
        name = registry.name_of(dataset)
        with _registering, TemporaryDirectory() as temporary:
            card = (folder / model / "card.md").read_text()
            saved = Path(temporary) / "model"
            registry.save(saved, generator, config, paths.classifier(dataset), card)
            sha = provenance.dvc_hash(generator)
            registry.register(client, run, name, saved, generator_hash=sha, tags=tags)
            registry.crown(client, name)

    tracker.also(register)


def _score(dataset: str, model: str, extractor: str) -> dict[str, str]:
    """The FID, and by what it was measured."""
    rows = _rows(paths.results(dataset, model) / "scores.csv")
    row = next(row for row in rows if (row["extractor"], row["measure"]) == (extractor, "fid"))
    by = f"{extractor} {row['weights_sha256'][:12]}"
    scale = f"{row['images']} images against {row['reference']}, by {by}"
    return {"fid": repr(measured(dataset, model)[f"{extractor}.fid"]), "scale": scale}


def lineage(tracker: Tracker, stage: str, dataset: str, model: str | None = None) -> None:
    """What a stage, whose outputs are written, read and wrote, and with which code."""
    if tracker.enabled:
        entry = pipeline.present(stage, dataset, model)
        tracker.tags(tags(entry, provenance.commit(), provenance.dirty()))


def tags(entry: pipeline.Entry, commit: str | None, dirty: bool = False) -> dict[str, str]:
    """A stage's entry of dvc.lock as tags; `dvc.stage` is the one that trained."""
    found = {
        f"dvc.{entry.name}": entry.key,
        f"dvc.{entry.name}.commit": f"{commit or 'none'}{DIRTY if dirty else ''}",
        f"dvc.{entry.name}.deps": json.dumps(entry.deps),
        f"dvc.{entry.name}.params": json.dumps(entry.params),
        f"dvc.{entry.name}.outs": json.dumps(entry.outs),
    }
    return found | ({"dvc.stage": entry.stage} if entry.name == "train" else {})


def rebuild(
    entries: Mapping[str, pipeline.Entry], dataset: str, model: str, params: Params, known: bool
) -> bool:
    """Write the run of a model from dvc.lock and the files, or what a `known` one has wrong.

    Returns whether all of it was written. Every output of dvc.lock must be on disk.
    """
    of_model = {
        stage: entries[name]
        for stage in OF_A_MODEL
        if (name := pipeline.instance(stage, dataset, model)) in entries
    }
    generator = of_model["train"].outs[f"{paths.model(dataset, model)}/generator"]
    commits = {
        stage: provenance.recording_commit(next(iter(entry.outs.values())))
        for stage, entry in of_model.items()
    }
    code = _code() | {"mlflow.source.git.commit": commits["train"] or "none"}
    code["mlflow.source.git.dirty"] = "false"
    with Tracker(
        paths.ROOT,
        dataset,
        f"{dataset}-{model}",
        generator=generator,
        tags=code,
        patience=REBUILD_PATIENCE,
    ) as run:
        run.params(_locked_parameters(of_model["train"], dataset, model))
        write = {"train": training, "select": selection, "sample": samples, "evaluate": scores}
        for stage, entry in of_model.items():
            if not (known and stage == "train"):
                write[stage](run, dataset, model)
            run.tags(tags(entry, commits[stage]))
        about = entries.get(pipeline.instance("report", dataset))
        if about and all(provenance.dvc_hash(Path(out)) == md5 for out, md5 in about.outs.items()):
            report(run, dataset, model, params)
            run.tags(tags(about, provenance.recording_commit(next(iter(about.outs.values())))))
    return not run.failed


def _locked_parameters(train: pipeline.Entry, dataset: str, model: str) -> dict[str, Any]:
    """`parameters`, as they were when the model was trained."""
    values = train.params
    recipe = values[f"models.{model}"] | values[f"datasets.{dataset}.models.{model}"]
    return {
        "dataset": dataset,
        "model": model,
        "seed": values["seed"],
        "image_size": values["image_size"],
        **Recipe.model_validate(recipe).model_dump(),
        "precision": values["train.precision"],
    }


def recorded(tags: Mapping[str, str], stage: str) -> dict[str, Any] | None:
    """What `tags` kept of a stage: key, commit, deps, params and outs; None where nothing."""
    if f"dvc.{stage}.outs" not in tags:
        return None
    parts = {part: json.loads(tags[f"dvc.{stage}.{part}"]) for part in ("deps", "params", "outs")}
    return {"key": tags[f"dvc.{stage}"], "commit": tags[f"dvc.{stage}.commit"], **parts}


def _code() -> dict[str, str]:
    found = {
        "mlflow.source.name": "dvc.yaml",
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.commit": provenance.commit() or "none",
        "mlflow.source.git.dirty": str(provenance.dirty()).lower(),
    }
    experiment = provenance.experiment()
    return found | ({"dvc.experiment": experiment} if experiment else {})


def _input(tracker: Tracker, dataset: str, split: str, context: str) -> None:
    path = paths.normalized(dataset) / f"{split}.safetensors"
    if path.exists():
        digest = provenance.dvc_hash(path)
        tracker.inputs([Input(f"{dataset}/{split}", digest, context, path.as_posix())])


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)
