"""The fully connected pair of "Generative Adversarial Nets" (Goodfellow 2014).

Layers after the PyTorch tutorials for MNIST: LeakyReLU(0.2) behind every hidden layer of both.
"""

from itertools import pairwise
from math import prod

from torch import nn

from ganvas.networks import Architecture, Inputs, Layers, _blocks, widths


def build(architecture: Architecture, inputs: Inputs) -> tuple[Layers, Layers]:
    shape = (architecture.channels, architecture.image_size, architecture.image_size)
    values = prod(shape)
    kind = architecture.generator_norm
    generator: Layers = []
    for before, after in pairwise([inputs.generator, *widths(architecture, "generator", 1)]):
        generator += [nn.Linear(before, after), *_blocks.norm(kind, after, planes=False)]
        generator += [nn.LeakyReLU(0.2)]
    generator += [nn.Linear(after, values), _blocks.output(architecture.generator_output)]
    _blocks.normalised(kind, generator)
    generator += [nn.Unflatten(1, shape)]

    kind, share = architecture.discriminator_norm, architecture.discriminator_dropout
    told = inputs.discriminator - architecture.channels
    discriminator: Layers = [nn.Flatten()]
    for before, after in pairwise([values + told, *widths(architecture, "discriminator", 1)]):
        discriminator += [nn.Linear(before, after), *_blocks.norm(kind, after, planes=False)]
        discriminator += [nn.LeakyReLU(0.2), *_blocks.dropout(share)]
    discriminator += [nn.Linear(after, inputs.logits)]
    return generator, _blocks.normalised(kind, discriminator)
