"""A convolutional pair whose ends are fully connected.

The generator's last two widths are the channels at a quarter and at half of the image's side, what
comes before them is fully connected; the discriminator's first two are its convolutions. With one
dense layer each it is the older DCGAN tutorials' pair, with [1024, 128, 64] and [64, 128, 1024] the
pair of InfoGAN (Chen 2016, arXiv:1606.03657, appendix C.1) as Lucic 2018 (arXiv:1711.10337) built
it for a comparison: LeakyReLU(0.2) behind every hidden layer of both.
"""

from itertools import pairwise

from torch import nn

from ganvas.errors import GanvasError
from ganvas.networks import Architecture, Inputs, Layers, _blocks, widths


def build(architecture: Architecture, inputs: Inputs) -> tuple[Layers, Layers]:
    size, (side, rest) = architecture.image_size, divmod(architecture.image_size, 4)
    if rest:
        raise GanvasError(f"dcgan_dense: image_size: {size} is not allowed; a multiple of 4 is")
    kind = architecture.generator_norm
    bias = kind != "batch"
    *dense, quarter, half = widths(architecture, "generator", 2)
    generator: Layers = []
    for before, after in pairwise([inputs.generator, *dense, quarter * side * side]):
        generator += [nn.Linear(before, after, bias=bias)]
        generator += [*_blocks.norm(kind, after, planes=False), nn.LeakyReLU(0.2)]
    generator += [nn.Unflatten(1, (quarter, side, side))]
    generator += [nn.ConvTranspose2d(quarter, half, 4, 2, 1, bias=bias)]
    generator += [*_blocks.norm(kind, half, planes=True), nn.LeakyReLU(0.2)]
    generator += [nn.ConvTranspose2d(half, architecture.channels, 4, 2, 1)]
    generator += [_blocks.output(architecture.generator_output)]

    norm, share = architecture.discriminator_norm, architecture.discriminator_dropout
    bias = norm != "batch"
    half, quarter, *dense = widths(architecture, "discriminator", 2)
    discriminator: Layers = [
        nn.Conv2d(inputs.discriminator, half, 4, 2, 1),
        *(nn.LeakyReLU(0.2), *_blocks.dropout(share)),
        nn.Conv2d(half, quarter, 4, 2, 1, bias=bias),
        *_blocks.norm(norm, quarter, planes=True),
        *(nn.LeakyReLU(0.2), *_blocks.dropout(share)),
        nn.Flatten(),
    ]
    for before, after in pairwise([quarter * side * side, *dense]):
        discriminator += [nn.Linear(before, after, bias=bias)]
        discriminator += _blocks.norm(norm, after, planes=False)
        discriminator += [nn.LeakyReLU(0.2), *_blocks.dropout(share)]
    discriminator += [nn.Linear(dense[-1] if dense else quarter * side * side, inputs.logits)]

    _blocks.initialise([*generator, *discriminator])
    return _blocks.normalised(kind, generator), _blocks.normalised(norm, discriminator)
