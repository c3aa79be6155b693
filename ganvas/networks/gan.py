"""The fully connected pair of "Generative Adversarial Nets" (Goodfellow 2014).

Layer sizes after the PyTorch tutorials for MNIST: generator 256, 512, 1024 with BatchNorm,
discriminator 512, 256; LeakyReLU(0.2) throughout, tanh at the end of the generator.
"""

from itertools import pairwise

from torch import nn


def build(latent_dim: int, image_size: int) -> tuple[nn.Module, nn.Module]:
    pixels = image_size * image_size
    widths = [latent_dim, 256, 512, 1024]
    hidden: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        hidden += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.2)]
    generator = nn.Sequential(
        *hidden,
        nn.Linear(1024, pixels),
        nn.Tanh(),
        nn.Unflatten(1, (1, image_size, image_size)),
    )
    discriminator = nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, 512),
        nn.LeakyReLU(0.2),
        nn.Linear(512, 256),
        nn.LeakyReLU(0.2),
        nn.Linear(256, 1),
        nn.Flatten(0),
    )
    return generator, discriminator
