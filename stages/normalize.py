"""Bring one data set to arrays of one shape and split it. Stage `normalize` of dvc.yaml."""

from ganvas.data import normalize
from ganvas.workflow import program
from ganvas.workflow.instances import DataSet


def main(data: DataSet) -> None:
    held_out = data.settings.validation_images
    parts = normalize.splits(data.name, data.raw, data.params.image_size, held_out)
    for split, arrays in parts.items():
        normalize.write(data.split(split), arrays)
        print(f"{data.name} {split}: {len(arrays['labels']):,} images")


if __name__ == "__main__":
    program.run_stage(main)
