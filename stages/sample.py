"""Draw images from the selected generator. Stage `sample` of dvc.yaml."""

import json

import numpy as np

from ganvas import devices, files, pictures
from ganvas.data import datasets, questions
from ganvas.drawing import exam
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
        count, seed, show = params.evaluate.images, params.seed, params.sample
        test = datasets.tensors(instance.data.normalized, "test")
        asked = questions.ask(test, count, seed, len(instance.data.domain_names))
        processes = params.train.processes
        drawn = exam.draw(generator, asked, count, seed, back=True, processes=processes)
        for name, values in drawn._asdict().items():
            path = folder / f"{name}.npy"
            path.unlink(missing_ok=True)  # of a recipe that was told classes
            if values is not None:
                files.write_array(path, values)
        sheets = exam.sheets(generator, asked, drawn, show.grid, show.interpolation, seed)
        for file, sheet in sheets.items():
            pictures.save_png(folder / file, sheet)
        images = drawn.images
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
