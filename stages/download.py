"""Fetch one data set as published. Stage `download` of dvc.yaml.

A person's own images stay where they are: a link leads there (see stages/params.py).
"""

from ganvas import files
from ganvas.data import published
from ganvas.workflow import program
from ganvas.workflow.instances import DataSet


def main(data: DataSet) -> None:
    if data.settings.folder is None:
        published.fetch(data.settings.of or data.name, data.raw)
    else:
        files.write_json(data.raw / "own.json", {"folder": data.settings.folder})


if __name__ == "__main__":
    program.run_stage(main)
