"""One page about a data set, a card and charts of each model. Stage `report` of dvc.yaml.

The selected generators go into MLflow's registry here, where all their scores are known.
"""

from contextlib import ExitStack
from pathlib import Path

from ganvas import files
from ganvas.errors import GanvasError
from ganvas.reporting import card, figures, report
from ganvas.workflow import mirror, program, provenance
from ganvas.workflow.instances import DataSet, Instance


def main(data: DataSet) -> None:
    instances = {instance.model: instance for instance in data.instances()}
    folders = {
        model: report.Folders(instance.folder, instance.samples, instance.results)
        for model, instance in instances.items()
    }
    provenance.warn()
    normalized = _hash(data.normalized, data)
    generators = {model: _hash(each.generators, data) for model, each in instances.items()}
    with ExitStack() as stack:
        trackers = {
            model: stack.enter_context(mirror.of_model(instance))
            for model, instance in instances.items()
        }
        for instance in instances.values():
            _write_about(instance)
        lineage = report.Lineage(
            commit=provenance.commit() or provenance.unknown(),
            dirty=provenance.dirty(),
            data=normalized,
            generators=generators,
            origins={m: origin for m, tracker in trackers.items() if (origin := tracker.origin())},
        )
        own = data.normalized / "found.json"
        page = report.page(
            data.name,
            data.results,
            folders,
            lineage,
            data.settings.seed_deviation,
            data.class_names,
            report.read_json(own) if own.exists() else None,
            data.domain_names,
            data.stage("report"),
        )
        files.write_text(data.page, page)
        print(f"{data.name}: {data.page}")
        for model, tracker in trackers.items():
            mirror.report(tracker, instances[model])
            mirror.lineage(tracker, "report", data)


def _write_about(instance: Instance) -> None:
    """The model's card and charts, beside the page."""
    data, target = instance.data, instance.report
    title = f"{instance.model} on {data.name}"
    floor = report.read_json(data.results / "floor.json")
    scores = report.read_json(instance.results / "metrics.json")
    chosen = report.read_json(instance.results / "selection.json")
    text = card.page(
        data.name,
        instance.model,
        config=report.read_json(instance.config),
        scores=report.read_scores(instance.results),
        selection=chosen,
        classifier=report.read_json(data.results / "classifier.json"),
        warnings=scores.get("warnings", ()),
        data=card.about(data.name, data.settings.of, data.settings.made),
        baselines=floor.get("baselines"),
        domains=data.domain_names,
        architecture=report.read_json(instance.architecture),
    )
    files.write_text(target / "card.md", text)
    history = report.read_columns(
        instance.folder / "history.csv",
        ("iteration", "epoch", "discriminator_loss", "generator_loss"),
    )
    scored = report.read_columns(instance.results / "selection.csv", ("epoch", "fid"))
    files.write_bytes(target / "losses.png", figures.losses(title, history, chosen))
    files.write_bytes(target / "checkpoint-fid.png", figures.checkpoints(title, scored))
    if "classifier" in scores:
        shares = scores["classifier"]["histogram"], floor["classifier"]["histogram"]
        files.write_bytes(target / "classes.png", figures.classes(title, *shares))


def _hash(folder: Path, data: DataSet) -> str:
    # A folder that is not there would get the hash of an empty one.
    if not folder.is_dir():
        raise GanvasError(f"{folder}: missing; make it with `dvc repro {data.stage('report')}`")
    return provenance.dvc_hash(folder)


if __name__ == "__main__":
    program.run_stage(main)
