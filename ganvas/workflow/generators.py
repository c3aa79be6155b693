"""The generator that a person names: by a model's folder, a checkpoint's file, or MLflow's name."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from ganvas.errors import GanvasError
from ganvas.networks import Generator
from ganvas.tracking import registry
from ganvas.training import checkpoints
from ganvas.workflow import paths

ALLOWED = "a model's folder (models/<dataset>/<model>), a checkpoint in it, or models:/NAME@ALIAS"


def load(what: str) -> tuple[Generator, str]:
    """The generator, on the CPU, and in words which one it is.

    Raises `GanvasError` where `what` names none, or its files cannot be read.
    """
    if what.startswith("models:"):
        with TemporaryDirectory() as temporary:
            version, folder = registry.download(what, paths.ROOT, Path(temporary))
            try:
                architecture = checkpoints.architecture(folder / registry.FACTS)
            except GanvasError:
                raise GanvasError(
                    f"{what}: version {version} was registered by another version of ganvas, whose "
                    "code it carries: `mlflow models serve` runs that; `dvc repro` registers one "
                    "of this version"
                ) from None
            found = checkpoints.load(folder / registry.WEIGHTS, architecture)
        return found, f"{what}, version {version}"
    path = Path(what)
    if path.is_dir():
        checkpoint, how = of_model(path)
        return _read(checkpoint), f"{checkpoint}, {how}"
    if not path.exists():
        raise GanvasError(f"{what}: no such file or folder; give {ALLOWED}")
    if path.suffix != ".safetensors":
        raise GanvasError(f"{what}: no checkpoint, which ends in .safetensors; give {ALLOWED}")
    return _read(path), str(path)


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


def _read(checkpoint: Path) -> Generator:
    """The generator of a safetensors file, whose architecture lies beside it."""
    architecture = checkpoint.with_name(checkpoints.ARCHITECTURE)
    return checkpoints.load(checkpoint, checkpoints.architecture(architecture))
