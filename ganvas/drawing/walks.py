"""Images along a way through the latent space that ends where it began."""

import numpy as np
import torch
from torch import nn

from ganvas import seeds
from ganvas.drawing import sampling
from ganvas.drawing.export import STEPS


def walk(
    generator: nn.Module, count: int, latent_dim: int, seed: int, steps: int = STEPS
) -> np.ndarray:
    """`count` images, uint8 (count, H, W), about `steps` of them from one latent point to the next.

    The points are drawn from `seed`, two at least; after the last of them comes the first again, so
    that the images can be shown in a circle. None of them is shown twice for that.
    """
    stops = max(2, round(count / steps))
    stream = seeds.generator(seed, "walk")
    points = torch.randn(stops, latent_dim, generator=stream, dtype=torch.float64)
    # In whole numbers, so that no image falls on the wrong side of a point.
    way = torch.arange(count) * stops
    start, t = way // count, (way % count / count)[:, None]
    z = sampling.between(points[start], points[(start + 1) % stops], t.double())
    return sampling.draw(generator, z.float()).squeeze(1).numpy()
