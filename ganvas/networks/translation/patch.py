"""PatchGAN, which judges each patch of an image: Isola 2017 (arXiv:1611.07004), appendix 6.1.2.

C64-C128-C256-C512 and a convolution to one logit, all 4x4; the last two keep the side but for a
pixel, the others halve it. So the number of widths sets how large a patch is: 70 pixels for those.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from ganvas.errors import GanvasError
from ganvas.networks import Layers
from ganvas.networks.translation import _layers


def discriminator(
    in_channels: int, widths: Sequence[int], norm: str, image_size: int, domains: int
) -> nn.Module:
    """Maps images, float (B, in_channels, H, W), to a logit of each patch, float (B, 1, h, w)."""
    if domains:
        raise GanvasError(f"discriminator: patch names no domains, and there are {domains}")
    # Three pixels are left for the last two layers, which take one each.
    widths = _layers.limited(
        "discriminator_widths", widths, (image_size // 3).bit_length(), image_size
    )
    layers: Layers = []
    pairs = pairwise([in_channels, *widths])
    for (before, after), stride in zip(pairs, _strides(widths), strict=False):
        bias = not layers or _layers.biased(norm)
        behind = _layers.norm(norm, after) if layers else []
        layers += [nn.Conv2d(before, after, 4, stride, 1, bias=bias), *behind, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))


def receptive_field(widths: Sequence[int]) -> int:
    """The side, in pixels, of the square that a logit depends on."""
    side = 1
    for stride in reversed(_strides(widths)):
        side = (side - 1) * stride + 4
    return side


def _strides(widths: Sequence[int]) -> list[int]:
    """Of the layers, that of the logits too."""
    return [2] * (len(widths) - 1) + [1, 1]
