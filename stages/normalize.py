"""Bring one data set to arrays of one shape and split it. Stage `normalize` of dvc.yaml."""

import os
from dataclasses import asdict
from pathlib import Path

from ganvas import files
from ganvas.data import folder, made, normalize
from ganvas.workflow import instances, paths, program
from ganvas.workflow.instances import DataSet


def main(data: DataSet) -> None:
    settings, domains = data.settings, list[str]()
    if settings.folder is None:
        source, held_out = settings.of or data.name, settings.validation_images or 0
        splits = normalize.splits(source, data.raw, settings.image_size, held_out)
        names = normalize.CLASSES[source]
    else:
        splits, names, domains = _own(data)
    if isinstance(settings.made, str):
        for arrays in splits.values():
            arrays["inputs"], arrays["images"] = made.PAIRS[settings.made](arrays["images"])
    elif settings.made is not None:
        splits = made.domains(splits, settings.made, settings.split_seed)
        domains = settings.made
    if domains:
        names = normalize.label_domains(splits, domains, names)
        files.write_json(data.normalized / instances.DOMAINS, domains)
    for split, arrays in splits.items():
        normalize.write(data.split(split), arrays)
        print(f"{data.name} {split}: {len(arrays['images']):,} images")
    files.write_json(data.normalized / instances.CLASSES, names)


def _own(data: DataSet) -> tuple[normalize.Splits, list[str], list[str]]:
    """A person's own images, their classes and domains, and a report on them, before anything is
    trained."""
    settings, cache = data.settings, paths.CACHE / "images" / data.name
    # Where the link leads, by the name that it has there: where that is a link, too, as DVC may
    # make one, the file behind it has no ending.
    place = Path(os.path.normpath(data.place.parent / data.place.readlink()))
    found = folder.read(place, settings.form, **settings.reading, cache=cache)
    print(*found.report.lines(), sep="\n")
    # Not where this machine has them: what depends on this file is the same elsewhere.
    report = asdict(found.report) | {"source": settings.folder}
    files.write_json(data.normalized / "found.json", report)
    return found.splits, list(found.classes), list(found.domains)


if __name__ == "__main__":
    program.run_stage(main)
