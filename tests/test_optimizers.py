"""The optimizers give the bytes of PyTorch's own, and go on from their state."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganvas import config, parts
from ganvas.errors import GanvasError
from ganvas.training.optimizers import Optimizer, adam
from ganvas.training.optimizers.adam import Adam
from ganvas.training.optimizers.sgd import SGD

SHAPES = ((16, 8, 4, 4), (8,), (4, 5))
LAYOUTS = (torch.contiguous_format, torch.channels_last)
Make = Callable[[list[Tensor]], Optimizer]
OURS: dict[str, Make] = {
    "adam": lambda parameters: Adam(parameters, 1e-2, (0.5, 0.999)),
    "sgd": lambda parameters: SGD(parameters, 1e-2, 0.5),
    "sgd without momentum": lambda parameters: SGD(parameters, 1e-2, 0.0),
}
TORCHS: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
    "adam": lambda parameters: torch.optim.Adam(parameters, 1e-2, (0.5, 0.999), fused=True),
    "sgd": lambda parameters: torch.optim.SGD(parameters, 1e-2, 0.5, fused=True),
    "sgd without momentum": lambda parameters: torch.optim.SGD(parameters, 1e-2, fused=True),
}


def tensors(layout: torch.memory_format = torch.contiguous_format) -> list[Tensor]:
    drawn = [torch.randn(shape) for shape in SHAPES]
    return [t.to(memory_format=layout) if t.dim() == 4 else t for t in drawn]


@pytest.mark.parametrize("of_weights", LAYOUTS)
@pytest.mark.parametrize("of_gradients", LAYOUTS)
@pytest.mark.parametrize("name", OURS)
def test_steps_are_those_of_torch(
    name: str, of_weights: torch.memory_format, of_gradients: torch.memory_format
) -> None:
    torch.manual_seed(0)
    ours = tensors(of_weights)
    theirs = [p.clone().requires_grad_() for p in ours]
    optimizer, reference = OURS[name](ours), TORCHS[name](theirs)
    for _ in range(5):
        gradients = tensors(of_gradients)
        optimizer.step(gradients)
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
        reference.step()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    state = optimizer.state()
    names = {
        "adam": {"mean": "exp_avg", "square": "exp_avg_sq"},
        "sgd": {"velocity": "momentum_buffer"},
    }
    for index, parameter in enumerate(theirs):
        for mine, torchs in names.get(name, {}).items():
            assert torch.equal(state[f"{index}.{mine}"], reference.state[parameter][torchs])
    if name == "adam":
        assert state["step"] == 5


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_its_formula(momentum: float) -> None:
    torch.manual_seed(0)
    parameters = [tensor.double() for tensor in tensors()]
    expected = [parameter.clone() for parameter in parameters]
    velocities = [torch.zeros_like(parameter) for parameter in parameters]
    optimizer = SGD(parameters, 0.1, momentum)
    for _ in range(4):
        gradients = [tensor.double() for tensor in tensors()]
        optimizer.step(gradients)
        for index, gradient in enumerate(gradients):
            velocities[index] = momentum * velocities[index] + gradient
            expected[index] = expected[index] - 0.1 * velocities[index]
    torch.testing.assert_close(parameters, expected)


def test_adam_is_its_formula() -> None:
    """Kingma and Ba 2014, algorithm 1."""
    torch.manual_seed(0)
    parameters = [tensor.double() for tensor in tensors()]
    expected = [parameter.clone() for parameter in parameters]
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
    optimizer = Adam(parameters, 0.1, (0.5, 0.9))
    for step in range(1, 5):
        gradients = [tensor.double() for tensor in tensors()]
        optimizer.step(gradients)
        for index, gradient in enumerate(gradients):
            mean, square = moments[index]
            moments[index] = 0.5 * mean + 0.5 * gradient, 0.9 * square + 0.1 * gradient**2
            mean, square = (
                m / (1 - b**step) for m, b in zip(moments[index], (0.5, 0.9), strict=True)
            )
            expected[index] = expected[index] - 0.1 * mean / (square.sqrt() + 1e-8)
    torch.testing.assert_close(parameters, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", OURS)
def test_goes_on_from_its_state_to_the_byte(name: str, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    whole = tensors(layout)
    gradients = [tensors() for _ in range(5)]
    optimizer = OURS[name](whole)
    for each in gradients[:2]:
        optimizer.step(each)
    resumed = [parameter.clone() for parameter in whole]
    again = OURS[name](resumed)
    for key, value in again.state().items():
        value.copy_(optimizer.state()[key].clone())
    for each in gradients[2:]:
        optimizer.step(each)
        again.step(each)
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_the_state_is_there_from_the_beginning_and_stays_the_same_tensors(name: str) -> None:
    """As a CUDA graph needs it."""
    optimizer = OURS[name](tensors())
    places = {key: value.data_ptr() for key, value in optimizer.state().items()}
    assert places
    optimizer.step(tensors())
    assert {key: value.data_ptr() for key, value in optimizer.state().items()} == places


BY_HAND: dict[str, Make] = {
    "adam": lambda parameters: Adam(parameters, 0.25, (0.3, 0.7)),
    "sgd": lambda parameters: SGD(parameters, 0.25, 0.8),
}


@pytest.mark.parametrize("name", parts.names("optimizer"))
def test_a_recipe_gives_each_its_numbers(name: str) -> None:
    changes = {"betas": [0.3, 0.7], "momentum": 0.8 if name == "sgd" else 0.0}
    recipe = config.load().generating["gan"].model_copy(update=changes)
    torch.manual_seed(0)
    first = tensors()
    second = [parameter.clone() for parameter in first]
    made = parts.load("optimizer", name).make(iter(first), 0.25, recipe)
    expected = BY_HAND[name](second)
    for _ in range(2):
        gradients = tensors()
        made.step(gradients)
        expected.step(gradients)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_adam_has_betas_and_no_momentum() -> None:
    recipe = config.load().generating["gan"].model_copy(update={"momentum": 0.8})
    with pytest.raises(GanvasError, match=r"momentum: 0.8 is for sgd, adam has betas; set it to 0"):
        adam.make(tensors(), 0.25, recipe)
