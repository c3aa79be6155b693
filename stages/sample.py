"""Draw images from the selected generator. Stage `sample` of dvc.yaml."""

import json

import numpy as np

from ganvas import devices, files, pictures
from ganvas.data import datasets
from ganvas.drawing import sampling
from ganvas.evaluation.metrics.memorisation import either_way, nearest
from ganvas.training import checkpoints
from ganvas.workflow import mirror, program
from ganvas.workflow.instances import Instance

NEAREST_OF = 8  # images whose nearest training images are shown


def main(instance: Instance) -> None:
    params, folder = instance.params, instance.samples
    device = devices.choose(params.device)
    # Opened first: MLflow takes seconds to import, beside the work and not after it.
    with mirror.of_model(instance) as tracker:
        selection = json.loads((instance.results / "selection.json").read_text())
        generator = checkpoints.load(
            instance.generators / selection["checkpoint"],
            checkpoints.architecture(instance.architecture),
        ).to(device)
        images = sampling.images(generator, params.evaluate.images, params.seed)
        files.write_array(folder / "images.npy", images)
        asked = sampling.asked(generator, len(images), params.seed)
        (folder / "classes.npy").unlink(missing_ok=True)  # of a recipe that was told them
        if asked is not None:
            files.write_array(folder / "classes.npy", asked.numpy())
        side, shown = params.sample.grid, images[: params.sample.grid**2]
        if asked is not None:
            shown = sampling.of_each_class(generator, side, params.seed)
        pictures.save_png(folder / "grid.png", pictures.grid(shown, side))
        strip = sampling.interpolation(generator, params.sample.interpolation, params.seed)
        columns = params.sample.interpolation
        pictures.save_png(folder / "interpolation.png", pictures.grid(strip, columns))
        # What the first images look like in the training data: copies would show.
        train = datasets.load(instance.data.normalized, "train").pixels()
        if instance.recipe.horizontal_flips:
            train = either_way(train)
        rows, _ = nearest(images[:NEAREST_OF], train, k=5)
        beside = np.concatenate([images[:NEAREST_OF, None], train[rows]], axis=1)
        strips = pictures.grid(beside.reshape(-1, *train.shape[1:]), beside.shape[1])
        pictures.save_png(folder / "nearest.png", strips)
        mirror.samples(tracker, instance)
        mirror.lineage(tracker, "sample", instance)


if __name__ == "__main__":
    program.run_stage(main)
