"""Each image moved by up to an eighth of its side along each axis, grey coming in."""

import torch
from torch import Tensor

SHARE = 1 / 8


def augment(images: Tensor, stream: torch.Generator) -> Tensor:
    sides = images.shape[-2:]
    down, right = (_shifts(len(images), side, stream).to(images.dtype) for side in sides)
    # Products with zeros and ones are exact.
    return down[:, None] @ images @ right[:, None].mT


def _shifts(count: int, side: int, stream: torch.Generator) -> Tensor:
    """Matrices, bool (count, side, side), each of which moves a column of pixels."""
    most = int(side * SHARE + 0.5)
    device = stream.device
    steps = torch.randint(-most, most + 1, (count, 1, 1), generator=stream, device=device)
    place = torch.arange(side, device=device)
    return place[:, None] == place + steps
