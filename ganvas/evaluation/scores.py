"""Every measure on one set of images: what the stages reference and evaluate walk."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from ganvas.evaluation import measures
from ganvas.evaluation.extractors import Extractor
from ganvas.evaluation.features import Features
from ganvas.evaluation.metrics.classes import class_accuracy
from ganvas.evaluation.metrics.modes import class_histogram

Scores = dict[str, Any]  # a number by the measure's name; `histogram` is a list


def of_features(
    extractor: str,
    real: Features,
    fake: Features,
    seed: int,
    labels: tuple[Tensor, Tensor] | None = None,
) -> Scores:
    """The measures that compare features; those of classes only from the data set's classifier.

    `labels`, where they are known: what the real images are and the others were asked to be, int64.
    """
    found = _walk("features", real, fake, seed)
    own = extractor == "classifier"  # Inception's 1,008 classes are no data set's here
    if own:
        found |= _walk("classes", real, fake, seed)
        found["histogram"] = histogram(fake)
    if labels is not None:
        sides = measures.Labelled(real, labels[0]), measures.Labelled(fake, labels[1])
        found |= _walk("features of classes", *sides, seed)
        found |= _walk("answers", *sides, seed) if own else {}
    return found


def floor(
    extractor: str, test: Features, train: Features, labels: tuple[Tensor, Tensor], seed: int
) -> Scores:
    """What a perfect generator would score: real training images in the place of generated ones.

    But for what the classifier says of a class: it has learnt the training images, so its shares of
    classes and its accuracy are those of the test images. `labels` are of both, test first.
    """
    found = of_features(extractor, test, train, seed, labels)
    if extractor == "classifier":
        found["histogram"] = histogram(test)
        found["class_accuracy"] = class_accuracy(test.probabilities, labels[0])
    return found


def histogram(images: Features) -> list[float]:
    """Share of the images in each class, by the classifier."""
    counts = class_histogram(images.probabilities)
    return [round(count / len(images.probabilities), 6) for count in counts.tolist()]


def score(
    images: np.ndarray,
    extractors: Iterable[Extractor],
    references: Mapping[str, Features],
    real: measures.RealPixels,
    seed: int,
    labels: tuple[Tensor, Tensor] | None = None,
) -> Scores:
    """Every measure of images uint8 (N, H, W), by extractor, with what the numbers mean.

    `references` are the features of the real test images by extractor, `labels` are those of
    `of_features`. Raises `GanvasError` on images that cannot be scored.
    """
    found: Scores = {"images": len(images), "reference": "test", "extractors": {}}
    for extractor in extractors:
        reference = references[extractor.name]
        found["reference_images"] = len(reference.features)
        found["extractors"][extractor.name] = extractor.sha256
        fake = extractor.extract(images)
        found[extractor.name] = of_features(extractor.name, reference, fake, seed, labels)
    found["pixels"] = _walk("pixels", real, images, seed)
    return found


def numbers(scores: Scores) -> Scores:
    """What compares between models, and nothing that only explains."""
    return {"images": scores["images"]} | {name: scores[name] for name in _groups(scores)}


def table(scores: Scores) -> tuple[tuple[str, ...], list[list[Any]]]:
    """Header and rows: each number beside its floor and what it was computed from."""
    header = ("extractor", "measure", "value", "floor", "images", "reference", "weights_sha256")
    reference = f"{scores['reference_images']} {scores['reference']}"
    rows = [
        [
            group,
            measure,
            float(value),
            float(scores["floor"][group][measure]),
            scores["images"],
            reference,
            scores["extractors"].get(group, ""),
        ]
        for group in _groups(scores)
        for measure, value in scores[group].items()
        if isinstance(value, int | float)
    ]
    return header, rows


def _groups(scores: Scores) -> list[str]:
    return [*scores["extractors"], "pixels"]


def _walk(of: str, real: Any, fake: Any, seed: int) -> Scores:
    return {
        name: value
        for measure in measures.MEASURES.values()
        if measure.of == of
        for name, value in measure.compare(real, fake, seed).items()
    }
