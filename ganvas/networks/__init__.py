"""The generator/discriminator pairs, a module each with a function `build`.

A generator maps z, float (B, latent_dim), to images in [-1, 1], float (B, 1, H, W).
A discriminator maps such images to logits, float (B,); sigmoid of a logit is D(x).
"""

import torch
from torch import Tensor, nn

from ganvas import parts


def build(network: str, latent_dim: int, image_size: int, seed: int) -> tuple[nn.Module, nn.Module]:
    """The pair with weights drawn from `seed` alone, on the CPU.

    Raises `GanvasError` where the network does not make images of this size.
    """
    with torch.random.fork_rng(devices=[]):  # leaves the caller's random state as it was
        torch.default_generator.manual_seed(seed)
        pair: tuple[nn.Module, nn.Module] = parts.load("network", network).build(
            latent_dim, image_size
        )
        return pair


def to_uint8(images: Tensor) -> Tensor:
    """A generator's images, float in [-1, 1], as uint8 from 0 to 255."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def from_uint8(images: Tensor) -> Tensor:
    """Images uint8 as float32 in [-1, 1]: what a discriminator sees."""
    return images.float().div_(127.5).sub_(1)
