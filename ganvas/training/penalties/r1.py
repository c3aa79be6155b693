"""R1: no slope at real images (Mescheder 2018, arXiv:1801.04406)."""

from torch import Tensor

AT = "real"


def penalty(gradients: Tensor) -> Tensor:
    """E[‖∇D(x)‖²] / 2: Mescheder 2018, equation 9, for real images x; its weight is γ."""
    return gradients.flatten(1).square().sum(1).mean() / 2
