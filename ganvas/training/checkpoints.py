"""A trained generator on disk: a safetensors file of weights, with its facts in the header.

The file also holds the moving average of the weights, prefixed `ema.`, where the recipe keeps one.
What network it is of stands in architecture.json beside it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ganvas import files, networks, parts
from ganvas.errors import GanvasError

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


def architecture(path: Path) -> Any:
    """What the generators of a folder are built from, its architecture.json: the `Architecture` of
    their family, `ganvas.networks` or `ganvas.networks.translation`.

    Raises `GanvasError` where the file is not one.
    """
    try:
        facts = json.loads(path.read_text())
        found = _family(facts).Architecture.read(facts)
    except FileNotFoundError:
        raise GanvasError(
            f"{path}: missing; it says which network the checkpoints beside it are of, keep them "
            "together as `dvc repro` made them"
        ) from None
    except (KeyError, TypeError, ValueError):
        raise GanvasError(
            f"{path}: not what a training of this version writes; `dvc checkout` or `dvc repro` "
            "brings it back"
        ) from None
    for kind in ("network", "generator"):
        known = parts.names(kind)
        for name in set(parts.named(facts, kind)) - set(known):
            raise GanvasError(
                f"{path}: {kind} {name!r} is not known here; known: {', '.join(known)}"
            )
    return found


def load(path: Path, architecture: Any) -> Any:
    """The generator in `path`, of the architecture's family, in eval mode; its moving average where
    the file has one.

    Raises `GanvasError` when the weights are not those of this network.
    """
    with _open(path) as file:
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    averaged = {k.removeprefix(EMA): v for k, v in tensors.items() if k.startswith(EMA)}
    try:
        generator = _family(architecture._asdict()).generator(architecture)
    except GanvasError as error:
        raise GanvasError(f"{path}: {error}") from None
    try:
        generator.load_state_dict(averaged or tensors)
    except RuntimeError:
        raise GanvasError(
            f"{path}: these weights do not fit {architecture.words()}; keep it with the "
            f"{ARCHITECTURE} of its training"
        ) from None
    return generator.eval().requires_grad_(False)


def _family(facts: Mapping[str, Any]) -> Any:
    """The package that builds these networks."""
    # Who generates need not know of those that translate: an edit there makes none again.
    return parts.package("generator") if "generator" in facts else networks


def _open(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise GanvasError(f"{path}: no weights can be read ({error}); run dvc repro") from None
