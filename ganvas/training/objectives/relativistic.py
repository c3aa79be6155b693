"""Relativistic pairing (Jolicoeur-Martineau 2018, arXiv:1807.00734; Huang 2024, arXiv:2501.05441).

Each fake image is held against a real one: only the difference of their logits counts. Huang 2024
shows that it converges with the penalties `r1` and `r2`.
"""

from torch import Tensor
from torch.nn.functional import logsigmoid

PROBABILITY, PAIRED = False, True


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[log(1 + exp(-(D(x) - D(G(z)))))]: Huang 2024, equation 2, with f(t) = -log(1 + exp(-t))."""
    return -logsigmoid(real_logits - fake_logits).mean()


def generator_loss(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """E[log(1 + exp(-(D(G(z)) - D(x))))], the same pairs the other way round."""
    return -logsigmoid(fake_logits - real_logits).mean()
