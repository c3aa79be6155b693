"""A small contrastive network: the feature extractor of a data set that has no classes.

SimCLR (Chen et al. 2020, arXiv:2002.05709) on the classifier's convolutions: two views of an image
are to find each other among those of other images, without labels. That such features can rank
generators is from Morozov et al. 2021, "On Self-Supervised Image Representations for GAN
Evaluation"; benchmarks/unlabelled.md has what it and other tasks came to on MNIST.

SimCLR's own features spread most along what tells whole groups of images apart: which share of the
images a group has then outweighs how well each is drawn. So they are whitened, by the training
images, and the Fréchet distance of two trainings of the network is on one scale.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from ganvas import config, seeds
from ganvas.errors import GanvasError
from ganvas.evaluation.classifier import convolutions, one_cycle, side_of

HIDDEN, PROJECTION = 256, 128  # widths of the head that only training has a use for
TEMPERATURE = 0.5
WHITENED_BY = 10_000  # training images at most: the covariance of some hundred features is known


class Contrastive(nn.Module):
    """Maps images uint8 (B, C, H, W) to features float (B, features) and logits (B, 1), all 0.

    There are no classes: nothing that is made of them may be made of these logits.
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, channels: int, image_size: int, features: int) -> None:
        super().__init__()
        self.convolutions, outputs = convolutions(channels, image_size)
        self.features = nn.Sequential(nn.Linear(outputs, features), nn.ReLU())
        self.projection = nn.Sequential(
            nn.Linear(features, HIDDEN, bias=False),
            nn.BatchNorm1d(HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, PROJECTION),
        )
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("whitening", torch.eye(features))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = (self.represent(images.float() / 255) - self.mean) @ self.whitening
        return features, features.new_zeros(len(features), 1)

    def represent(self, images: Tensor) -> Tensor:
        """Features before whitening, float (B, features), of images float from 0 to 1."""
        features: Tensor = self.features(self.convolutions(images))
        return features

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Let the features of these images, uint8 (N, C, H, W), be about the same in any direction.

        Each principal component is divided by the root of its variance and the mean variance
        together, so that what hardly varies is not blown up: variances end between 0 and 1.
        """
        parts = [self.represent(part.float() / 255).cpu() for part in images.split(250)]
        found = torch.cat(parts).double()
        variances, components = torch.linalg.eigh(torch.cov(found.T, correction=0))
        variances = variances.clamp(min=0)
        scale = (variances + variances.mean().clamp(min=1e-12)).rsqrt()
        self.mean.copy_(found.mean(0))
        self.whitening.copy_(components * scale @ components.T)


def train(
    settings: config.Classifier, images: Tensor, device: torch.device
) -> Iterator[tuple[Contrastive, float]]:
    """Train on images uint8 (N, C, H, W); yields the network and the mean loss after each epoch.

    AdamW under a one-cycle schedule. Images left over by whole batches wait for another epoch.
    """
    with torch.random.fork_rng(devices=[]):  # leaves the caller's random state as it was
        torch.default_generator.manual_seed(seeds.derive(settings.seed, "contrastive"))
        network = Contrastive(images.shape[1], images.shape[-1], settings.features)
    network.to(memory_format=torch.channels_last).to(device)
    images = images.to(device)
    batches = max(1, len(images) // settings.batch_size)
    step = one_cycle(network, settings.lr, settings.epochs * batches)
    order = seeds.generator(settings.seed, "contrastive order")
    stream = seeds.generator(settings.seed, "contrastive views", device=device)
    for _ in range(settings.epochs):
        network.train()
        total = torch.zeros((), device=device)
        permutation = torch.randperm(len(images), generator=order)
        for batch in permutation.to(device).split(settings.batch_size)[:batches]:
            pixels = images[batch].float() / 255
            views = torch.cat([view(pixels, stream), view(pixels, stream)])
            features = network.represent(views.contiguous(memory_format=torch.channels_last))
            loss = nt_xent(network.projection(features))
            step(loss)
            total += loss.detach()
        network.eval()
        network.whiten(images[:WHITENED_BY])
        yield network, total.item() / batches


def nt_xent(projections: Tensor) -> Tensor:
    """The loss of SimCLR, eq. 1: each view is to name its partner among all others of the batch.

    `projections` float (2 B, D): the first B rows are of the same images as the last B, in order.
    """
    unit = functional.normalize(projections, dim=1)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    similar = (unit @ unit.T / TEMPERATURE).masked_fill(itself, -torch.inf)
    partner = torch.arange(len(unit), device=unit.device).roll(len(unit) // 2)
    return functional.cross_entropy(similar, partner)


def view(images: Tensor, stream: torch.Generator) -> Tensor:
    """The images, float from 0 to 1, (B, C, H, W), each changed in its way, drawn from `stream`.

    Turned by up to 15 degrees, moved by up to 7.5 % of the side, 0.9 to 1.4 times as large and 10 %
    wider or narrower; in each channel contrast and brightness change by up to 30 and 15 %; noise of
    a deviation up to 0.3. No flips: a mirrored letter is another one.
    """
    count, channels = images.shape[:2]

    def drawn(low: float, high: float, *shape: int) -> Tensor:
        shape = (count, *shape)
        return torch.rand(shape, generator=stream, device=images.device) * (high - low) + low

    angle, size = math.radians(15) * drawn(-1, 1), drawn(math.log(0.7), math.log(1.1)).exp()
    aspect = drawn(-0.1, 0.1).exp()
    wide, high, right, down = size * aspect, size / aspect, drawn(-0.15, 0.15), drawn(-0.15, 0.15)
    rows = (
        (wide * angle.cos(), -wide * angle.sin(), right),
        (high * angle.sin(), high * angle.cos(), down),
    )
    places = torch.stack([torch.stack(row, 1) for row in rows], 1)
    grid = functional.affine_grid(places, list(images.shape), align_corners=False)
    seen = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    contrast, brightness = drawn(0.7, 1.3, channels, 1, 1), drawn(-0.15, 0.15, channels, 1, 1)
    noise = torch.randn(seen.shape, generator=stream, device=images.device)
    return (seen * contrast + brightness + noise * drawn(0, 0.3, 1, 1, 1)).clamp(0, 1)


def load(path: Path) -> Contrastive:
    """The network in `path`, in eval mode. Raises `GanvasError` where there are no such weights."""
    try:
        weights = load_file(path)
        channels = weights["convolutions.0.weight"].shape[1]
        features, _ = weights["features.0.weight"].shape
        network = Contrastive(channels, side_of(weights), features)
        network.load_state_dict(weights)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError):
        raise GanvasError(
            f"{path}: not the weights of a contrastive network; run dvc repro classifier"
        ) from None
    return network.eval().requires_grad_(False)
