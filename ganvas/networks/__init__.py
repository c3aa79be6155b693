"""The generator/discriminator pairs.

A generator maps z, float (B, latent_dim), to images in [-1, 1], float (B, 1, H, W).
A discriminator maps such images to logits, float (B,); sigmoid of a logit is D(x).
"""

from collections.abc import Callable

import torch
from torch import nn

from ganvas.networks import dcgan, gan

# recipe's `network` -> (latent_dim, image_size) -> (generator, discriminator)
NETWORKS: dict[str, Callable[[int, int], tuple[nn.Module, nn.Module]]] = {
    "gan": gan.build,
    "dcgan": dcgan.build,
}


def build(network: str, latent_dim: int, image_size: int, seed: int) -> tuple[nn.Module, nn.Module]:
    """The pair with weights drawn from `seed` alone, on the CPU."""
    with torch.random.fork_rng(devices=[]):  # leaves the caller's random state as it was
        torch.default_generator.manual_seed(seed)
        return NETWORKS[network](latent_dim, image_size)
