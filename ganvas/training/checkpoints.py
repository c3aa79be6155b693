"""A trained generator on disk: a safetensors file of weights, with its facts in the header.

The file also holds the moving average of the weights, prefixed `ema.`, where the recipe keeps one.
What network it is of stands in architecture.json beside it.
"""

import json
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ganvas import files, networks, parts
from ganvas.errors import GanvasError
from ganvas.networks import Architecture, Generator

EMA = "ema."
ARCHITECTURE = "architecture.json"


class Facts(NamedTuple):
    """When a checkpoint was taken; `generator_loss` is the mean over its epoch's iterations."""

    epoch: int
    iteration: int
    generator_loss: float


def save(path: Path, generator: nn.Module, ema: nn.Module | None, facts: Facts) -> None:
    tensors = dict(generator.state_dict())
    if ema is not None:
        tensors |= {f"{EMA}{name}": value for name, value in ema.state_dict().items()}
    metadata = {name: str(value) for name, value in facts._asdict().items()}
    # safetensors does not order the header's entries: one entry keeps the bytes the same.
    files.write_tensors(path, tensors, {"facts": " ".join(metadata.values())})


def facts(path: Path) -> Facts:
    with _open(path) as file:
        words = (file.metadata() or {}).get("facts", "").split()
    if len(words) != len(Facts._fields):
        raise GanvasError(f"{path}: not a checkpoint of a training; run dvc repro")
    return Facts(int(words[0]), int(words[1]), float(words[2]))


def architecture(path: Path) -> Architecture:
    """What the generators of a folder are built from: its architecture.json.

    Raises `GanvasError` where the file is not one.
    """
    try:
        found = Architecture.read(json.loads(path.read_text()))
    except FileNotFoundError:
        raise GanvasError(
            f"{path}: missing; it says which network the checkpoints beside it are of, keep them "
            "together as `dvc repro` made them"
        ) from None
    except (KeyError, TypeError, ValueError):
        raise GanvasError(
            f"{path}: not what a training of this version writes, with "
            f"{', '.join(Architecture._fields)}; `dvc checkout` or `dvc repro` brings it back"
        ) from None
    if found.network not in parts.names("network"):
        known = ", ".join(parts.names("network"))
        raise GanvasError(f"{path}: network {found.network!r} is not known here; known: {known}")
    return found


def load(path: Path, architecture: Architecture) -> Generator:
    """The generator in `path`, in eval mode; its moving average where the file has one.

    Raises `GanvasError` when the weights are not those of this network.
    """
    with _open(path) as file:
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    averaged = {k.removeprefix(EMA): v for k, v in tensors.items() if k.startswith(EMA)}
    try:
        generator, _ = networks.build(architecture, seed=0)
    except GanvasError as error:
        raise GanvasError(f"{path}: {error}") from None
    try:
        generator.load_state_dict(averaged or tensors)
    except RuntimeError:
        kind = "grey" if architecture.channels == 1 else "colour"
        raise GanvasError(
            f"{path}: these weights do not fit {architecture.network} with latent_dim "
            f"{architecture.latent_dim} and {kind} images of {architecture.image_size} pixels; "
            f"keep it with the {ARCHITECTURE} of its training"
        ) from None
    return generator.eval().requires_grad_(False)


def _open(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise GanvasError(f"{path}: no weights can be read ({error}); run dvc repro") from None
