"""Adam without its bookkeeping.

The kernel, and so every byte, is that of torch.optim.Adam(fused=True); what that class does around
it in Python costs 8 % of an iteration of gan on a processor, and its state starts empty, which a
CUDA graph cannot record.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganvas.errors import GanvasError
from ganvas.training.optimizers import fitting

if TYPE_CHECKING:
    from ganvas.config import Training

EPSILON = 1e-8


class Adam:
    """Adam (Kingma and Ba 2014, arXiv:1412.6980, algorithm 1) on parameters of one device."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, betas: tuple[float, float]) -> None:
        self.parameters = list(parameters)
        self._lr, self._betas = lr, betas
        self._means = [torch.zeros_like(p).detach() for p in self.parameters]
        self._squares = [torch.zeros_like(p).detach() for p in self.parameters]
        self._step = torch.zeros((), device=self.parameters[0].device)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], share: Tensor | None = None) -> None:
        """One update; `gradients` in the order of the parameters, `share` is that of the rate."""
        self._step += 1
        torch._fused_adam_(
            self.parameters,
            fitting(self.parameters, gradients),
            self._means,
            self._squares,
            [],
            [self._step] * len(self.parameters),
            lr=self._lr if share is None else self._lr * share,
            beta1=self._betas[0],
            beta2=self._betas[1],
            weight_decay=0.0,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """The step and each parameter's moments: the tensors themselves, to read or to copy to."""
        named = {"step": self._step}
        for index, (mean, square) in enumerate(zip(self._means, self._squares, strict=True)):
            named |= {f"{index}.mean": mean, f"{index}.square": square}
        return named


def make(parameters: Iterable[Tensor], lr: float, recipe: "Training") -> Adam:
    if recipe.momentum:
        raise GanvasError(f"momentum: {recipe.momentum} is for sgd, adam has betas; set it to 0.0")
    beta1, beta2 = recipe.betas
    return Adam(parameters, lr, (beta1, beta2))
