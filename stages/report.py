"""One page with everything about a data set. Stage `report` of dvc.yaml."""

from pathlib import Path

from ganvas import config, files, report
from ganvas.errors import GanvasError
from stages import cli, paths, provenance


def main(dataset: str) -> None:
    models = config.load().matrix.models
    folders = {
        model: report.Folders(
            model=paths.model(dataset, model),
            samples=paths.samples(dataset, model),
            results=paths.results(dataset, model),
        )
        for model in models
    }
    lineage = report.Lineage(
        commit=provenance.commit(),
        dirty=provenance.dirty(),
        data=_hash(paths.normalized(dataset), dataset),
        generators={model: _hash(folders[model].model / "generator", dataset) for model in models},
    )
    page = report.page(dataset, paths.results(dataset), folders, lineage)
    files.write_text(paths.report(dataset), page)
    print(f"{dataset}: {paths.report(dataset)}")


def _hash(folder: Path, dataset: str) -> str:
    # A folder that is not there would get the hash of an empty one.
    if not folder.is_dir():
        raise GanvasError(f"{folder}: missing; make it with `dvc repro report@{dataset}`")
    return provenance.dvc_hash(folder)


if __name__ == "__main__":
    cli.run(main)
