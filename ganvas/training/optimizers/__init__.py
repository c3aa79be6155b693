"""How parameters follow their gradients, each a file with a function `make`; a recipe names it.

`make(parameters, lr, recipe)` gives one of them, an `Optimizer`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor


class Optimizer(Protocol):
    parameters: list[Tensor]

    def step(self, gradients: Sequence[Tensor], share: Tensor | None = None) -> None:
        """One update; `gradients` in the order of the parameters, `share` is that of the rate."""

    def state(self) -> Mapping[str, Tensor]:
        """What the next update depends on: the tensors themselves, to read or to copy to."""


def fitting(parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Tensor]:
    """Each gradient in its parameter's memory layout: the fused kernels pair numbers by address."""
    return [
        gradient
        if gradient.stride() == parameter.stride()
        else torch.empty_like(parameter).copy_(gradient)
        for parameter, gradient in zip(parameters, gradients, strict=True)
    ]
