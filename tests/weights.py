"""Random weights in the place of Inception's, which cannot be fetched everywhere."""

from pathlib import Path

import torch
from torch import nn

from ganvas.evaluation import inception


def random_weights(folder: Path) -> Path:
    """A file as the published one, under which activations neither vanish nor explode."""
    generator = torch.Generator().manual_seed(0)
    network = inception._architecture()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if isinstance(module, nn.BatchNorm2d):  # far from the identity, or folding is untested
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0, 0.1, generator=generator)
    folder.mkdir(exist_ok=True)
    torch.save(network.state_dict(), folder / inception.FILE)
    return folder / inception.FILE
