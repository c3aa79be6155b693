"""Bring one data set to arrays of one shape and split it. Stage `normalize` of dvc.yaml."""

import torch

from ganvas import config, files, normalize
from stages import cli, paths


def main(dataset: str) -> None:
    params = config.load()
    held_out = params.datasets[dataset].validation_images
    parts = normalize.splits(dataset, paths.raw(dataset), params.image_size, held_out)
    for split, arrays in parts.items():
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        files.write_tensors(paths.normalized(dataset) / f"{split}.safetensors", tensors)
        print(f"{dataset} {split}: {len(arrays['labels']):,} images")


if __name__ == "__main__":
    cli.run(main)
