"""Stochastic gradient descent with momentum, what Goodfellow 2014 trained with."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganvas.training.optimizers import fitting

if TYPE_CHECKING:
    from ganvas.config import Training


class SGD:
    """The kernel, and so every byte, of torch.optim.SGD(fused=True), with a state that is there
    from the beginning, as a CUDA graph needs it.

    A velocity is momentum times itself plus the gradient; a parameter moves by -lr times it.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float) -> None:
        self.parameters = list(parameters)
        self._lr, self._momentum = lr, momentum
        # The kernel refuses them where there is no momentum.
        moving = self.parameters if momentum else []
        self._velocities = [torch.zeros_like(p).detach() for p in moving]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], share: Tensor | None = None) -> None:
        """One update; `gradients` in the order of the parameters, `share` is that of the rate."""
        torch._fused_sgd_(
            self.parameters,
            fitting(self.parameters, gradients),
            self._velocities,
            weight_decay=0.0,
            momentum=self._momentum,
            lr=self._lr if share is None else self._lr * share,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )

    def state(self) -> dict[str, Tensor]:
        return {f"{index}.velocity": v for index, v in enumerate(self._velocities)}


def make(parameters: Iterable[Tensor], lr: float, recipe: "Training") -> SGD:
    return SGD(parameters, lr, recipe.momentum)
