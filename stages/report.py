"""One page about a data set, a card and charts of each model. Stage `report` of dvc.yaml.

The selected generators go into MLflow's registry here, where all their scores are known.
"""

import csv
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ganvas import card, config, figures, files, report
from ganvas.errors import GanvasError
from stages import cli, mirror, paths, provenance


def main(dataset: str) -> None:
    params = config.load()
    models = params.matrix.models
    folders = {
        model: report.Folders(
            model=paths.model(dataset, model),
            samples=paths.samples(dataset, model),
            results=paths.results(dataset, model),
        )
        for model in models
    }
    data = _hash(paths.normalized(dataset), dataset)
    generators = {model: _hash(folders[model].model / "generator", dataset) for model in models}
    with ExitStack() as stack:
        trackers = {
            model: stack.enter_context(mirror.of_model(dataset, model, params)) for model in models
        }
        for model in models:
            _write_about(dataset, model, folders[model])
        origins = {model: tracker.origin() for model, tracker in trackers.items()}
        lineage = report.Lineage(
            commit=provenance.commit(),
            dirty=provenance.dirty(),
            data=data,
            generators=generators,
            origins={model: origin for model, origin in origins.items() if origin},
        )
        page = report.page(dataset, paths.results(dataset), folders, lineage)
        files.write_text(paths.report(dataset), page)
        print(f"{dataset}: {paths.report(dataset)}")
        for model, tracker in trackers.items():
            mirror.report(tracker, dataset, model, params)
            mirror.lineage(tracker, "report", dataset)


def _write_about(dataset: str, model: str, folders: report.Folders) -> None:
    """The model's card and charts, beside the page."""
    target, title = paths.report(dataset).parent / model, f"{model} on {dataset}"
    scores, chosen = (
        _json(folders.results / "metrics.json"),
        _json(folders.results / "selection.json"),
    )
    with (folders.results / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    text = card.page(
        dataset,
        model,
        config=_json(folders.model / "config.json"),
        scores=rows,
        selection=chosen,
        classifier=_json(paths.results(dataset) / "classifier.json"),
    )
    files.write_text(target / "card.md", text)
    history = report.read_columns(
        folders.model / "history.csv",
        ("iteration", "epoch", "discriminator_loss", "generator_loss"),
    )
    scored = report.read_columns(folders.results / "selection.csv", ("epoch", "fid"))
    files.write_bytes(target / "losses.png", figures.losses(title, history, chosen))
    files.write_bytes(target / "checkpoint-fid.png", figures.checkpoints(title, scored))
    if "classifier" in scores:
        real = _json(paths.results(dataset) / "floor.json")["classifier"]["histogram"]
        bars = figures.classes(title, scores["classifier"]["histogram"], real)
        files.write_bytes(target / "classes.png", bars)


def _json(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text())
    return values


def _hash(folder: Path, dataset: str) -> str:
    # A folder that is not there would get the hash of an empty one.
    if not folder.is_dir():
        raise GanvasError(f"{folder}: missing; make it with `dvc repro report@{dataset}`")
    return provenance.dvc_hash(folder)


if __name__ == "__main__":
    cli.run(main)
