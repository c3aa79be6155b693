"""The convolutional pair of Radford, Metz and Chintala 2015 (arXiv:1511.06434) for 28 × 28 pixels.

Layout and initial weights after PyTorch's DCGAN example, with one 3 × 3 layer in each network
so that the sides run 4, 7, 14, 28 and back. Layers have biases where no BatchNorm has them.
"""

from itertools import pairwise

from torch import nn

from ganvas.errors import GanvasError
from ganvas.networks import CHANNELS, Architecture, Inputs, Layers, _blocks, widths

# kernel, stride, padding of what lies between the sides 4, 7, 14 and 28
BETWEEN = ((3, 2, 1), (4, 2, 1), (4, 2, 1))


def build(architecture: Architecture, inputs: Inputs) -> tuple[Layers, Layers]:
    if architecture.image_size != 28:
        size = architecture.image_size
        raise GanvasError(f"dcgan makes images of 28 pixels, not {size}; set image_size: 28")
    kind = architecture.generator_norm
    bias, upward = kind != "batch", widths(architecture, "generator", 3, 3)
    generator: Layers = [nn.Unflatten(1, (inputs.generator, 1, 1))]
    steps = zip(pairwise([inputs.generator, *upward]), ((4, 2, 0), *BETWEEN[:2]), strict=True)
    for (before, after), step in steps:
        generator += [nn.ConvTranspose2d(before, after, *step, bias=bias)]
        generator += [*_blocks.norm(kind, after, planes=True), nn.ReLU()]
    generator += [nn.ConvTranspose2d(upward[-1], CHANNELS, *BETWEEN[2], bias=bias)]
    generator += [_blocks.output(architecture.generator_output)]

    norm, share = architecture.discriminator_norm, architecture.discriminator_dropout
    bias, downward = norm != "batch", widths(architecture, "discriminator", 3, 3)
    discriminator: Layers = []
    steps = zip(pairwise([inputs.discriminator, *downward]), BETWEEN[::-1], strict=True)
    for (before, after), step in steps:
        discriminator += [nn.Conv2d(before, after, *step, bias=bias)]
        if len(discriminator) > 1:  # none behind the layer that sees the image: Radford, section 3
            discriminator += _blocks.norm(norm, after, planes=True)
        discriminator += [nn.LeakyReLU(0.2), *_blocks.dropout(share)]
    discriminator += [nn.Conv2d(downward[-1], inputs.logits, 4, 1, 0, bias=bias)]

    _blocks.initialise([*generator, *discriminator])
    return _blocks.normalised(kind, generator), _blocks.normalised(norm, discriminator)
