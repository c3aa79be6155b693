"""Train the feature extractor of one data set. Stage `classifier` of dvc.yaml.

Where its images have no classes, it is a network that learns from the images alone.
"""

import sys
from collections.abc import Iterator

from torch import nn

from ganvas import devices, files, progress
from ganvas.data import datasets
from ganvas.evaluation import classifier, contrastive, features, trust
from ganvas.workflow import program
from ganvas.workflow.instances import DataSet


def main(data: DataSet) -> None:
    settings, names = data.classifier, data.class_names
    device = devices.choose(data.params.device)
    train, test = (datasets.load(data.normalized, split) for split in ("train", "test"))
    scores: dict[str, float] = {"test_images": len(test.images), "train_images": len(train.images)}
    steps: Iterator[tuple[nn.Module, float]]
    if train.labels is None or test.labels is None:
        name, steps = "contrastive", contrastive.train(settings, train.images, device)
    else:
        name, steps = "classifier", classifier.train(settings, train, len(names), device)
    what = f"{name} {data.name}"
    *_, (network, loss) = progress.each(steps, what, settings.epochs, "epochs")
    if test.labels is None:
        print(f"{what}: loss {loss:.3f}; there are no classes")
    else:
        predicted = features.extract(network, test.images, device).probabilities.argmax(1)
        accuracy = predicted.eq(test.labels).double().mean().item()
        scores = {"test_accuracy": accuracy} | scores
        print(f"{what}: {accuracy:.2%} of the test images right")
    for earlier in data.made_for_it.glob("*.safetensors"):
        earlier.unlink()  # of other images, where the stage is run by hand
    files.write_tensors(data.made_for_it / f"{name}.safetensors", network.state_dict())
    for warning in trust.warnings(scores):
        print(f"warning: {data.name}: {warning}", file=sys.stderr)
    files.write_json(data.results / "classifier.json", scores)


if __name__ == "__main__":
    program.run_stage(main)
