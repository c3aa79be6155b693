"""The gradient penalty that keeps a critic near 1-Lipschitz (Gulrajani 2017, arXiv:1704.00028)."""

import torch
from torch import Tensor

AT = "between"


def penalty(gradients: Tensor) -> Tensor:
    """E[(‖∇D(x̂)‖ - 1)²]: Gulrajani 2017, equation 3, for x̂ between real and fake images."""
    norms: Tensor = torch.linalg.vector_norm(gradients.flatten(1), dim=1)
    return (norms - 1).square().mean()
