"""A square of half the side grey in each image, its middle anywhere in it."""

import torch
from torch import Tensor

SHARE = 1 / 2


def augment(images: Tensor, stream: torch.Generator) -> Tensor:
    rows, columns = (_cut(len(images), side, stream) for side in images.shape[-2:])
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :])


def _cut(count: int, side: int, stream: torch.Generator) -> Tensor:
    """Which pixels along an axis are cut, bool (count, side)."""
    size, device = int(side * SHARE + 0.5), stream.device
    # The corner, from half a square outside on.
    middle = torch.randint(0, side + 1 - size % 2, (count, 1), generator=stream, device=device)
    corner = middle - size // 2
    place = torch.arange(side, device=device)
    return (corner <= place) & (place < corner + size)
