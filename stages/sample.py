"""Draw images from the selected generator. Stage `sample` of dvc.yaml."""

import json

from ganvas import checkpoints, config, devices, files, pictures, sampling
from stages import cli, mirror, paths


def main(dataset: str, model: str) -> None:
    params = config.load()
    recipe = params.recipe(dataset, model)
    device = devices.choose(params.device)
    selection = json.loads((paths.results(dataset, model) / "selection.json").read_text())
    generator = checkpoints.load(
        paths.model(dataset, model) / "generator" / selection["checkpoint"],
        recipe.network,
        recipe.latent_dim,
        params.image_size,
    ).to(device)
    folder = paths.samples(dataset, model)
    images = sampling.images(generator, params.evaluate.images, recipe.latent_dim, params.seed)
    files.write_array(folder / "images.npy", images)
    side = params.sample.grid
    pictures.save_png(folder / "grid.png", pictures.grid(images[: side * side], side, scale=2))
    strip = sampling.interpolation(
        generator, params.sample.interpolation, recipe.latent_dim, params.seed
    )
    columns = params.sample.interpolation
    pictures.save_png(folder / "interpolation.png", pictures.grid(strip, columns, scale=2))
    with mirror.of_model(dataset, model, params) as tracker:
        tracker.file(folder / "grid.png")
        tracker.file(folder / "interpolation.png")


if __name__ == "__main__":
    cli.run(main)
