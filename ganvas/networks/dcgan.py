"""The convolutional pair of Radford, Metz and Chintala 2015 (arXiv:1511.06434) for 28 × 28 pixels.

Layout and initial weights after PyTorch's DCGAN example, with one 3 × 3 layer in each network
so that the sides run 4, 7, 14, 28 and back.
"""

from torch import nn

from ganvas.errors import GanvasError


def build(latent_dim: int, image_size: int) -> tuple[nn.Module, nn.Module]:
    if image_size != 28:
        raise GanvasError(f"dcgan makes images of 28 pixels, not {image_size}; set image_size: 28")
    generator = nn.Sequential(
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, 128, 4, 2, 0, bias=False),  # 4
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 3, 2, 1, bias=False),  # 7
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False),  # 14
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, 2, 1, bias=False),  # 28
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 32, 4, 2, 1, bias=False),  # 14
        nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 4, 2, 1, bias=False),  # 7
        nn.BatchNorm2d(64),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 3, 2, 1, bias=False),  # 4
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2),
        nn.Conv2d(128, 1, 4, 1, 0, bias=False),  # 1
        nn.Flatten(0),
    )
    for network in (generator, discriminator):
        for layer in network:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)
    return generator, discriminator
