"""The optimizer gives the bytes of PyTorch's own."""

import pytest
import torch
from torch import Tensor

from ganvas.training.adam import Adam

SHAPES = ((16, 8, 4, 4), (8,), (4, 5))


def tensors(layout: torch.memory_format) -> list[Tensor]:
    drawn = [torch.randn(shape) for shape in SHAPES]
    return [t.to(memory_format=layout) if t.dim() == 4 else t for t in drawn]


@pytest.mark.parametrize("of_weights", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("of_gradients", [torch.contiguous_format, torch.channels_last])
def test_steps_are_those_of_torch(
    of_weights: torch.memory_format, of_gradients: torch.memory_format
) -> None:
    torch.manual_seed(0)
    ours = tensors(of_weights)
    theirs = [p.clone().requires_grad_() for p in ours]
    adam = Adam(ours, 1e-2, (0.5, 0.999))
    reference = torch.optim.Adam(theirs, 1e-2, (0.5, 0.999), fused=True)
    for _ in range(5):
        gradients = tensors(of_gradients)
        adam.step(gradients)
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
        reference.step()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    state = adam.state()
    assert state["step"] == 5
    for index, parameter in enumerate(theirs):
        assert torch.equal(state[f"{index}.mean"], reference.state[parameter]["exp_avg"])
        assert torch.equal(state[f"{index}.square"], reference.state[parameter]["exp_avg_sq"])
