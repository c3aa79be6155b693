"""What the stages tell MLflow about a model, all of it read from files.

So that a store that was lost, or one that never heard of a training, can be filled again.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ganvas import config
from ganvas.errors import GanvasError
from ganvas.reporting import card, scoreboard
from ganvas.tracking import registry, runs
from ganvas.tracking.events import Events
from ganvas.tracking.runs import GENERATOR_TAG, Input, Tracker
from ganvas.workflow import instances, paths, pipeline, provenance
from ganvas.workflow.instances import DataSet, Instance

OF_A_MODEL = ("train", "select", "sample", "evaluate")
HARDWARE_TAG = "hardware"  # that trained; only the training itself knows
DIRTY = ", with changes that were not committed"
SCORES_WARNING = "warning.scores"  # beside the training's own, `warning`
# The descriptions of an experiment and of a run, in Markdown.
ABOUT_DATA = (
    "{data}\n\n"
    "A run is a trained model. Tick two or more and choose Compare: of `{extractor}.fid` lower is "
    "better.{floor} FIDs compare where they were measured alike, which the tag `scale` of a "
    "registered model's version says.\n\n"
    "All models side by side: `{page}`."
)
ABOUT_FLOOR = " The floor, real training images against real test images, is **{fid}**."
ABOUT_RUN = (
    "FID **{fid}** (`{extractor}`){beside}, by the generator of epoch {epoch}.\n\n"
    "Report: `{page}`, and `report` among the artifacts.\n\n"
    "Made again by `dvc repro {stage}`; `ganvas lineage` with this run's id says from which code, "
    "parameters and data, and how to bring these back."
)
REBUILD_PATIENCE = 3600  # seconds: nothing else waits, and whole models may go to a far server


def of_training(instance: Instance, run_id: Path) -> Tracker:
    """The run of a training that begins, or goes on: then `run_id` holds its id."""
    if instance.params.tracking.enabled:
        provenance.warn()
    tracker = Tracker(
        paths.ROOT,
        instance.data.name,
        instance.name,
        about=_about(instance.data),
        enabled=instance.params.tracking.enabled,
        run_id=run_id.read_text() if run_id.exists() else None,
        tags=_code(provenance.commit(), provenance.dirty()),
        system=True,
    )
    tracker.keep_run_id(run_id)
    tracker.params(dict(pipeline.leaves(instance.parameters)))
    _input(tracker, instance.data, "train", "training")
    return tracker


def of_model(instance: Instance) -> Tracker:
    """The run that trained the model on disk; where the store does not have it, a new one."""
    tracker = Tracker(
        paths.ROOT,
        instance.data.name,
        instance.name,
        about=_about(instance.data),
        enabled=instance.params.tracking.enabled,
        generator=provenance.dvc_hash(instance.generators),
        tags=_code(provenance.commit(), provenance.dirty()),
    )
    tracker.params(dict(pipeline.leaves(instance.parameters)))
    return tracker


def events(instance: Instance, key: str, since: int = 0) -> Events:
    """TensorBoard's files of the training with that key: runs/, where a bare SummaryWriter is."""
    folder = paths.ROOT / "runs" / instance.name / key
    return Events(folder, since, enabled=instance.params.tracking.tensorboard)


def training(tracker: Tracker, instance: Instance) -> None:
    """The curves and pictures of a training that was not watched."""
    folder = instance.folder
    _input(tracker, instance.data, "train", "training")
    for row in _rows(folder / "history.csv"):
        step, _ = int(row.pop("iteration")), row.pop("epoch")
        tracker.curves([(step, {key: float(value) for key, value in row.items()})])
    for path in sorted((folder / "progress").glob("iteration-*.png")):
        tracker.picture("progress", path, int(path.stem.removeprefix("iteration-")))


def trained(tracker: Tracker, instance: Instance) -> None:
    """From now on the run is found by what it trained."""
    hardware = provenance.hardware(instance.params.device)
    tracker.tags({GENERATOR_TAG: provenance.dvc_hash(instance.generators), HARDWARE_TAG: hardware})
    if warnings := json.loads(instance.config.read_text())["warnings"]:
        tracker.tags({"warning": "; ".join(warnings)})


def speed(root: Path, dataset: str, generator: str) -> dict[str, Any]:
    """`iterations_per_second` and `hardware` of the training of a generator, by its hash.

    As its run in the store of `root` noted them; empty where there is none, without the hardware
    where the run is of an earlier version.
    """
    for run in runs.search(root, dataset, f"tags.`{GENERATOR_TAG}` = '{generator}'"):
        if rate := run.data.metrics.get("iterations_per_second"):  # 0: nothing was left to do
            hardware = run.data.tags.get(HARDWARE_TAG)
            found = {"iterations_per_second": rate}
            return found | ({"hardware": hardware} if hardware else {})
    return {}


def selection(tracker: Tracker, instance: Instance) -> None:
    tracker.curves(checkpoint_fids(instance))
    tracker.metrics({"selected_epoch": _selected(instance)["epoch"]})


def checkpoint_fids(instance: Instance) -> list[tuple[int, dict[str, float]]]:
    """The FID of every checkpoint, as a curve."""
    rows = _rows(instance.results / "selection.csv")
    return [(int(row["iteration"]), {"checkpoint_fid": float(row["fid"])}) for row in rows]


def samples(tracker: Tracker, instance: Instance) -> None:
    for path in sorted(instance.samples.glob("*.png")):
        tracker.file(path)


def scores(tracker: Tracker, instance: Instance) -> None:
    _input(tracker, instance.data, "test", "evaluation")
    tracker.metrics(_measured(instance))
    warnings = json.loads((instance.results / "metrics.json").read_text()).get("warnings")
    if warnings:
        tracker.tags({SCORES_WARNING: "; ".join(warnings)})
    else:
        tracker.forget(SCORES_WARNING)  # of scores by an earlier classifier
    data, extractor = instance.data, instance.data.extractors[0]
    floor = _floor(data)
    tracker.describe(
        ABOUT_RUN.format(
            fid=scoreboard.number(_measured(instance)[f"{extractor}.fid"]),
            extractor=extractor,
            beside=f", where the floor is **{floor}**" if floor else "",
            epoch=_selected(instance)["epoch"],
            page=data.page,
            stage=pipeline.named("evaluate", instance),
        )
    )


def measures(metrics: bytes) -> dict[str, float]:
    """Every score of a metrics.json as `extractor.measure`."""
    scores = json.loads(metrics)
    return {
        f"{extractor}.{measure}": value
        for extractor, measures in scores.items()
        if isinstance(measures, dict)
        for measure, value in measures.items()
        if isinstance(value, int | float)
    }


def report(tracker: Tracker, instance: Instance) -> None:
    """The page, the model's figures and card, and its generator in the registry."""
    data = instance.data
    tracker.file(data.page, "report")
    for path in sorted(instance.report.iterdir()):
        tracker.file(path, "report")
    generator = instance.generators / _selected(instance)["checkpoint"]
    config = json.loads(instance.config.read_text())
    given = {registry.GIVEN: config["given"]} if "given" in config else {}
    tracker.also(
        registry.publication(
            registry.name_of(data.name),
            generator,
            json.loads(instance.architecture.read_text()) | given,
            data.extractor_weights if data.class_names and not data.group else None,
            card=(instance.report / "card.md").read_text(),
            generator_hash=provenance.dvc_hash(generator),
            tags={"dataset": data.name, "model": instance.model} | _score(instance),
        )
    )


def lineage(tracker: Tracker, stage: str, of: DataSet | Instance) -> None:
    """What a stage, whose outputs are written, read and wrote, and with which code."""
    if tracker.enabled:
        entry = pipeline.present(stage, of)
        tracker.tags(tags(entry, provenance.commit(), provenance.dirty()))


def tags(entry: pipeline.Entry, commit: str | None, dirty: bool = False) -> dict[str, str]:
    """A stage's entry of dvc.lock as tags; `dvc.stage` is the one that trained."""
    found = {
        f"dvc.{entry.name}": entry.key,
        f"dvc.{entry.name}.commit": f"{provenance.recorded(commit)}{DIRTY if dirty else ''}",
        f"dvc.{entry.name}.deps": json.dumps(entry.deps),
        f"dvc.{entry.name}.params": json.dumps(entry.params),
        f"dvc.{entry.name}.outs": json.dumps(entry.outs),
    }
    return found | ({"dvc.stage": entry.stage} if entry.name == "train" else {})


def rebuild(entries: Mapping[str, pipeline.Entry], instance: Instance, known: bool) -> bool:
    """Write the run of a model from dvc.lock and the files, or what a `known` one has wrong.

    Returns whether all of it was written. Every output of dvc.lock must be on disk.
    """
    of_model = {
        stage: entries[name]
        for stage in OF_A_MODEL
        if (name := pipeline.named(stage, instance)) in entries
    }
    parameters = _locked_parameters(of_model["train"], instance)  # before a run is opened
    generator = of_model["train"].outs[instance.generators.as_posix()]
    commits = {
        stage: provenance.recording_commit(next(iter(entry.outs.values())))
        for stage, entry in of_model.items()
    }
    code = _code(commits["train"], dirty=False)
    with Tracker(
        paths.ROOT,
        instance.data.name,
        instance.name,
        about=_about(instance.data),
        generator=generator,
        tags=code,
        patience=REBUILD_PATIENCE,
    ) as run:
        run.params(dict(pipeline.leaves(parameters)))
        write = {"train": training, "select": selection, "sample": samples, "evaluate": scores}
        for stage, entry in of_model.items():
            if not (known and stage == "train"):
                write[stage](run, instance)
            run.tags(tags(entry, commits[stage]))
        about = entries.get(pipeline.named("report", instance.data))
        if about and all(provenance.dvc_hash(Path(out)) == md5 for out, md5 in about.outs.items()):
            report(run, instance)
            run.tags(tags(about, provenance.recording_commit(next(iter(about.outs.values())))))
    return not run.failed


def _locked_parameters(train: pipeline.Entry, instance: Instance) -> dict[str, Any]:
    """`instance.parameters`, as they were when the model was trained."""
    values, dataset, model = train.params, instance.data.name, instance.model
    normalize = pipeline.locked().get(pipeline.named("normalize", instance.data))
    try:
        settings = normalize.params if normalize else {}
        shape = {key: settings[f"datasets.{dataset}.{key}"] for key in ("channels", "image_size")}
        recipe = config.recipe(
            values[f"models.{model}"] | values[f"datasets.{dataset}.models.{model}"]
        )
    except (KeyError, ValidationError):
        raise GanvasError(
            f"dvc.lock: {train.stage} was made by an earlier version, with other keys in its "
            "recipe; `dvc repro` first"
        ) from None
    return {
        "dataset": dataset,
        "model": model,
        "seed": values["seed"],
        **shape,
        **recipe.model_dump(exclude_none=True),
        "precision": values["train.precision"],
        # Earlier versions recorded neither.
        **instances.shared(
            values.get("train.processes", 1), values.get("train.sync_batch_norm", False)
        ),
    }


def recorded(tags: Mapping[str, str], stage: str) -> dict[str, Any] | None:
    """What `tags` kept of a stage: key, commit, deps, params and outs; None where nothing."""
    if f"dvc.{stage}.outs" not in tags:
        return None
    parts = {part: json.loads(tags[f"dvc.{stage}.{part}"]) for part in ("deps", "params", "outs")}
    return {"key": tags[f"dvc.{stage}"], "commit": tags[f"dvc.{stage}.commit"], **parts}


def _code(commit: str | None, dirty: bool) -> dict[str, str]:
    known = commit or not provenance.unknown()
    found = {
        "mlflow.source.name": "dvc.yaml",
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.commit": provenance.recorded(commit),
        "mlflow.source.git.dirty": str(dirty).lower() if known else "unknown",
    }
    experiment = provenance.experiment()
    return found | ({"dvc.experiment": experiment} if experiment else {})


def _about(data: DataSet) -> str:
    floor = _floor(data)
    return ABOUT_DATA.format(
        data=card.about(data.name, data.settings.of, data.settings.made),
        extractor=data.extractors[0],
        floor=ABOUT_FLOOR.format(fid=floor) if floor else "",
        page=data.page,
    )


def _floor(data: DataSet) -> str | None:
    """The FID of real training images; None where stage `reference` has left none to read."""
    try:
        floor = json.loads((data.results / "floor.json").read_text())
        return scoreboard.number(floor[data.extractors[0]]["fid"])
    except (OSError, ValueError, KeyError):
        return None


def _input(tracker: Tracker, data: DataSet, split: str, context: str) -> None:
    path = data.split(split)
    if path.exists():
        digest = provenance.dvc_hash(path)
        tracker.inputs([Input(f"{data.name}/{split}", digest, context, path.as_posix())])


def _measured(instance: Instance) -> dict[str, float]:
    return measures((instance.results / "metrics.json").read_bytes())


def _selected(instance: Instance) -> dict[str, Any]:
    chosen: dict[str, Any] = json.loads((instance.results / "selection.json").read_text())
    return chosen


def _score(instance: Instance) -> dict[str, str]:
    """The FID by the data set's first extractor, and by what it was measured."""
    extractor = instance.data.extractors[0]
    rows = _rows(instance.results / "scores.csv")
    row = next(row for row in rows if (row["extractor"], row["measure"]) == (extractor, "fid"))
    by = f"{extractor} {row['weights_sha256'][:12]}"
    scale = f"{row['images']} images against {row['reference']}, by {by}"
    return {"fid": repr(_measured(instance)[f"{extractor}.fid"]), "scale": scale}


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)
