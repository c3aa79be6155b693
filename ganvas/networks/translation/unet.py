"""pix2pix's generator, a U-Net: Isola 2017 (arXiv:1611.07004), section 3.2.1 and appendix 6.1.1.

The side is halved until it is 1: 256, 128, …, 1, the paper's 8 levels, or 28, 14, 7, 4, 2, 1. Odd
sides have 3x3 kernels in place of 4x4, and so each level comes back to the side that it had. The
paper's 64, 128, 256, 512 goes on with 512: widths that a recipe leaves out repeat the last.

Dropout is the noise of the model (section 3.1) and stays on when images are drawn. It stands, as in
the paper, behind the first three layers of the decoder; of fewer levels, behind those of the three
that are as wide as the first: one at 28 pixels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.networks import Layers
from ganvas.networks.translation import Architecture, _layers


class Noise(nn.Module):
    """Dropout that is never off; it draws from PyTorch's default generator of the device.

    In eval mode once for all images, so that what becomes of one hangs on no other.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, planes: Tensor) -> Tensor:
        if self.training:
            return F.dropout(planes, self.share, training=True)
        return planes * F.dropout(torch.ones_like(planes[:1]), self.share, training=True)


class Skip(nn.Sequential):
    """Puts what its layers make of the planes beside them: (B, C, H, W) to (B, 2C, H, W)."""

    def forward(self, planes: Tensor) -> Tensor:
        return torch.cat([planes, super().forward(planes)], 1)  # type: ignore[no-untyped-call]


def generator(architecture: Architecture, inputs: int) -> Layers:
    size, kind = architecture.image_size, architecture.generator_norm
    *above, _ = _layers.sides(size)
    last = len(above) - 1
    widths = _layers.limited("generator_widths", architecture.generator_widths, len(above), size)
    widths += [widths[-1]] * (len(above) - len(widths))
    planes = [inputs, *widths]

    bias = _layers.biased(kind)
    layers: Layers = []
    for level, side in reversed([*enumerate(above)]):  # from the innermost level outward
        step = (3, 2, 1) if side % 2 else (4, 2, 1)  # kernel, stride, padding
        before, after = planes[level], planes[level + 1]
        inner: Layers = [Skip(*layers)] if layers else []
        out = before if level else architecture.out_channels

        layers = [nn.LeakyReLU(0.2)] if level else []
        layers += [nn.Conv2d(before, after, *step, bias=bias)]
        if 0 < level < last:  # one pixel less its own mean would be 0
            layers += _layers.norm(kind, after)
        layers += [*inner, nn.ReLU()]
        after *= 2 if inner else 1
        layers += [nn.ConvTranspose2d(after, out, *step, bias=bias or not level)]
        if level:
            layers += _layers.norm(kind, out)
        if level and last - level < 3 and out == planes[last] and architecture.dropout:
            layers += [Noise(architecture.dropout)]
    return [*layers, nn.Tanh()]
