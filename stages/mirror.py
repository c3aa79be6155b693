"""The MLflow run of a model, as the stages write to it."""

from pathlib import Path
from typing import Any

from ganvas.config import Params
from ganvas.tracking import GENERATOR_TAG, Tracker
from stages import paths, provenance


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
        tags=_tags(dataset),
    )
    tracker.keep_run_id(run_id)
    tracker.params(parameters(params, dataset, model))
    return tracker


def of_model(dataset: str, model: str, params: Params) -> Tracker:
    """The run that trained the model on disk; where the store does not have it, a new one."""
    tracker = Tracker(
        paths.ROOT,
        dataset,
        f"{dataset}-{model}",
        enabled=params.tracking.enabled,
        generator=generator_hash(dataset, model),
        tags=_tags(dataset),
    )
    tracker.params(parameters(params, dataset, model))
    return tracker


def generator_hash(dataset: str, model: str) -> str:
    return provenance.dvc_hash(paths.model(dataset, model) / "generator")


def trained(tracker: Tracker, dataset: str, model: str) -> None:
    """From now on the run is found by what it trained."""
    tracker.tags({GENERATOR_TAG: generator_hash(dataset, model)})


def _tags(dataset: str) -> dict[str, str]:
    tags = {
        "mlflow.source.name": "dvc.yaml",
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.commit": provenance.commit() or "none",
        "mlflow.source.git.dirty": str(provenance.dirty()).lower(),
        f"dvc.deps.data/normalized/{dataset}": provenance.dvc_hash(paths.normalized(dataset)),
    }
    experiment = provenance.experiment()
    return tags | ({"dvc.experiment": experiment} if experiment else {})
