"""CycleGAN's generator: Zhu 2017 (arXiv:1703.10593), appendix 7.2, after Johnson 2016.

c7s1-64, d128, d256, R256 by `blocks`, u128, u64, c7s1-3: the side is halved, an odd one rounded up,
for each width after the first. Where it is told domains it is StarGAN's (Choi 2018,
arXiv:1711.09020, table 4): even sides are halved by 4x4 kernels in place of 3x3, and InstanceNorm
scales and shifts, in place of the convolutions' biases. The padding is the recipe's in both.
"""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from ganvas.networks import Layers
from ganvas.networks.translation import Architecture, _layers


class Reflection(nn.Module):
    """Padding that mirrors the planes at their border, whose pixels are not repeated.

    Values of `nn.ReflectionPad2d`, whose gradient has no deterministic implementation on a GPU.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, planes: Tensor) -> Tensor:
        for dim in (2, 3):
            size = planes.shape[dim]
            before = planes.narrow(dim, 1, self.width).flip(dim)
            behind = planes.narrow(dim, size - 1 - self.width, self.width).flip(dim)
            planes = torch.cat([before, planes, behind], dim)
        return planes


class Residual(nn.Sequential):
    """Adds what its layers make of the planes to the planes, (B, C, H, W)."""

    def forward(self, planes: Tensor) -> Tensor:
        added: Tensor = super().forward(planes)  # type: ignore[no-untyped-call]
        return planes + added


def generator(architecture: Architecture, inputs: int) -> Layers:
    _layers.one_of("padding", architecture.padding, "reflect", "zeros")
    told, size = architecture.domains > 0, architecture.image_size
    *sides, _ = _layers.sides(size)  # that end with 2: of one pixel InstanceNorm would leave 0
    widths = _layers.limited("generator_widths", architecture.generator_widths, len(sides), size)
    norm = partial(_layers.norm, architecture.generator_norm, affine=told)
    bias = _layers.biased(architecture.generator_norm, affine=told)

    def same(before: int, after: int, kernel: int, bias: bool = bias) -> Layers:
        """A convolution that keeps the side."""
        width = kernel // 2
        if architecture.padding == "reflect":
            return [Reflection(width), nn.Conv2d(before, after, kernel, bias=bias)]
        return [nn.Conv2d(before, after, kernel, padding=width, bias=bias)]

    down: Layers = []
    up: Layers = []
    for (before, after), side in zip(pairwise(widths), sides, strict=False):
        kernel = 4 if told and side % 2 == 0 else 3
        # A 3x3 kernel halves 7 and 8 to 4; back it leads to the odd one, without a row more.
        more = int(kernel == 3 and side % 2 == 0)
        down += [nn.Conv2d(before, after, kernel, 2, 1, bias=bias), *norm(after), nn.ReLU()]
        back = nn.ConvTranspose2d(after, before, kernel, 2, 1, more, bias=bias)
        up = [back, *norm(before), nn.ReLU(), *up]

    first, inmost = widths[0], widths[-1]
    layers: Layers = [*same(inputs, first, 7), *norm(first), nn.ReLU(), *down]
    for _ in range(architecture.blocks):
        block = [*same(inmost, inmost, 3), *norm(inmost), nn.ReLU()]
        layers += [Residual(*block, *same(inmost, inmost, 3), *norm(inmost))]
    return [*layers, *up, *same(first, architecture.out_channels, 7, bias=not told), nn.Tanh()]
