"""Check params.yaml, all of it, before anything runs. Stage `params` of dvc.yaml.

Every other stage comes after this one, so a wrong key stops `dvc repro` before it has touched a
finished output. Into data/datasets.json it writes the settings of the data sets, defaults filled
in, which are the other stages' parameters. data/recipes/ are links to the modules that each model
alone uses: an edit there concerns that model, and as it is seen through the links, `dvc status`
says so at once. data/places/ are links to people's own images, for the same reason.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import torch

from ganvas import devices, files, parts
from ganvas.config import Params
from ganvas.data import made
from ganvas.errors import GanvasError
from ganvas.training.sharing import Sharing
from ganvas.workflow import instances, modules, paths, pipeline, program

# What is asked of a module that a recipe names.
HOLDS = {
    "network": ("build",),
    "objective": ("discriminator_loss", "generator_loss", "PROBABILITY", "PAIRED"),
    "penalties": ("penalty", "AT"),
    "augment": ("augment",),
    "optimizer": ("make",),
    "method": ("Method",),
}
IMAGES = 10  # of as many classes


def main(params: Params) -> None:
    devices.choose(params.device)
    for folder in (modules.LINKS, instances.PLACES):
        shutil.rmtree(folder, ignore_errors=True)
    for data in instances.data_sets(params):
        _place(data)
    for instance in instances.matrix(params):
        recipe = instance.recipe
        for kind, names in HOLDS.items():
            for name in parts.named(recipe.model_dump(), kind):
                _check_part(kind, name, names)
        try:
            Sharing(params.train.processes).check(recipe.batch_size)
            # All that a training builds, on images that are none.
            method = parts.load("method", recipe.method).Method
            method(recipe, _pretended(instance.data), params.seed).optimizers()
        except GanvasError as error:
            where = f"models.{instance.model} on {instance.data.name}"
            raise GanvasError(f"params.yaml: {where}: {error}") from None
        if recipe.penalties and recipe.discriminator_norm == "batch":
            print(
                f"warning: params.yaml: models.{instance.model}: penalties beside BatchNorm in the "
                "discriminator, where an image's gradient depends on the whole batch (Gulrajani "
                "2017, section 4); discriminator_norm: none is meant for them",
                file=sys.stderr,
            )
        modules.link(instance.links, recipe.model_dump())
    files.write_json(Path(pipeline.SETTINGS), params.data_sets())


def _pretended(data: instances.DataSet) -> dict[str, torch.Tensor]:
    """Tensors as those of its training split, of images that are none."""
    settings = data.settings
    shape = IMAGES, settings.channels, settings.image_size, settings.image_size
    images, several = np.zeros(shape, np.uint8), torch.arange(IMAGES)
    arrays = {"images": images}
    if isinstance(settings.made, str):
        arrays["inputs"], arrays["images"] = made.PAIRS[settings.made](images)
    elif settings.holds == "pairs":
        arrays["inputs"] = images
    found = {name: torch.from_numpy(values) for name, values in arrays.items()}
    if settings.holds == "domains":  # how many a folder has is not known yet
        found["domains"] = several % (len(settings.made) if settings.made else 2)
    if settings.classes:  # nor whether it has some
        found["labels"] = several
    return found


def _place(data: instances.DataSet) -> None:
    """A link to where the images lie, if they are a person's own; DVC looks through it."""
    if data.settings.folder is None:
        files.write_text(data.place, "published: see data/raw\n")
        return
    folder = Path(data.settings.folder).expanduser()
    # An experiment runs in a copy, which has nothing that git and DVC do not know.
    found = folder if folder.exists() else paths.ROOT / folder
    if not found.exists():
        raise GanvasError(
            f"params.yaml: datasets.{data.name}.folder: {data.settings.folder}: no such file or "
            "folder; name where your images lie"
        )
    files.link(data.place, found)


def _check_part(kind: str, name: str, holds: tuple[str, ...]) -> None:
    absent = [each for each in holds if not hasattr(parts.load(kind, name), each)]
    if absent:
        raise GanvasError(f"{parts.file(kind, name)}: no {', '.join(absent)}; {kind} needs it")


if __name__ == "__main__":
    program.run_stage(main)
