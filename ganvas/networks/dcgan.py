"""The convolutional pair of Radford, Metz and Chintala 2015 (arXiv:1511.06434), for any image size.

Layout and initial weights after PyTorch's DCGAN example, which at 64 pixels this is. Going down,
the side is halved, an odd one rounded up, until it is 4 or less; the generator goes the same way
up: 32, 16, 8, 4; 48, 24, 12, 6, 3; 64, 32, 16, 8, 4; and 28, 14, 7, 4. Layers have biases where no
BatchNorm has them.

There is a width for each halving. A recipe that has fewer gives those next to the image, and each
further one is twice its neighbour: [128, 64, 32] is [256, 128, 64, 32] at 48 and 64 pixels.
"""

from itertools import pairwise

from torch import nn

from ganvas.networks import Architecture, Inputs, Layers, _blocks, widths

Step = tuple[int, int, int]  # kernel, stride and padding of a layer


def build(architecture: Architecture, inputs: Inputs) -> tuple[Layers, Layers]:
    sides = _sides(architecture.image_size)
    down: list[Step] = [_halving(side) for side in sides[:-1]]
    whole = sides[-1]  # what one pixel becomes, or is left of

    kind = architecture.generator_norm
    bias, upward = kind != "batch", _widths(architecture, "generator", len(down))[::-1]
    generator: Layers = [nn.Unflatten(1, (inputs.generator, 1, 1))]
    first, *others, last = (whole, 2, 0), *down[::-1]  # from one pixel any stride is the same
    steps = zip(pairwise([inputs.generator, *upward]), (first, *others), strict=True)
    for (before, after), step in steps:
        generator += [nn.ConvTranspose2d(before, after, *step, bias=bias)]
        generator += [*_blocks.norm(kind, after, planes=True), nn.ReLU()]
    generator += [nn.ConvTranspose2d(upward[-1], architecture.channels, *last, bias=bias)]
    generator += [_blocks.output(architecture.generator_output)]

    norm, share = architecture.discriminator_norm, architecture.discriminator_dropout
    bias, downward = norm != "batch", _widths(architecture, "discriminator", len(down))
    discriminator: Layers = []
    for (before, after), step in zip(
        pairwise([inputs.discriminator, *downward]), down, strict=True
    ):
        discriminator += [nn.Conv2d(before, after, *step, bias=bias)]
        if len(discriminator) > 1:  # none behind the layer that sees the image: Radford, section 3
            discriminator += _blocks.norm(norm, after, planes=True)
        discriminator += [nn.LeakyReLU(0.2), *_blocks.dropout(share)]
    discriminator += [nn.Conv2d(downward[-1], inputs.logits, whole, 1, 0, bias=bias)]

    _blocks.initialise([*generator, *discriminator])
    return _blocks.normalised(kind, generator), _blocks.normalised(norm, discriminator)


def _sides(image_size: int) -> list[int]:
    """Of the planes, from the image's down to the smallest."""
    sides = [image_size]
    while sides[-1] > 4:
        sides.append((sides[-1] + 1) // 2)
    return sides


def _halving(side: int) -> Step:
    """The layer between that side and half of it."""
    return (3, 2, 1) if side % 2 else (4, 2, 1)


def _widths(architecture: Architecture, side: str, count: int) -> list[int]:
    """The recipe's, from the image on, with those that it leaves out."""
    found = widths(architecture, side, 1, count)
    if side == "generator":
        found = found[::-1]
    while len(found) < count:
        found.append(2 * found[-1])
    return found
