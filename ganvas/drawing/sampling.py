"""Images drawn from a trained generator."""

import numpy as np
import torch
from torch import Tensor, nn

from ganvas import seeds
from ganvas.networks import to_uint8

BATCH = 500  # fixed: matrix products of another shape may round differently


@torch.no_grad()
def draw(generator: nn.Module, z: Tensor) -> Tensor:
    """Images uint8 (N, 1, H, W) on the CPU for latent points z, float (N, latent_dim)."""
    device = next(generator.parameters()).device
    return torch.cat([to_uint8(generator(part.to(device))).cpu() for part in z.split(BATCH)])


def images(generator: nn.Module, count: int, latent_dim: int, seed: int) -> np.ndarray:
    """`count` images, uint8 (count, H, W); the first n are the same for every count >= n."""
    stream = seeds.generator(seed, "samples")
    # Whole batches are drawn, so that each image comes from a product of the same shape.
    batches = -(-count // BATCH)
    z = torch.cat([torch.randn(BATCH, latent_dim, generator=stream) for _ in range(batches)])
    return draw(generator, z).squeeze(1).numpy()[:count]


def interpolation(
    generator: nn.Module, steps: int, latent_dim: int, seed: int, rows: int = 5
) -> np.ndarray:
    """`rows` walks of `steps` images between two latent points, uint8 (rows * steps, H, W)."""
    ends = torch.randn(
        2,
        rows,
        1,
        latent_dim,
        generator=seeds.generator(seed, "interpolation"),
        dtype=torch.float64,
    )
    t = torch.linspace(0, 1, steps, dtype=torch.float64)[None, :, None]
    z = between(ends[0], ends[1], t)
    return draw(generator, z.float().reshape(-1, latent_dim)).squeeze(1).numpy()


def between(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Latent points at `t`, from 0 to 1, of the ways from `start` to `end`, (..., latent_dim).

    Spherical interpolation (White 2016, arXiv:1609.04468): the points between stay at the norm
    that the generator has seen.
    """
    unit = [point / point.norm(dim=-1, keepdim=True) for point in (start, end)]
    angle = (unit[0] * unit[1]).sum(-1, keepdim=True).arccos()
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
