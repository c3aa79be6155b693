"""What several networks are put together from."""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ganvas.networks import Layers

WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def norm(kind: str, features: int, *, planes: bool) -> Layers:
    """What stands behind a layer: BatchNorm, or nothing (spectral norm is the layer's own)."""
    if kind != "batch":
        return []
    return [nn.BatchNorm2d(features) if planes else nn.BatchNorm1d(features)]


def dropout(share: float) -> Layers:
    return [nn.Dropout(share)] if share else []


def output(kind: str) -> nn.Module:
    """How a generator ends."""
    return nn.Sigmoid() if kind == "sigmoid" else nn.Tanh()


def initialise(layers: Layers) -> None:
    """Weights N(0, 0.02), BatchNorm's scales N(1, 0.02), biases 0: Radford 2015, section 3."""
    for layer in layers:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
        elif isinstance(layer, WEIGHTED):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def normalised(kind: str, layers: Layers) -> Layers:
    """The layers, with `spectral` every weight divided by its largest singular value.

    Miyato 2018 (arXiv:1802.05957), algorithm 1: estimated by one step of the power iteration at
    each forward pass; the vectors are buffers, and so part of the state.
    """
    if kind == "spectral":
        for layer in layers:
            if isinstance(layer, WEIGHTED):
                spectral_norm(layer)
    return layers
