"""StarGAN's discriminator, which names the domain too: Choi 2018 (arXiv:1711.09020), table 5.

A PatchGAN without norms: 4x4 convolutions that each halve the side, 64, 128, … wide, and two heads.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from ganvas.errors import GanvasError
from ganvas.networks import Layers
from ganvas.networks.translation import _layers


class TwoHeads(nn.Module):
    """Maps images, float (B, in_channels, H, W), to two kinds of logits.

    Of each patch, float (B, 1, h, w), the paper's D_src, and of the domains, float (B, domains),
    D_cls before its softmax.
    """

    def __init__(self, layers: Layers, width: int, side: int, domains: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*layers)
        self.patches = nn.Conv2d(width, 1, 3, padding=1, bias=False)
        self.names = nn.Conv2d(width, domains, side, bias=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        planes = self.trunk(images)
        return self.patches(planes), self.names(planes).flatten(1)


def discriminator(
    in_channels: int, widths: Sequence[int], norm: str, image_size: int, domains: int
) -> nn.Module:
    _layers.one_of("discriminator_norm", norm, "none")
    if not domains:
        raise GanvasError("discriminator: domains is not allowed; there are none in the data")
    widths = _layers.limited(
        "discriminator_widths", widths, image_size.bit_length() - 1, image_size
    )
    layers: Layers = []
    for before, after in pairwise([in_channels, *widths]):
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.01)]
    return TwoHeads(layers, widths[-1], image_size >> len(widths), domains)
