"""A trained generator on disk: a safetensors file of weights, with its facts in the header.

The file also holds the moving average of the weights, prefixed `ema.`, where the recipe keeps one.
"""

from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ganvas import files, networks
from ganvas.errors import GanvasError

EMA = "ema."


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


def load(path: Path, network: str, latent_dim: int, image_size: int) -> nn.Module:
    """The generator in `path`, in eval mode; its moving average where the file has one.

    Raises `GanvasError` when the weights are not those of this network.
    """
    with _open(path) as file:
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    averaged = {k.removeprefix(EMA): v for k, v in tensors.items() if k.startswith(EMA)}
    generator, _ = networks.build(network, latent_dim, image_size, seed=0)
    try:
        generator.load_state_dict(averaged or tensors)
    except RuntimeError:
        raise GanvasError(
            f"{path}: these weights do not fit {network} with latent_dim {latent_dim} and images "
            f"of {image_size} pixels; give the recipe they were trained with"
        ) from None
    return generator.eval().requires_grad_(False)


def _open(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise GanvasError(f"{path}: no weights can be read ({error}); run dvc repro") from None
