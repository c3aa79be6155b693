"""Least squares (Mao 2017, arXiv:1611.04076), with the 0-1 coding of its equation 9."""

from torch import Tensor

PROBABILITY, PAIRED = False, False


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, smoothing: float = 0.0) -> Tensor:
    """E[(D(x) - 1)²] / 2 + E[D(G(z))²] / 2."""
    real = (real_logits - (1 - smoothing)).square().mean()
    return (real + fake_logits.square().mean()) / 2


def generator_loss(fake_logits: Tensor) -> Tensor:
    """E[(D(G(z)) - 1)²] / 2."""
    return (fake_logits - 1).square().mean() / 2
