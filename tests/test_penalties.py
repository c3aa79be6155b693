"""Each penalty is its paper's formula, for discriminators whose gradient is known by hand."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from ganvas import parts

PENALTIES: dict[str, ModuleType] = {
    name: parts.load("penalties", name) for name in parts.names("penalties")
}
PIXELS = 12
# Of the norm of each image's gradient; γ = 1 and λ = 1.
FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    "gradient": lambda norms: ((norms - 1) ** 2).mean(),
    "r1": lambda norms: (norms**2).mean() / 2,
    "r2": lambda norms: (norms**2).mean() / 2,
}


def normal(seed: int, *shape: int) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=stream, dtype=torch.float64)


def slopes(discriminate: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    images = images.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(discriminate(images).sum(), images, create_graph=True)
    return gradients


@pytest.fixture
def images() -> Tensor:
    return normal(0, 7, 1, 3, 4)


def test_each_has_its_formula_here_and_its_place() -> None:
    assert PENALTIES.keys() == FORMULAS.keys()
    places = {name: penalty.AT for name, penalty in PENALTIES.items()}
    assert places == {"gradient": "between", "r1": "real", "r2": "fake"}


@pytest.mark.parametrize("name", PENALTIES)
class TestEach:
    def test_of_a_linear_discriminator(self, name: str, images: Tensor) -> None:
        """D(x) = w·x + b has the gradient w everywhere."""
        weight = normal(1, PIXELS)
        found = PENALTIES[name].penalty(slopes(lambda x: x.flatten(1) @ weight + 3, images))
        assert found.shape == ()
        torch.testing.assert_close(found, FORMULAS[name](weight.norm().expand(7)))

    def test_of_a_quadratic_discriminator(self, name: str, images: Tensor) -> None:
        """D(x) = x·Ax / 2 has the gradient Ax, another at each image."""
        half = normal(2, PIXELS, PIXELS)
        matrix = half + half.T

        def discriminate(x: Tensor) -> Tensor:
            return ((x.flatten(1) @ matrix) * x.flatten(1)).sum(1) / 2

        norms = torch.stack([(matrix @ image.flatten()).norm() for image in images])
        found = PENALTIES[name].penalty(slopes(discriminate, images))
        torch.testing.assert_close(found, FORMULAS[name](norms))

    def test_its_slope_in_the_weights_is_known_for_a_linear_one(
        self, name: str, images: Tensor
    ) -> None:
        weight = normal(3, PIXELS).requires_grad_()
        found = PENALTIES[name].penalty(slopes(lambda x: x.flatten(1) @ weight, images))
        (slope,) = torch.autograd.grad(found, weight)
        norm = weight.norm()
        expected = 2 * (norm - 1) * weight / norm if name == "gradient" else weight
        torch.testing.assert_close(slope, expected.detach())

    def test_its_slope_in_the_weights_is_that_of_finite_differences(
        self, name: str, images: Tensor
    ) -> None:
        """Through a gradient of a gradient, in a network with a hidden layer."""
        last = normal(5, 4)

        def of(hidden: Tensor) -> Tensor:
            gradients = slopes(lambda x: (x.flatten(1) @ hidden).tanh() @ last, images)
            penalty: Tensor = PENALTIES[name].penalty(gradients)
            return penalty

        assert torch.autograd.gradcheck(of, normal(4, PIXELS, 4).requires_grad_())

    def test_a_discriminator_that_has_no_slope_gives_no_nan(
        self, name: str, images: Tensor
    ) -> None:
        weight = torch.zeros(PIXELS, dtype=torch.float64, requires_grad=True)
        found = PENALTIES[name].penalty(slopes(lambda x: x.flatten(1) @ weight, images))
        assert found.item() == (1 if name == "gradient" else 0)
        (slope,) = torch.autograd.grad(found, weight)
        assert not slope.any()  # neither NaN nor in any direction

    def test_one_image_without_a_slope_spoils_no_other(self, name: str) -> None:
        """As where every ReLU is off for one image."""
        layer = nn.Linear(2, 1, bias=False, dtype=torch.float64)
        nn.init.constant_(layer.weight, 3.0)
        images = torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
        found = PENALTIES[name].penalty(slopes(lambda x: layer(x).relu(), images))
        norms = torch.tensor([18.0**0.5, 0.0], dtype=torch.float64)
        torch.testing.assert_close(found, FORMULAS[name](norms))
        (slope,) = torch.autograd.grad(found, layer.weight)
        assert slope.isfinite().all() and slope.abs().min() > 0
