"""Check params.yaml, all of it, before anything runs. Stage `params` of dvc.yaml.

Every other stage comes after this one, so a wrong key stops `dvc repro` before it has touched a
finished output. data/params.checked never changes: that params.yaml changed makes no later stage
rerun. data/recipes/ are links to the modules that each model alone uses: an edit there concerns
that model, and as it is seen through the links, `dvc status` says so at once.
"""

import shutil
import sys
from pathlib import Path

import torch

from ganvas import devices, files, parts
from ganvas.config import Params
from ganvas.errors import GanvasError
from ganvas.workflow import instances, modules, program

# What is asked of a module that a recipe names.
HOLDS = {
    "network": ("build",),
    "objective": ("discriminator_loss", "generator_loss", "PROBABILITY", "PAIRED"),
    "penalties": ("penalty", "AT"),
    "augment": ("augment",),
    "optimizer": ("make",),
    "method": ("Method",),
}
CLASSES = 10


def main(params: Params) -> None:
    devices.choose(params.device)
    shutil.rmtree(modules.LINKS, ignore_errors=True)
    images = torch.zeros(CLASSES, 1, params.image_size, params.image_size, dtype=torch.uint8)
    data = {"images": images, "labels": torch.arange(CLASSES)}
    for instance in instances.matrix(params):
        recipe = instance.recipe
        for kind, names in HOLDS.items():
            for name in parts.named(recipe.model_dump(), kind):
                _check_part(kind, name, names)
        try:
            # All that a training builds, on images that are none.
            parts.load("method", recipe.method).Method(recipe, data, params.seed).optimizers()
        except GanvasError as error:
            raise GanvasError(f"params.yaml: models.{instance.model}: {error}") from None
        if recipe.penalties and recipe.discriminator_norm == "batch":
            print(
                f"warning: params.yaml: models.{instance.model}: penalties beside BatchNorm in the "
                "discriminator, where an image's gradient depends on the whole batch (Gulrajani "
                "2017, section 4); discriminator_norm: none is meant for them",
                file=sys.stderr,
            )
        modules.link(instance.links, recipe.model_dump())
    files.write_text(Path("data/params.checked"), "params.yaml is valid\n")


def _check_part(kind: str, name: str, holds: tuple[str, ...]) -> None:
    absent = [each for each in holds if not hasattr(parts.load(kind, name), each)]
    if absent:
        raise GanvasError(f"{parts.file(kind, name)}: no {', '.join(absent)}; {kind} needs it")


if __name__ == "__main__":
    program.run_stage(main)
