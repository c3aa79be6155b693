"""Score generated images against the real test images. Stage `evaluate` of dvc.yaml.

With `--images PATH` in place of `--model`, images of any other system (a .npy or .npz file, or a
folder of PNGs) are put on the same scale; the scores are printed, nothing is written.
"""

import json
from pathlib import Path

import numpy as np

from ganvas import config, datasets, devices, evaluation, files
from ganvas.errors import GanvasError
from ganvas.images import read
from stages import cli, mirror, paths


def main(dataset: str, model: str | None = None, images: str | None = None) -> None:
    params = config.load()
    if (model is None) == (images is None):
        raise GanvasError("evaluate: give either --model or --images")
    if images is not None:
        scores = score(read(Path(images), params.image_size), params, dataset)
        print(json.dumps(scores, indent=2))
    else:
        of_model(params, dataset, str(model))


def of_model(params: config.Params, dataset: str, model: str) -> None:
    """Write the scores of a model's samples, and mirror them."""
    folder = paths.results(dataset, model)
    with mirror.of_model(dataset, model, params) as tracker:
        scores = score(np.load(paths.samples(dataset, model) / "images.npy"), params, dataset)
        files.write_json(folder / "metrics.json", evaluation.numbers(scores))
        files.write_csv(folder / "scores.csv", *evaluation.table(scores))
        for name in params.datasets[dataset].extractors:
            print(f"{dataset}-{model}: {name} FID {scores[name]['fid']:.2f}")
        mirror.scores(tracker, dataset, model)
        mirror.lineage(tracker, "evaluate", dataset, model)


def score(generated: np.ndarray, params: config.Params, dataset: str) -> evaluation.Scores:
    """Every measure, beside the floor of each."""
    names = params.datasets[dataset].extractors
    references: dict[str, Path] = {name: paths.reference(dataset, name) for name in names}
    floors, weights = paths.results(dataset) / "floor.json", paths.classifier(dataset)
    train = paths.normalized(dataset)
    for path in (floors, weights, train, *references.values()):
        if not path.exists():
            raise GanvasError(f"{path}: missing; make it with `dvc repro reference@{dataset}`")
    floor = json.loads(floors.read_text())
    scores = evaluation.score(
        generated,
        params,
        dataset,
        train_images=datasets.load(train, "train").images.numpy(),
        test_distance=floor["test_distance"],
        references=references,
        weights=weights,
        cache=paths.INCEPTION,
        device=devices.choose(params.device),
    )
    return scores | {"floor": {name: floor[name] for name in floor if name in scores}}


if __name__ == "__main__":
    cli.run(main)
