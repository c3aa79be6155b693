"""The Wasserstein distance in its dual form (Arjovsky 2017, arXiv:1701.07875, equation 2).

It is one only where the discriminator, called critic, is 1-Lipschitz: with penalty `gradient`.
"""

from torch import Tensor

PROBABILITY, PAIRED = False, False


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[D(G(z))] - E[D(x)]: minus the distance that the critic sees."""
    return fake_logits.mean() - real_logits.mean()


def generator_loss(fake_logits: Tensor) -> Tensor:
    """-E[D(G(z))]."""
    return -fake_logits.mean()
