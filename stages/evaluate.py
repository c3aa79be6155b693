"""Score the generated images against the real test images. Stage `evaluate` of dvc.yaml."""

import numpy as np

from ganvas import config, devices, evaluation, extractors, features, files
from stages import cli, mirror, paths


def main(dataset: str, model: str) -> None:
    params = config.load()
    device = devices.choose(params.device)
    images = np.load(paths.samples(dataset, model) / "images.npy")
    scores: dict[str, object] = {"images": len(images)}
    flat: dict[str, float] = {}
    for name in params.datasets[dataset].extractors:
        extractor = extractors.load(
            name, params, dataset, paths.classifier(dataset), paths.INCEPTION, device
        )
        real = features.load(paths.reference(dataset, name), "test")
        fake = features.extract(extractor, images, device)
        of_extractor = evaluation.scores(name, real, fake, params.seed)
        scores[name] = of_extractor
        flat |= {f"{name}.{measure}": value for measure, value in of_extractor.items()}
        print(f"{dataset}-{model}: {name} FID {of_extractor['fid']:.2f}")
    files.write_json(paths.results(dataset, model) / "metrics.json", scores)
    with mirror.of_model(dataset, model, params) as tracker:
        tracker.metrics(flat)


if __name__ == "__main__":
    cli.run(main)
