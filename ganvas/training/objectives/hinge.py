"""The hinge loss (Lim and Ye 2017, arXiv:1705.02894; Miyato 2018, arXiv:1802.05957, section 4)."""

from torch import Tensor

PROBABILITY, PAIRED = False, False


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]: Miyato 2018, equation 16."""
    return (1 - real_logits).relu().mean() + (1 + fake_logits).relu().mean()


def generator_loss(fake_logits: Tensor) -> Tensor:
    """-E[D(G(z))]: Miyato 2018, equation 17."""
    return -fake_logits.mean()
