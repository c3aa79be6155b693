"""The generator/discriminator pairs, a module each with a function `build`.

`build(architecture, inputs)` returns the layers of both networks, generator first: widths, norm and
dropout are the recipe's, and `inputs` says how many values, or planes, each network is given.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from ganvas import parts
from ganvas.errors import GanvasError

Layers = list[nn.Module]


class Architecture(NamedTuple):
    """What a pair is built from, under the names of params.yaml."""

    network: str
    generator_widths: Sequence[int]
    generator_norm: str  # batch, spectral or none
    generator_output: str  # tanh or sigmoid
    discriminator_widths: Sequence[int]
    discriminator_norm: str
    discriminator_dropout: float
    classes: str  # none, concatenated or auxiliary
    latent: str  # normal, or uniform from -1 to 1
    latent_dim: int
    channels: int  # of an image: 1, grey, or 3, red, green and blue
    image_size: int
    # How many training images each class has, where the networks are told classes; else empty.
    class_counts: Sequence[int]

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Self:
        """From values by the names above, among others. Raises `KeyError` where one is missing."""
        return cls(**{key: facts[key] for key in cls._fields})

    def words(self) -> str:
        """What its weights must fit."""
        kind = "grey" if self.channels == 1 else "colour"
        return (
            f"{self.network} with latent_dim {self.latent_dim} and {kind} images of "
            f"{self.image_size} pixels"
        )


class Inputs(NamedTuple):
    """How many values, or planes of an image, the first layer of each network is given."""

    generator: int
    discriminator: int
    logits: int  # that the discriminator answers with


class Generator(nn.Sequential):
    """Maps z, float (B, latent_dim), to images in [-1, 1], float (B, C, H, W).

    Where it is told classes, `labels` are int64 (B,); one-hot, they stand beside z (Mirza and
    Osindero 2014, arXiv:1411.1784, section 3.2).
    """

    _hot: Tensor

    def __init__(self, architecture: Architecture, layers: Layers) -> None:
        super().__init__(*layers)
        self.latent, self.latent_dim = architecture.latent, architecture.latent_dim
        self.class_counts = tuple(architecture.class_counts)
        self._unit = architecture.generator_output == "sigmoid"
        self.register_buffer("_hot", _one_hot(architecture), persistent=False)

    @property
    def classes(self) -> list[int]:
        """Those that it can be asked for: of which there were training images."""
        return [label for label, count in enumerate(self.class_counts) if count]

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is not None:
            z = torch.cat([z, self._hot[labels]], 1)
        images: Tensor = super().forward(z)  # type: ignore[no-untyped-call]
        return images * 2 - 1 if self._unit else images


class Discriminator(nn.Sequential):
    """Maps images in [-1, 1], float (B, C, H, W), to logits, float (B, 1 + K).

    The sigmoid of the first is D(x); the other K, where classes are auxiliary, are of the image's
    class. Where they are concatenated, `labels`, int64 (B,), stand one-hot beside the pixels, or as
    planes beside the image's channels. Beside a generator that ends in a sigmoid the layers see
    images in [0, 1].
    """

    _hot: Tensor

    def __init__(self, architecture: Architecture, layers: Layers) -> None:
        super().__init__(*layers)
        self._unit = architecture.generator_output == "sigmoid"
        self._flat = isinstance(layers[0], nn.Flatten)
        self.register_buffer("_hot", _one_hot(architecture), persistent=False)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        if self._unit:
            images = (images + 1) / 2
        if labels is not None:
            hot: Tensor = self._hot[labels]
            if self._flat:
                images = torch.cat([images.flatten(1), hot], 1)
            else:
                planes = hot[:, :, None, None].expand(-1, -1, *images.shape[2:])
                images = torch.cat([images, planes], 1)
        logits: Tensor = super().forward(images)  # type: ignore[no-untyped-call]
        return logits.flatten(1)


def build(architecture: Architecture, seed: int) -> tuple[Generator, Discriminator]:
    """The pair with weights drawn from `seed` alone, on the CPU.

    Raises `GanvasError` where the network cannot be built so.
    """
    told = len(architecture.class_counts)
    inputs = Inputs(
        architecture.latent_dim + told,
        architecture.channels + (told if architecture.classes == "concatenated" else 0),
        1 + (told if architecture.classes == "auxiliary" else 0),
    )
    with torch.random.fork_rng(devices=[]):  # leaves the caller's random state as it was
        torch.default_generator.manual_seed(seed)
        layers = parts.load("network", architecture.network).build(architecture, inputs)
    return Generator(architecture, layers[0]), Discriminator(architecture, layers[1])


def generator(architecture: Architecture) -> Generator:
    """One that waits for its weights. Raises `GanvasError` where it cannot be built so."""
    return build(architecture, seed=0)[0]


def latent(
    network: Generator,
    *shape: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Points of its latent space, (*shape, latent_dim), on the device of `generator`."""
    draw = torch.randn if network.latent == "normal" else torch.rand
    shape = (*shape, network.latent_dim)
    z = draw(*shape, generator=generator, device=generator.device, dtype=dtype)
    return z if network.latent == "normal" else z.mul_(2).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """A generator's images, float in [-1, 1], as uint8 from 0 to 255."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def from_uint8(images: Tensor) -> Tensor:
    """Images uint8 as float32 in [-1, 1]: what a discriminator sees."""
    return images.float().div_(127.5).sub_(1)


def widths(architecture: Architecture, side: str, least: int, most: int | None = None) -> list[int]:
    """The recipe's widths of that side. Raises `GanvasError` where they are too few or too many."""
    found = list(getattr(architecture, f"{side}_widths"))
    if len(found) < least or (most is not None and len(found) > most):
        allowed = f"{least}" if most == least else f"{least} at least"
        if most is not None and most > least:
            allowed = f"{least} to {most} at {architecture.image_size} pixels"
        raise GanvasError(
            f"{side}_widths: {found} is not allowed; network {architecture.network} takes {allowed}"
        )
    return found


def _one_hot(architecture: Architecture) -> Tensor:
    return torch.eye(len(architecture.class_counts))
