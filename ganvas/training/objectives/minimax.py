"""The minimax game itself (Goodfellow 2014, equation 1), with the generator's saturating loss."""

from torch import Tensor
from torch.nn.functional import logsigmoid

from ganvas.training.objectives.non_saturating import discriminator_loss

__all__ = ["PAIRED", "PROBABILITY", "discriminator_loss", "generator_loss"]

PROBABILITY, PAIRED = True, False


def generator_loss(fake_logits: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))], never above 0: its gradient fades while D(G(z)) is near 0."""
    return logsigmoid(-fake_logits).mean()
