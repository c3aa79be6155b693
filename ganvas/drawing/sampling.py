"""Images drawn from a trained generator."""

import numpy as np
import torch
from torch import Tensor

from ganvas import layout, networks, seeds
from ganvas.networks import Generator
from ganvas.splitting import split

BATCH = 500  # fixed: matrix products of another shape may round differently
WALKS = 5


def draw(
    generator: Generator,
    z: Tensor,
    labels: Tensor | None = None,
    processes: int = 1,
    batch: int = BATCH,
) -> Tensor:
    """Images uint8 (N, C, H, W) on the CPU for latent points z, float (N, latent_dim).

    A generator that is told classes needs them in `labels`, int64 (N,). Many images are shared by
    so many processes, `batch` at a time.
    """
    given = [z] if labels is None else [z, labels]
    batches = [*zip(*(each.split(batch) for each in given), strict=True)]
    return torch.cat(split(_draw, generator, batches, processes))


@torch.no_grad()
def _draw(generator: Generator, *given: Tensor) -> Tensor:
    """One batch."""
    device = next(generator.parameters()).device
    return networks.to_uint8(generator(*(each.to(device) for each in given))).cpu()


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


def images(
    generator: Generator,
    count: int,
    seed: int,
    labels: Tensor | None = None,
    processes: int = 1,
    batch: int = BATCH,
) -> np.ndarray:
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
    return layout.for_files(draw(generator, z, labels, processes, batch)[:count].numpy())


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
