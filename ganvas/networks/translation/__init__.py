"""Networks that turn one image into another: pix2pix's, CycleGAN's and StarGAN's, a module each.

A module that makes generators has a function `generator(architecture, inputs)`, one that makes
discriminators `discriminator(in_channels, widths, norm, image_size, domains)`; `inputs` says how
many planes the first layer is given.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from ganvas import parts, seeds
from ganvas.errors import GanvasError
from ganvas.networks import Layers, _blocks


class Architecture(NamedTuple):
    """What a translating generator is built from, as JSON beside its checkpoints."""

    generator: str  # module: unet or resnet
    generator_widths: Sequence[int]  # from the image inward
    generator_norm: str  # batch, instance or none
    blocks: int  # residual blocks, of resnet
    dropout: float  # of unet
    padding: str  # reflect or zeros, of resnet
    in_channels: int
    out_channels: int
    image_size: int
    domains: int  # that it leads to, as it is told; 0 where it leads one way
    per_domain: bool  # whether each has a network that leads there, else one is told by planes

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Self:
        """From values by the names above, among others. Raises `KeyError` where one is missing."""
        return cls(**{key: facts[key] for key in cls._fields})

    def words(self) -> str:
        """What its weights must fit."""
        kinds = [{1: "grey", 3: "colour"}[each] for each in (self.in_channels, self.out_channels)]
        return (
            f"{self.generator} {list(self.generator_widths)}, from {' to '.join(kinds)} images of "
            f"{self.image_size} pixels"
        )


class Translator(nn.Sequential):
    """Maps images, float (B, in_channels, H, W), to others, float (B, out_channels, H, W).

    Both lie in [-1, 1]. Where it is told `domains`, int64 (B,), those to translate to, they stand
    beside the image as one-hot planes (Choi 2018, arXiv:1711.09020, section 3.1).
    """

    _hot: Tensor

    def __init__(self, architecture: Architecture, layers: Layers) -> None:
        super().__init__(*layers)
        self.in_channels, self.out_channels = architecture.in_channels, architecture.out_channels
        self.image_size, self.domains = architecture.image_size, architecture.domains
        self.register_buffer("_hot", torch.eye(self.domains), persistent=False)

    def forward(self, images: Tensor, domains: Tensor | None = None) -> Tensor:
        if domains is not None:
            planes = self._hot[domains][:, :, None, None].expand(-1, -1, *images.shape[2:])
            images = torch.cat([images, planes], 1)
        translated: Tensor = super().forward(images)  # type: ignore[no-untyped-call]
        return translated


class PerDomain(nn.ModuleList):
    """A translator to each domain, called as one that is told `domains`, int64 (B,)."""

    def __init__(self, architecture: Architecture, translators: Sequence[Translator]) -> None:
        super().__init__(translators)
        self.in_channels, self.out_channels = architecture.in_channels, architecture.out_channels
        self.image_size, self.domains = architecture.image_size, architecture.domains

    def forward(self, images: Tensor, domains: Tensor) -> Tensor:
        each = torch.stack([translator(images) for translator in self])
        return each[domains, torch.arange(len(images), device=images.device)]


def build(architecture: Architecture, seed: int) -> Translator | PerDomain:
    """The generator with weights drawn from `seed` alone, on the CPU.

    Raises `GanvasError` where it cannot be built so.
    """
    if architecture.per_domain:
        one_way = architecture._replace(domains=0, per_domain=False)
        ways = [seeds.derive(seed, str(domain)) for domain in range(architecture.domains)]
        return PerDomain(architecture, [_built(one_way, way) for way in ways])
    return _built(architecture, seed)


def generator(architecture: Architecture) -> Translator | PerDomain:
    """One that waits for its weights. Raises `GanvasError` where it cannot be built so."""
    return build(architecture, seed=0)


def _built(architecture: Architecture, seed: int) -> Translator:
    make = _maker("generator", architecture.generator)
    with _drawing_from(seed):
        layers = make(architecture, architecture.in_channels + architecture.domains)
        translator = Translator(architecture, layers)
        _blocks.initialise([*translator.modules()])
    return translator


def discriminator(
    kind: str,
    in_channels: int,
    widths: Sequence[int],
    norm: str,
    image_size: int,
    domains: int,
    seed: int,
) -> nn.Module:
    """A discriminator of images in [-1, 1], float (B, in_channels, H, W), drawn like a generator.

    `kind` is its module: a patch gives logits, float (B, 1, h, w), domains gives those and the
    domains' logits, float (B, domains). Raises `GanvasError` where it cannot be built so.
    """
    make = _maker("discriminator", kind)
    with _drawing_from(seed):
        network: nn.Module = make(in_channels, widths, norm, image_size, domains)
        _blocks.initialise([*network.modules()])
    return network


def _maker(role: str, name: str) -> Any:
    """The module's function; that there is a module, `config` has checked."""
    module = parts.load(role, name)
    if not hasattr(module, role):
        raise GanvasError(f"{role}: {name} is not allowed; networks/translation/{name}.py has none")
    return getattr(module, role)


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):  # leaves the caller's random state as it was
        torch.default_generator.manual_seed(seed)
        yield
