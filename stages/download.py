"""Fetch one data set as published. Stage `download` of dvc.yaml."""

import pooch

from ganvas.data import download, normalize
from ganvas.data.sources import SOURCES
from ganvas.errors import GanvasError
from ganvas.workflow import program
from ganvas.workflow.instances import DataSet


def main(data: DataSet) -> None:
    source, folder = SOURCES[data.name], data.raw
    if data.name == "digits":
        normalize.export_digits(folder / normalize.DIGITS)
        if pooch.file_hash(folder / normalize.DIGITS) != source.files[normalize.DIGITS]:
            raise GanvasError("digits: scikit-learn holds other images than the published ones")
        return
    for file, sha256 in source.files.items():
        download.fetch(data.name, file, sha256, source.hosts, folder)


if __name__ == "__main__":
    program.run_stage(main)
