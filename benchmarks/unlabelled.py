"""Does the FID of features learnt without labels rank generators as the classifier's FID does?

Claim: on MNIST without its labels Spearman's correlation, over the checkpoints of several recipes,
is 0.9 or more, whatever the seed of the features. Features of the same network untrained stand
beside it: what is learnt must be worth its time.

Reads data/normalized/<data set>, models/<data set>/classifier and the checkpoints of
models/<data set>/*/generator below the current folder; trains the networks itself, and prints
markdown. Command: python -m benchmarks.unlabelled [--datasets mnist] [--images 5000] [--seeds 0 1]
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from ganvas import config, devices, progress
from ganvas.data import datasets
from ganvas.drawing import sampling
from ganvas.evaluation import classifier, contrastive, features
from ganvas.evaluation.metrics.frechet import frechet_distance, statistics
from ganvas.training import checkpoints


def drawn(dataset: str, count: int, device: torch.device) -> Iterator[tuple[str, np.ndarray]]:
    """Images of every checkpoint of the data set's models, by its name."""
    for path in sorted(Path("models", dataset).glob("*/generator/*.safetensors")):
        architecture = checkpoints.architecture(path.with_name(checkpoints.ARCHITECTURE))
        generator = checkpoints.load(path, architecture).to(device)
        yield f"{path.parts[-3]} {path.stem}", sampling.images(generator, count, seed=0)


def fids(
    networks: dict[str, nn.Module], dataset: str, count: int, device: torch.device
) -> dict[str, dict[str, float]]:
    """By checkpoint the FID to the test images, in the features of each network.

    Real training images, as many as of a checkpoint, come first: their FID is the floor.
    """
    folder = Path("data/normalized", dataset)
    real, train = (datasets.load(folder, split).images for split in ("test", "train"))

    def seen(network: nn.Module, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return statistics(features.extract(network, images, device).features)

    truth = {name: seen(network, real.numpy()) for name, network in networks.items()}
    found = {}
    images = {"floor": train[:count].numpy()}
    for checkpoint, of_it in (*images.items(), *drawn(dataset, count, device)):
        found[checkpoint] = {
            name: frechet_distance(*truth[name], *seen(network, of_it))
            for name, network in networks.items()
        }
    return found


def untrained(settings: config.Classifier, images: torch.Tensor) -> contrastive.Contrastive:
    """The network as it is before its training, whitened like one that is trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = contrastive.Contrastive(images.shape[1], images.shape[-1], settings.features)
    network.eval().whiten(images[: contrastive.WHITENED_BY])
    return network


def compare(dataset: str, count: int, seeds: list[int], device: torch.device) -> None:
    """Print a data set's table."""
    params = config.load()
    settings = params.classifier_for(dataset)
    images = datasets.load(Path("data/normalized", dataset), "train").images
    weights = Path("models", dataset, "classifier", "classifier.safetensors")
    labelled = classifier.load(weights)
    networks: dict[str, nn.Module] = {
        "classifier": labelled,
        "untrained": untrained(settings, images),
    }
    seconds = []
    for seed in seeds:
        began = time.perf_counter()
        of_seed = settings.model_copy(update={"seed": seed})
        epochs = contrastive.train(of_seed, images, device)
        what = f"{dataset}, seed {seed}"
        *_, (network, _) = progress.each(epochs, what, settings.epochs, "epochs")
        seconds.append(f"{time.perf_counter() - began:.0f}")
        networks[f"contrastive, seed {seed}"] = network
    for network in networks.values():
        network.to(memory_format=torch.channels_last).to(device)
    table = fids(networks, dataset, count, device)
    floor = table.pop("floor")
    order = sorted(table, key=lambda checkpoint: table[checkpoint]["classifier"])
    columns = {name: [table[checkpoint][name] for checkpoint in order] for name in networks}
    better = len(order) // 2

    def agreement(part: slice) -> list[str]:
        first = columns["classifier"][part]
        return [f"{spearmanr(first, values[part]).statistic:.3f}" for values in columns.values()]

    print(
        f"\n## {dataset}\n\n{len(order)} checkpoints, {count:,} images of each, against the test "
        f"images. Training on {len(images):,} images, epochs: {settings.epochs}, took "
        f"{' and '.join(seconds)} s.\n"
    )
    rows = [
        ["FID by", *networks],
        ["---", *["---:"] * len(networks)],
        [f"**Spearman, all {len(order)}**", *agreement(slice(None))],
        [f"Spearman, the better {better}", *agreement(slice(better))],
        ["real training images", *(f"{value:.4g}" for value in floor.values())],
        *([name, *(f"{table[name][key]:.4g}" for key in networks)] for name in order),
    ]
    for row in rows:
        print(f"| {' | '.join(row)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=["mnist"])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device = devices.choose(arguments.device)
    print(f"{devices.describe(device)}, {time.strftime('%Y-%m-%d')}")
    for dataset in arguments.datasets:
        compare(dataset, arguments.images, arguments.seeds, device)


if __name__ == "__main__":
    main()
