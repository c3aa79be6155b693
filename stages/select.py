"""Score every checkpoint of a training and take one. Stage `select` of dvc.yaml.

The score is the FID against the validation images, which neither network was trained on: no test
image takes part in the choice.
"""

import json

from ganvas import (
    checkpoints,
    config,
    devices,
    extractors,
    features,
    files,
    progress,
    sampling,
    selection,
)
from ganvas.metrics.frechet import frechet_distance, statistics
from stages import cli, mirror, paths


def main(dataset: str, model: str) -> None:
    params = config.load()
    recipe = params.recipe(dataset, model)
    device = devices.choose(params.device)
    # Opened first: MLflow takes seconds to import, beside the work and not after it.
    with mirror.of_model(dataset, model, params) as tracker:
        name = params.datasets[dataset].extractors[0]
        extractor = extractors.load(
            name, params, dataset, paths.classifier(dataset), paths.INCEPTION, device
        )
        real = statistics(features.load(paths.reference(dataset, name), "validation").features)
        found = sorted((paths.model(dataset, model) / "generator").glob("*.safetensors"))
        scored = []
        for path in progress.each(found, f"select {dataset}-{model}", len(found), "checkpoints"):
            generator = checkpoints.load(
                path, recipe.network, recipe.latent_dim, params.image_size
            ).to(device)
            images = sampling.images(
                generator, params.select.images, recipe.latent_dim, params.seed
            )
            fake = statistics(
                features.extract(extractor, images, device, extractors.BATCH[name]).features
            )
            scored.append(
                selection.Scored(
                    *checkpoints.facts(path), path.name, frechet_distance(*real, *fake)
                )
            )
        scored.sort()  # by epoch: names of files sort 10000 before 9999
        folder = paths.results(dataset, model)
        chosen = selection.choose(scored, params.select.rule)
        columns = ("epoch", "iteration", "fid", "generator_loss")
        rows = [[getattr(score, column) for column in columns] for score in scored]
        files.write_csv(folder / "selection.csv", columns, rows)
        files.write_json(folder / "selection.json", {"extractor": name, **chosen})
        print(f"{dataset}-{model}: epoch {chosen['epoch']} taken ({params.select.rule})")
        mirror.selection(tracker, dataset, model)
        mirror.lineage(tracker, "select", dataset, model)
        if params.tracking.tensorboard:
            key = json.loads((paths.model(dataset, model) / "config.json").read_text())["run"]
            with mirror.events(dataset, model, params, key, scored[-1].iteration) as events:
                events.curves(mirror.checkpoint_fids(dataset, model))


if __name__ == "__main__":
    cli.run(main)
