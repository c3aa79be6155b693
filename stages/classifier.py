"""Train the feature extractor of one data set. Stage `classifier` of dvc.yaml."""

from ganvas import classifier, config, datasets, devices, features, files, progress
from stages import cli, paths


def main(dataset: str) -> None:
    params = config.load()
    settings = params.classifier_for(dataset)
    device = devices.choose(params.device)
    train, test = (datasets.load(paths.normalized(dataset), split) for split in ("train", "test"))
    epochs = classifier.train(settings, train, device)
    *_, (network, _) = progress.each(epochs, f"classifier {dataset}", settings.epochs, "epochs")
    predicted = features.extract(network, test.images, device).probabilities.argmax(1)
    accuracy = (predicted == test.labels).double().mean().item()
    print(f"classifier {dataset}: {accuracy:.2%} of the test images right")
    files.write_tensors(paths.classifier(dataset), network.state_dict())
    scores = {
        "test_accuracy": accuracy,
        "test_images": len(test.labels),
        "train_images": len(train.labels),
    }
    files.write_json(paths.results(dataset) / "classifier.json", scores)


if __name__ == "__main__":
    cli.run(main)
