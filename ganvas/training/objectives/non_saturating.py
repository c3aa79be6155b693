"""Binary cross entropy on logits, the generator's in its non-saturating form (Goodfellow 2014)."""

from torch import Tensor
from torch.nn.functional import logsigmoid

PROBABILITY, PAIRED = True, False


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, smoothing: float = 0.0) -> Tensor:
    """Binary cross entropy, the mean of the real and the fake term.

    -(E[log D(x)] + E[log(1 - D(G(z)))]) / 2: Goodfellow 2014, equation 1, as a loss. On logits,
    where log(1 - D) = logsigmoid(-logit) stays finite. With smoothing s the real term is
    (1 - s) log D(x) + s log(1 - D(x)).
    """
    real = logsigmoid(real_logits).mean()
    if smoothing:  # log(1 - D) = log D - logit
        real = real - smoothing * real_logits.mean()
    return -(real + logsigmoid(-fake_logits).mean()) / 2


def generator_loss(fake_logits: Tensor) -> Tensor:
    """The non-saturating loss -E[log D(G(z))]: Goodfellow 2014, end of section 3.

    Its gradient does not fade while the discriminator is sure that the images are fake.
    """
    return -logsigmoid(fake_logits).mean()
