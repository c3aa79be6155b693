"""BatchNorm over the whole batch where processes share it (Ioffe and Szegedy 2015, algorithm 1).

What torch.nn.SyncBatchNorm is on GPUs, on every device, and with a gradient of a gradient.
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ganvas.errors import GanvasError
from ganvas.training.sharing import together


class SharedBatchNorm(_BatchNorm):
    """Means and variances of the batches of all processes together.

    Of its own batch alone where running statistics are not kept: there one process judges images.
    """

    processes = 1

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and self.track_running_stats):
            return super().forward(input)
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        values = input.float()
        across = [0, *range(2, input.dim())]
        shape = (1, -1, *(1 for _ in across[1:]))
        mean = self._over_all(values.mean(across))
        values = values - mean.view(shape)
        variance = self._over_all(values.square().mean(across))
        with torch.no_grad():
            count = values.numel() // values.shape[1] * self.processes
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        values = values * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            values = values * self.weight.view(shape) + self.bias.view(shape)
        return values.to(input.dtype)

    def _over_all(self, values: Tensor) -> Tensor:
        mean: Tensor = _Mean.apply(values, self.processes)
        return mean

    def _check_input_dim(self, input: Tensor) -> None:
        pass


def convert(network: nn.Module, processes: int) -> None:
    """Put one in the place of each BatchNorm in `network`, with its weights and statistics."""
    for parent in [*network.modules()]:
        for name, layer in [*parent.named_children()]:
            if isinstance(layer, _BatchNorm):
                shared = SharedBatchNorm(
                    layer.num_features,
                    layer.eps,
                    layer.momentum,
                    layer.affine,
                    layer.track_running_stats,
                )
                shared.load_state_dict(layer.state_dict())
                shared.processes = processes
                setattr(parent, name, shared)


def check_single(network: nn.Module) -> None:
    """Raise `GanvasError` where it cannot learn from one example: it has no variance."""
    if any(isinstance(layer, nn.BatchNorm1d) for layer in network.modules()):
        raise GanvasError(
            "batch_size: one example for each process, and BatchNorm needs two; set a larger one, "
            "or train.sync_batch_norm: true"
        )


class _Mean(torch.autograd.Function):
    """The mean over the processes. What they minimise is the mean of their losses, and so is the
    gradient one of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, processes: int) -> Tensor:
        ctx.processes = processes
        total = values.clone(memory_format=torch.contiguous_format)
        with together():
            distributed.all_reduce(total)
        return total / processes

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return _Mean.apply(gradients[0], ctx.processes), None
