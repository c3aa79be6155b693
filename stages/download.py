"""Fetch one data set as published. Stage `download` of dvc.yaml."""

import pooch

from ganvas import download, normalize
from ganvas.errors import GanvasError
from ganvas.sources import SOURCES
from stages import cli, paths


def main(dataset: str) -> None:
    source, folder = SOURCES[dataset], paths.raw(dataset)
    if dataset == "digits":
        normalize.export_digits(folder / normalize.DIGITS)
        if pooch.file_hash(folder / normalize.DIGITS) != source.files[normalize.DIGITS]:
            raise GanvasError("digits: scikit-learn holds other images than the published ones")
        return
    for file, sha256 in source.files.items():
        download.fetch(dataset, file, sha256, source.hosts, folder)


if __name__ == "__main__":
    cli.run(main)
