"""Check params.yaml, all of it, before anything runs. Stage `params` of dvc.yaml.

Every other stage comes after this one, so a wrong key stops `dvc repro` before it has touched a
finished output. data/params.checked never changes: that params.yaml changed makes no later stage
rerun. data/recipes/ are links to the modules that each model alone uses: an edit there concerns
that model, and as it is seen through the links, `dvc status` says so at once.
"""

import shutil
from pathlib import Path

from ganvas import devices, files, networks, parts
from ganvas.config import Params
from ganvas.errors import GanvasError
from ganvas.workflow import instances, modules, program

# What is asked of a module that a recipe names.
HOLDS = {
    "network": ("build",),
    "objective": ("discriminator_loss", "generator_loss"),
    "method": ("Method",),
}


def main(params: Params) -> None:
    devices.choose(params.device)
    shutil.rmtree(modules.LINKS, ignore_errors=True)
    for instance in instances.matrix(params):
        recipe = instance.recipe
        for kind, names in HOLDS.items():
            _check_part(kind, getattr(recipe, kind), names)
        try:
            networks.build(recipe.network, recipe.latent_dim, params.image_size, seed=0)
        except GanvasError as error:
            raise GanvasError(f"params.yaml: models.{instance.model}: {error}") from None
        modules.link(instance.links, recipe.model_dump())
    files.write_text(Path("data/params.checked"), "params.yaml is valid\n")


def _check_part(kind: str, name: str, holds: tuple[str, ...]) -> None:
    absent = [each for each in holds if not hasattr(parts.load(kind, name), each)]
    if absent:
        raise GanvasError(f"{parts.file(kind, name)}: no {', '.join(absent)}; a {kind} needs it")


if __name__ == "__main__":
    program.run_stage(main)
