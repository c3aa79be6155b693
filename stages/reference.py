"""Features of the real images, and the floor of every measure. Stage `reference` of dvc.yaml.

The floor is the measure between real training images and real test images: what a perfect
generator would score.
"""

from ganvas import config, datasets, devices, evaluation, extractors, features, files, metrics
from stages import cli, paths


def main(dataset: str) -> None:
    params = config.load()
    device = devices.choose(params.device)
    splits = {
        split: datasets.load(paths.normalized(dataset), split).images
        for split in ("train", "validation", "test")
    }
    pretended = splits["train"][: params.evaluate.images]
    floor: evaluation.Scores = {}
    for name in params.datasets[dataset].extractors:
        weights = paths.classifier(dataset)
        extractor = extractors.load(name, params, dataset, weights, paths.INCEPTION, device)
        real = {
            split: features.extract(extractor, splits[split], device, extractors.BATCH[name])
            for split in ("validation", "test")
        }
        fake = features.extract(extractor, pretended, device, extractors.BATCH[name])
        floor[name] = evaluation.of_features(name, real["test"], fake, params.seed)
        if name == "classifier":
            floor[name]["histogram"] = evaluation.histogram(real["test"])
        features.save(paths.reference(dataset, name), real)
    # Memorisation is measured from the test images' distance, so theirs is 0 by definition.
    floor["pixels"] = {"memorisation": 0.0}
    floor["test_distance"] = metrics.nearest_distance(splits["test"], splits["train"])
    floor["images"] = len(pretended)
    files.write_json(paths.results(dataset) / "floor.json", floor)


if __name__ == "__main__":
    cli.run(main)
