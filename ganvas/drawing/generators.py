"""A trained generator, and what drawing from it needs to know."""

import json
from pathlib import Path
from typing import NamedTuple

from torch import nn

from ganvas import parts
from ganvas.errors import GanvasError
from ganvas.training import checkpoints

KEYS = {"network": str, "latent_dim": int, "image_size": int}


class Generator(NamedTuple):
    """`network` maps z, float (B, latent_dim), to images in [-1, 1], float (B, 1, H, W)."""

    network: nn.Module
    latent_dim: int


def load(checkpoint: Path, config: Path) -> Generator:
    """The generator of a safetensors file, on the CPU; `config` is the config.json beside it.

    Raises `GanvasError` where one of the two cannot be read or is of another network.
    """
    try:
        facts = json.loads(config.read_text())
        network, latent_dim, image_size = (kind(facts[key]) for key, kind in KEYS.items())
    except FileNotFoundError:
        raise GanvasError(
            f"{config}: missing; it says which network {checkpoint.name} is of, keep the two as "
            "`dvc repro` made them"
        ) from None
    except (KeyError, TypeError, ValueError):
        raise GanvasError(
            f"{config}: not the config.json of a training, which has {', '.join(KEYS)}; `dvc "
            "checkout` brings it back"
        ) from None
    if network not in parts.names("network"):
        known = ", ".join(parts.names("network"))
        raise GanvasError(f"{config}: network {network!r} is not known here; known: {known}")
    return Generator(checkpoints.load(checkpoint, network, latent_dim, image_size), latent_dim)
