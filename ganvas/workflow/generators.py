"""The generator that a person names: by a model's folder, a checkpoint's file, or MLflow's name."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from ganvas import parts
from ganvas.errors import GanvasError
from ganvas.tracking import registry
from ganvas.training import checkpoints
from ganvas.workflow import paths

ALLOWED = "a model's folder (models/<dataset>/<model>), a checkpoint in it, or models:/NAME@ALIAS"
KEYS = {"network": str, "latent_dim": int, "image_size": int}


def load(what: str) -> tuple[nn.Module, int, str]:
    """The generator, on the CPU, its latent_dim, and in words which one it is.

    It maps z, float (B, latent_dim), to images in [-1, 1], float (B, 1, H, W). Raises `GanvasError`
    where `what` names none, or its files cannot be read.
    """
    if what.startswith("models:"):
        with TemporaryDirectory() as temporary:
            version, folder = registry.download(what, paths.ROOT, Path(temporary))
            found = _read(folder / registry.WEIGHTS, folder / registry.FACTS)
        return *found, f"{what}, version {version}"
    path = Path(what)
    if path.is_dir():
        checkpoint, how = of_model(path)
        return *_read(checkpoint, path / "config.json"), f"{checkpoint}, {how}"
    if not path.exists():
        raise GanvasError(f"{what}: no such file or folder; give {ALLOWED}")
    if path.suffix != ".safetensors":
        raise GanvasError(f"{what}: no checkpoint, which ends in .safetensors; give {ALLOWED}")
    return *_read(path, path.parent.parent / "config.json"), str(path)


def of_model(folder: Path) -> tuple[Path, str]:
    """Of a model's checkpoints the one that stage `select` took, else the last; and which it is."""
    found = sorted((folder / "generator").glob("*.safetensors"))
    if not found:
        models = sorted(str(each.parent) for each in folder.glob("*/generator"))
        hint = f"name one of its models: {', '.join(models)}" if models else f"give {ALLOWED}"
        raise GanvasError(f"{folder}: holds no generator's checkpoints; {hint}")
    # By its name, also where the path is relative; links of DVC's are not followed.
    try:
        *root, _, dataset, model = Path(os.path.abspath(folder)).parts  # noqa: PTH100
        path = Path(*root, "results", dataset, model, "selection.json")
        chosen = folder / "generator" / json.loads(path.read_text())["checkpoint"]
    except (OSError, ValueError, KeyError, TypeError):
        chosen = None
    if chosen in found:
        return chosen, "the selected checkpoint"
    last = max(found, key=checkpoints.facts)  # by epoch: names of files sort 10000 before 9999
    return last, f"the last of {len(found)} checkpoints, none is selected yet"


def _read(checkpoint: Path, config: Path) -> tuple[nn.Module, int]:
    """The generator of a safetensors file; `config` is the config.json beside it."""
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
    return checkpoints.load(checkpoint, network, latent_dim, image_size), latent_dim
