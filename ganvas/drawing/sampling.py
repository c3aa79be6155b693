"""Images drawn from a trained generator."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ganvas import layout, networks, seeds
from ganvas.networks import Generator

BATCH = 500  # fixed: matrix products of another shape may round differently
WALKS = 5


@torch.no_grad()
def draw(generator: Generator, z: Tensor, labels: Tensor | None = None) -> Tensor:
    """Images uint8 (N, C, H, W) on the CPU for latent points z, float (N, latent_dim).

    A generator that is told classes needs them in `labels`, int64 (N,).
    """
    device = next(generator.parameters()).device
    parts = z.to(device).split(BATCH)
    told: Sequence[Tensor | None] = [None] * len(parts)
    if labels is not None:
        told = labels.to(device).split(BATCH)
    drawn = (generator(part, of_part) for part, of_part in zip(parts, told, strict=True))
    return torch.cat([networks.to_uint8(images).cpu() for images in drawn])


def asked(generator: Generator, count: int, seed: int) -> Tensor | None:
    """The classes that `images` asks for, int64 (count,); None of a generator that is told none.

    Drawn, so that each is as frequent as among the training images; the first n are the same for
    every count >= n.
    """
    if not generator.class_counts:
        return None
    stream = seeds.generator(seed, "classes")
    weights = torch.tensor(generator.class_counts, dtype=torch.float64)
    batches = -(-count // BATCH)
    drawn = [torch.multinomial(weights, BATCH, True, generator=stream) for _ in range(batches)]
    return torch.cat(drawn)[:count]


def images(generator: Generator, count: int, seed: int, labels: Tensor | None = None) -> np.ndarray:
    """`count` images, uint8 (count, H, W), or (count, H, W, 3) in colour.

    The first n are the same for every count >= n. They are of the classes `labels`, int64
    (count,), if given, else of those that `asked` says.
    """
    stream = seeds.generator(seed, "samples")
    # Whole batches are drawn, so that each image comes from a product of the same shape.
    batches = -(-count // BATCH)
    z = torch.cat([networks.latent(generator, BATCH, generator=stream) for _ in range(batches)])
    if labels is None:
        labels = asked(generator, len(z), seed)
    else:
        labels = torch.cat([labels, labels[-1:].expand(len(z) - count)])
    return layout.for_files(draw(generator, z, labels)[:count].numpy())


def of_each_class(generator: Generator, columns: int, seed: int) -> np.ndarray:
    """A row a class, `classes` * `columns` as `images`: in a column all are of one latent point."""
    classes = torch.tensor(generator.classes)
    stream = seeds.generator(seed, "samples")
    z = networks.latent(generator, max(columns, BATCH), generator=stream)[:columns]
    labels = classes.repeat_interleave(columns)
    return layout.for_files(draw(generator, z.repeat(len(classes), 1), labels).numpy())


def interpolation(generator: Generator, steps: int, seed: int, rows: int = WALKS) -> np.ndarray:
    """`rows` walks of `steps` images between two latent points, `rows` * `steps` as `images`.

    Where the generator is told classes, each walk is of one.
    """
    stream = seeds.generator(seed, "interpolation")
    ends = networks.latent(generator, 2, rows, 1, generator=stream, dtype=torch.float64)
    t = torch.linspace(0, 1, steps, dtype=torch.float64)[None, :, None]
    z = between(generator, ends[0], ends[1], t)
    labels = None
    if classes := generator.classes:
        labels = torch.tensor(classes)[torch.arange(rows) % len(classes)].repeat_interleave(steps)
    z = z.float().reshape(-1, generator.latent_dim)
    return layout.for_files(draw(generator, z, labels).numpy())


def between(generator: Generator, start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Latent points at `t`, from 0 to 1, of the ways from `start` to `end`, (..., latent_dim).

    Where they are normal, spherical interpolation (White 2016, arXiv:1609.04468): the points
    between stay at the norm that the generator has seen. Where they are uniform, straight lines.
    """
    if generator.latent == "uniform":
        return start + t * (end - start)
    unit = [point / point.norm(dim=-1, keepdim=True) for point in (start, end)]
    angle = (unit[0] * unit[1]).sum(-1, keepdim=True).arccos()
    return (torch.sin((1 - t) * angle) * start + torch.sin(t * angle) * end) / torch.sin(angle)
