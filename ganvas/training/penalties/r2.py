"""R2: no slope at fake images (Mescheder 2018, arXiv:1801.04406)."""

from torch import Tensor

AT = "fake"


def penalty(gradients: Tensor) -> Tensor:
    """E[‖∇D(G(z))‖²] / 2: Mescheder 2018, equation 10; its weight is γ."""
    return gradients.flatten(1).square().sum(1).mean() / 2
