"""A small convolutional classifier: the feature extractor made for one data set.

Its features are in the domain of small grey images, where Inception's are not; scores from it
compare models on one data set, never across data sets.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganvas import config, seeds
from ganvas.data.datasets import Split
from ganvas.errors import GanvasError

SIDE = 8  # of what is left of larger images, in pixels


def convolutions(channels: int, image_size: int) -> tuple[nn.Sequential, int]:
    """Layers from images float (B, channels, H, W) to values (B, N), and N: what is learnt from.

    The side is halved, and rounded down, three times, and until it is 8 at most.
    """
    blocks: list[nn.Module] = []
    side, inputs, widths = image_size, channels, [32, 64, 128]
    while widths or side > SIDE:
        width = widths.pop(0) if widths else inputs
        blocks += [
            nn.Conv2d(inputs, width, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        side, inputs = side // 2, width
    return nn.Sequential(*blocks, nn.Flatten()), inputs * side * side


def side_of(weights: Mapping[str, Tensor]) -> int:
    """Of the images that a network with these `convolutions` takes, rounded down."""
    halvings = sum(values.ndim == 4 for values in weights.values())
    outputs: int = weights["features.0.weight"].shape[1]
    return (1 << halvings) * math.isqrt(outputs // 128)


class Classifier(nn.Module):
    """Maps images uint8 (B, C, H, W) to features float (B, features), logits float (B, classes)."""

    def __init__(self, channels: int, image_size: int, features: int, classes: int) -> None:
        super().__init__()
        self.told_apart = classes  # how many
        self.convolutions, outputs = convolutions(channels, image_size)
        self.features = nn.Sequential(nn.Linear(outputs, features), nn.ReLU())
        self.classes = nn.Sequential(nn.Dropout(0.3), nn.Linear(features, classes))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(self.convolutions(images.float() / 255))
        return features, self.classes(features)


def train(
    settings: config.Classifier, data: Split, classes: int, device: torch.device
) -> Iterator[tuple[Classifier, float]]:
    """Train on the split; yields the network and the epoch's mean loss after each epoch.

    Labels are from 0 to `classes` - 1. AdamW under a one-cycle schedule, each batch moved by up to
    two pixels.
    """
    # Dropout draws from the default generator: seeded here, and given back as it was.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seeds.derive(settings.seed, "classifier"))
        channels, _, side = data.images.shape[1:]
        network = Classifier(channels, side, settings.features, classes)
        network.to(memory_format=torch.channels_last).to(device)
        assert data.labels is not None
        images, labels = data.images.to(device), data.labels.to(device)
        batches = math.ceil(len(images) / settings.batch_size)
        step = one_cycle(network, settings.lr, settings.epochs * batches)
        order = torch.Generator().manual_seed(seeds.derive(settings.seed, "classifier order"))
        for _ in range(settings.epochs):
            network.train()
            total = torch.zeros((), device=device)
            permutation = torch.randperm(len(images), generator=order).to(device)
            for batch in permutation.split(settings.batch_size):
                down, right = torch.randint(-2, 3, (2,), generator=order).tolist()
                moved = _shift(images[batch], down, right)
                loss = cross_entropy(network(moved)[1], labels[batch])
                step(loss)
                total += loss.detach()
            yield network.eval(), total.item() / batches


def one_cycle(network: nn.Module, lr: float, steps: int) -> Callable[[Tensor], None]:
    """What takes a step down a loss: AdamW under a one-cycle schedule whose peak is `lr`."""
    fused = next(network.parameters()).device.type != "mps"
    optimizer = torch.optim.AdamW(network.parameters(), lr, weight_decay=0.01, fused=fused)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)

    def step(loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()

    return step


def _shift(images: Tensor, down: int, right: int) -> Tensor:
    padded = nn.functional.pad(images, (2, 2, 2, 2))
    height, width = images.shape[-2:]
    return padded[..., 2 + down : 2 + down + height, 2 + right : 2 + right + width]


def load(path: Path) -> Classifier:
    """The network in `path`, in eval mode. Raises `GanvasError` where there are no such weights."""
    try:
        weights = load_file(path)
        channels = weights["convolutions.0.weight"].shape[1]
        features, _ = weights["features.0.weight"].shape
        (classes,) = weights["classes.1.bias"].shape
        network = Classifier(channels, side_of(weights), features, classes)
        network.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
        raise GanvasError(
            f"{path}: not the weights of a classifier; run dvc repro classifier"
        ) from None
    return network.eval().requires_grad_(False)
