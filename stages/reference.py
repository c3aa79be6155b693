"""Features of the real images, and the floor of every measure. Stage `reference` of dvc.yaml.

The floor is the measure between real training images and real test images: what a perfect
generator would score.
"""

from ganvas import devices, files
from ganvas.data import datasets
from ganvas.evaluation import features, scores
from ganvas.evaluation.metrics.memorisation import nearest_distance
from ganvas.workflow import extraction, program
from ganvas.workflow.instances import DataSet


def main(data: DataSet) -> None:
    params = data.params
    device = devices.choose(params.device)
    splits = {
        split: datasets.load(data.normalized, split) for split in ("train", "validation", "test")
    }
    pretended = splits["train"].first(params.evaluate.images)
    labels = None
    if splits["test"].labels is not None and pretended.labels is not None:
        labels = splits["test"].labels, pretended.labels
    floor: scores.Scores = {}
    for name in data.extractors:
        extractor = extraction.load(data, name, device)
        real = {split: extractor.extract(splits[split].images) for split in ("validation", "test")}
        fake = extractor.extract(pretended.images)
        floor[name] = scores.floor(name, real["test"], fake, labels, params.seed)
        features.save(data.reference(name), real)
    # Memorisation is measured from the test images' distance, so theirs is 0 by definition.
    floor["pixels"] = {"memorisation": 0.0}
    pixels = {split: splits[split].pixels() for split in ("test", "train")}
    floor["test_distance"] = nearest_distance(pixels["test"], pixels["train"])
    floor["images"] = len(pretended.images)
    files.write_json(data.results / "floor.json", floor)


if __name__ == "__main__":
    program.run_stage(main)
