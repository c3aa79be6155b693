"""Train the feature extractor of one data set. Stage `classifier` of dvc.yaml."""

import sys

from ganvas import devices, files, progress
from ganvas.data import datasets
from ganvas.evaluation import classifier, features, trust
from ganvas.workflow import program
from ganvas.workflow.instances import DataSet


def main(data: DataSet) -> None:
    settings = data.classifier
    device = devices.choose(data.params.device)
    train, test = (datasets.load(data.normalized, split) for split in ("train", "test"))
    epochs = classifier.train(settings, train, device)
    what = f"classifier {data.name}"
    *_, (network, _) = progress.each(epochs, what, settings.epochs, "epochs")
    predicted = features.extract(network, test.images, device).probabilities.argmax(1)
    accuracy = (predicted == test.labels).double().mean().item()
    print(f"{what}: {accuracy:.2%} of the test images right")
    files.write_tensors(data.classifier_weights, network.state_dict())
    scores = {
        "test_accuracy": accuracy,
        "test_images": len(test.labels),
        "train_images": len(train.labels),
    }
    for warning in trust.warnings(scores):
        print(f"warning: {data.name}: {warning}", file=sys.stderr)
    files.write_json(data.results / "classifier.json", scores)


if __name__ == "__main__":
    program.run_stage(main)
