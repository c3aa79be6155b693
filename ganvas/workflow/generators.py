"""The generator that a person names: by a model's folder, a checkpoint's file, or MLflow's name."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from ganvas.data.form import Form
from ganvas.errors import GanvasError
from ganvas.networks import Generator
from ganvas.tracking import registry
from ganvas.training import checkpoints
from ganvas.workflow import paths

WHITE = (255, 255, 255)
ALLOWED = "a model's folder (models/<dataset>/<model>), a checkpoint in it, or models:/NAME@ALIAS"


class Found(NamedTuple):
    """A generator, on the CPU, in words which one it is, and of one that translates how images were
    brought to it, and what the domains are called that it is told: `given` of its config.json."""

    generator: Any
    words: str
    given: Mapping[str, Any]

    @property
    def form(self) -> Form:
        """What it takes."""
        fit, background = self.given.get("fit", "crop"), self.given.get("background", WHITE)
        of = self.generator.in_channels, self.generator.image_size
        return Form(*of, fit, (background[0], background[1], background[2]))


def load(what: str) -> tuple[Generator, str]:
    """The generator, on the CPU, and in words which one it is.

    Raises `GanvasError` where `what` names none that makes images of noise, or its files cannot be
    read.
    """
    found = _find(what)
    if not isinstance(found.generator, Generator):
        raise GanvasError(f"{what}: makes images of images, as `ganvas translate` does")
    return found.generator, found.words


def load_translating(what: str) -> Found:
    """The same of one that makes images of images."""
    found = _find(what)
    if isinstance(found.generator, Generator):
        raise GanvasError(f"{what}: makes images of noise, as `ganvas draw` does")
    return found


def domain(found: Found, to: str | None) -> int | None:
    """Which domain the generator is told, by its name, or by its number where it has none.

    None of one that leads one way. Raises `GanvasError` where the domain has to be named, or there
    is no such.
    """
    names = list(found.given.get("domains", ()))
    if len(names) != found.generator.domains:  # nobody knows
        names = [str(number) for number in range(found.generator.domains)]
    if not names and to is None:
        return None
    if to not in names:
        wanted = f"name one of {', '.join(names)}" if names else "it leads one way; leave it out"
        raise GanvasError(f"--to {to}: {wanted}" if to else f"--to: missing; {wanted}")
    return names.index(to)


def _find(what: str) -> Found:
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
            generator = checkpoints.load(folder / registry.WEIGHTS, architecture)
            given = json.loads((folder / registry.FACTS).read_text()).get(registry.GIVEN, {})
        return Found(generator, f"{what}, version {version}", given)
    path = Path(what)
    if path.is_dir():
        checkpoint, how = of_model(path)
        return Found(_read(checkpoint), f"{checkpoint}, {how}", _given(checkpoint))
    if not path.exists():
        raise GanvasError(f"{what}: no such file or folder; give {ALLOWED}")
    if path.suffix != ".safetensors":
        raise GanvasError(f"{what}: no checkpoint, which ends in .safetensors; give {ALLOWED}")
    return Found(_read(path), str(path), _given(path))


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


def _given(checkpoint: Path) -> Mapping[str, Any]:
    """Of the config.json of its training, where it still lies in its folder."""
    try:
        config = json.loads((checkpoint.parents[1] / "config.json").read_text())
        given: Mapping[str, Any] = config.get("given", {})
    except (OSError, ValueError):
        return {}
    return given


def _read(checkpoint: Path) -> Any:
    """The generator of a safetensors file, whose architecture lies beside it."""
    architecture = checkpoint.with_name(checkpoints.ARCHITECTURE)
    return checkpoints.load(checkpoint, checkpoints.architecture(architecture))
