"""What the methods share that turn one image into another."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ganvas import networks, parts, seeds
from ganvas.errors import GanvasError
from ganvas.networks import translation
from ganvas.networks.translation import Architecture
from ganvas.training.optimizers import Optimizer

if TYPE_CHECKING:
    from ganvas.config import Translating

DRAWN = 8  # examples of a progress picture, a row each


# The keys of a recipe that not every method follows, and what says that it need not.
NEUTRAL: dict[str, Any] = {
    **{"penalties": {}, "penalty_every": 1, "discriminator_steps": 1, "pool": 0},
    **{"identity_weight": 0.0, "domain_weight": 0.0},
}


def objective(recipe: "Translating", *follows: str) -> Any:
    """The module of a recipe's objective, once it is seen that its method can follow the recipe.

    `follows` are those of `NEUTRAL` that it does. Raises `GanvasError` where another one is set, or
    the objective needs pairs of real and generated images.
    """
    for key, neutral in NEUTRAL.items():
        if key not in follows and (value := getattr(recipe, key)) != neutral:
            raise GanvasError(f"{key}: {value}, which {recipe.method} does not follow: {neutral}")
    found = parts.load("objective", recipe.objective)
    if found.PAIRED:
        raise GanvasError(
            f"objective: {recipe.objective} pairs real images with generated ones, which "
            f"{recipe.method} does not; take another"
        )
    return found


def architecture(recipe: "Translating", facts: Mapping[str, Any]) -> Architecture:
    """Of a recipe's generators; `facts` are what the data say.

    That is `in_channels`, `out_channels` and `image_size`, and of domains what is not told none.
    """
    one_way = {"domains": 0, "per_domain": False}
    return Architecture.read(recipe.model_dump() | one_way | dict(facts))


def build(architecture: Architecture, seed: int, name: str) -> Any:
    """A generator, with weights of its own for each name."""
    return translation.build(architecture, seeds.derive(seed, "weights", name))


def discriminator(
    recipe: "Translating", architecture: Architecture, seed: int, name: str, channels: int
) -> nn.Module:
    """A recipe's discriminator of images, or of pairs side by side, of that many channels."""
    return translation.discriminator(
        recipe.discriminator,
        channels,
        recipe.discriminator_widths,
        recipe.discriminator_norm,
        architecture.image_size,
        architecture.domains,
        seeds.derive(seed, "weights", name),
    )


def optimizers(recipe: "Translating", pair: Mapping[str, nn.Module]) -> dict[str, Optimizer]:
    """Of `generator` and `discriminator`, one for each."""
    make = parts.load("optimizer", recipe.optimizer).make
    return {
        name: make(network.parameters(), getattr(recipe, f"lr_{name}"), recipe)
        for name, network in pair.items()
    }


def distance(images: Tensor, others: Tensor) -> Tensor:
    """The mean absolute difference (L1), images float in [-1, 1]."""
    return (images - others).abs().mean()


def picture(*images: Tensor) -> Tensor:
    """A row for each example, uint8 (N, K, C, H, W), as a method draws them.

    Of K times N images, (N, C, H, W), uint8 or float in [-1, 1].
    """
    drawn = [of if of.dtype == torch.uint8 else networks.to_uint8(of) for of in images]
    colours = max(each.shape[1] for each in drawn)
    return torch.stack([each.expand(-1, colours, -1, -1).cpu() for each in drawn], 1)
