"""What BatchNorm costs a generator that draws, beside what it sees while it is trained.

In training each batch is normalised by its own mean and variance, in drawing by running averages of
them, which a moving average of the weights takes over as they are. The points of stage `sample` are
drawn with those averages, as it does, with statistics taken anew of the generator that was
selected, and with each batch's own, at several sizes of the batch. Reads params.yaml,
data/normalized, models/ and results/ below the current folder, and prints markdown: FID to the test
images, in the classifier's features.

    python -m benchmarks.batchnorm [--datasets mnist] [--models dcgan best] [--images 10000]
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ganvas import config, devices
from ganvas.data import datasets
from ganvas.drawing import sampling
from ganvas.evaluation import classifier, features
from ganvas.evaluation.metrics.frechet import frechet_distance, statistics
from ganvas.networks import Generator
from ganvas.training import checkpoints

SIZES = (500, 100, 20, 5)  # images of a batch that is normalised by itself; parts of sampling.BATCH
TAKEN = 20_000  # points, for statistics taken anew


def selected(dataset: str, model: str) -> Generator:
    """The generator that stage `select` took."""
    selection = json.loads(Path("results", dataset, model, "selection.json").read_text())
    path = Path("models", dataset, model, "generator", selection["checkpoint"])
    architecture = checkpoints.architecture(path.with_name(checkpoints.ARCHITECTURE))
    return checkpoints.load(path, architecture)  # type: ignore[no-any-return]


def normalisations(generator: nn.Module) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    return [module for module in generator.modules() if isinstance(module, kinds)]


def by_itself(generator: Generator) -> Generator:
    """A copy that normalises each batch by its own statistics."""
    generator = copy.deepcopy(generator)
    for module in normalisations(generator):
        module.train()
    return generator


def anew(generator: Generator) -> Generator:
    """A copy whose statistics are the mean over batches of the generator as it is."""
    generator = by_itself(generator)
    for module in normalisations(generator):
        module.reset_running_stats()
        module.momentum = None  # all batches weigh the same
    sampling.images(generator, TAKEN, seed=1)
    return generator.eval()


def ways(generator: Generator, count: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """`count` images of the same points, by how they are normalised; none without BatchNorm."""
    if normalisations(generator):
        yield "running averages", sampling.images(generator, count, seed)
        yield "taken anew", sampling.images(anew(generator), count, seed)
        for size in SIZES:
            drawn = sampling.images(by_itself(generator), count, seed, batch=size)
            yield f"each batch's own, {size}", drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=["mnist", "fashion_mnist"])
    parser.add_argument("--models", nargs="+", default=["gan", "dcgan", "best"])
    parser.add_argument("--images", type=int, default=10_000)
    arguments = parser.parse_args()
    device = devices.choose("cpu")
    print(f"{devices.describe(device)}, {time.strftime('%Y-%m-%d')}\n")
    columns: dict[str, dict[str, float]] = {}
    for dataset in arguments.datasets:
        weights = Path("models", dataset, "classifier", "classifier.safetensors")
        network = classifier.load(weights).to(memory_format=torch.channels_last)

        def seen(images: np.ndarray, network: nn.Module = network) -> tuple[np.ndarray, np.ndarray]:
            return statistics(features.extract(network, images, device).features)

        truth = seen(datasets.load(Path("data/normalized", dataset), "test").images.numpy())
        for model in arguments.models:
            columns[f"{model}, {dataset}"] = {
                way: frechet_distance(*truth, *seen(images))
                for way, images in ways(
                    selected(dataset, model), arguments.images, config.load().seed
                )
            }
    found = {name: values for name, values in columns.items() if values}
    rows = [["normalised by", *found], ["---", *["---:"] * len(found)]]
    for way in next(iter(found.values()), {}):
        rows.append([way, *(f"{values[way]:.2f}" for values in found.values())])
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
