"""Images along a way through the latent space that ends where it began."""

import numpy as np
import torch

from ganvas import layout, networks, seeds
from ganvas.drawing import sampling
from ganvas.drawing.export import STEPS
from ganvas.networks import Generator


def walk(
    generator: Generator, count: int, seed: int, wanted: int | None = None, steps: int = STEPS
) -> np.ndarray:
    """`count` images as of `sampling.images`, about `steps` from one latent point to the next.

    The points are drawn from `seed`, two at least; after the last of them comes the first again, so
    that the images can be shown in a circle. None of them is shown twice for that. A generator that
    is told classes makes them of class `wanted`, or else one class from each point to the next.
    """
    stops = max(2, round(count / steps))
    stream = seeds.generator(seed, "walk")
    points = networks.latent(generator, stops, generator=stream, dtype=torch.float64)
    # In whole numbers, so that no image falls on the wrong side of a point.
    way = torch.arange(count) * stops
    start, t = way // count, (way % count / count)[:, None]
    z = sampling.between(generator, points[start], points[(start + 1) % stops], t.double())
    labels = None
    if classes := generator.classes:
        in_turn = torch.tensor(classes)[start % len(classes)]
        labels = in_turn if wanted is None else torch.full((count,), wanted)
    return layout.for_files(sampling.draw(generator, z.float(), labels).numpy())
