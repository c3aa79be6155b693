"""Fetch one data set as published. Stage `download` of dvc.yaml."""

from ganvas.data import published
from ganvas.workflow import program
from ganvas.workflow.instances import DataSet


def main(data: DataSet) -> None:
    published.fetch(data.name, data.raw)


if __name__ == "__main__":
    program.run_stage(main)
