"""A small convolutional classifier: the feature extractor made for one data set.

Its features are in the domain of small grey images, where Inception's are not; scores from it
compare models on one data set, never across data sets.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganvas import config, seeds
from ganvas.data.datasets import Split
from ganvas.errors import GanvasError

CLASSES = 10


class Classifier(nn.Module):
    """Maps images uint8 (B, 1, H, W) to features float (B, features) and logits float (B, 10)."""

    def __init__(self, image_size: int, features: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        side, inputs = image_size, 1
        for channels in (32, 64, 128):
            blocks += [
                nn.Conv2d(inputs, channels, 3, padding=1, bias=False),
                nn.MaxPool2d(2),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
            side, inputs = side // 2, channels
        self.convolutions = nn.Sequential(*blocks, nn.Flatten())
        self.features = nn.Sequential(nn.Linear(inputs * side * side, features), nn.ReLU())
        self.classes = nn.Sequential(nn.Dropout(0.3), nn.Linear(features, CLASSES))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(self.convolutions(images.float() / 255))
        return features, self.classes(features)


def train(
    settings: config.Classifier, data: Split, device: torch.device
) -> Iterator[tuple[Classifier, float]]:
    """Train on the split; yields the network and the epoch's mean loss after each epoch.

    AdamW under a one-cycle schedule, each batch moved by up to two pixels.
    """
    # Dropout draws from the default generator: seeded here, and given back as it was.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seeds.derive(settings.seed, "classifier"))
        network = Classifier(data.images.shape[-1], settings.features)
        network.to(memory_format=torch.channels_last).to(device)
        images, labels = data.images.to(device), data.labels.to(device)
        batches = math.ceil(len(images) / settings.batch_size)
        optimizer = torch.optim.AdamW(
            network.parameters(), settings.lr, weight_decay=0.01, fused=device.type != "mps"
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.lr, total_steps=settings.epochs * batches
        )
        order = torch.Generator().manual_seed(seeds.derive(settings.seed, "classifier order"))
        for _ in range(settings.epochs):
            network.train()
            total = torch.zeros((), device=device)
            permutation = torch.randperm(len(images), generator=order).to(device)
            for batch in permutation.split(settings.batch_size):
                down, right = torch.randint(-2, 3, (2,), generator=order).tolist()
                moved = _shift(images[batch], down, right)
                loss = cross_entropy(network(moved)[1], labels[batch])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.detach()
            yield network.eval(), total.item() / batches


def _shift(images: Tensor, down: int, right: int) -> Tensor:
    padded = nn.functional.pad(images, (2, 2, 2, 2))
    height, width = images.shape[-2:]
    return padded[..., 2 + down : 2 + down + height, 2 + right : 2 + right + width]


def load(path: Path, image_size: int, features: int) -> Classifier:
    """The network in `path`, in eval mode. Raises `GanvasError` when its weights do not fit."""
    network = Classifier(image_size, features)
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError):
        raise GanvasError(
            f"{path}: not the weights of a classifier of {image_size} pixels and {features} "
            "features; run dvc repro classifier"
        ) from None
    return network.eval().requires_grad_(False)
