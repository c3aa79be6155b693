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
    """The measures that compare features; those of classes only from a network that knows classes.

    `labels`, where they are known: what the real images are and the others were asked to be, int64.
    """
    own = extractor == "classifier"  # Inception's 1,008 classes are no data set's here
    knows_classes = own or extractor == "inception"
    kinds = ("features", "probabilities") if knows_classes else ("features",)
    found = _walk(kinds, real, fake, seed)
    if own:
        found |= _walk(("classes",), real, fake, seed)
        found["histogram"] = histogram(fake)
    if labels is not None:
        sides = measures.Labelled(real, labels[0]), measures.Labelled(fake, labels[1])
        found |= _walk(("features of classes",), *sides, seed)
        found |= _walk(("answers",), *sides, seed) if own else {}
    return found


def floor(
    extractor: str,
    test: Features,
    train: Features,
    labels: tuple[Tensor, Tensor] | None,
    seed: int,
) -> Scores:
    """What a perfect generator would score: real training images in the place of generated ones.

    But for what the classifier says of a class: it has learnt the training images, so its shares of
    classes and its accuracy are those of the test images. `labels` are of both, test first, None
    where there are no classes.
    """
    found = of_features(extractor, test, train, seed, labels)
    if extractor == "classifier" and labels is not None:
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
    """Every measure of images, by extractor, with what the numbers mean.

    Images are uint8 (N, H, W), or in colour (N, H, W, 3).
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
    found["pixels"] = _walk(("pixels",), real, images, seed)
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
            _or_nothing(scores["floor"][group].get(measure)),
            scores["images"],
            reference,
            scores["extractors"].get(group, ""),
        ]
        for group in _groups(scores)
        for measure, value in scores[group].items()
        if isinstance(value, int | float)
    ]
    return header, rows


def _or_nothing(value: float | None) -> float | str:
    return "" if value is None else float(value)


def _groups(scores: Scores) -> list[str]:
    return [*scores["extractors"], "pixels"]


def _walk(kinds: tuple[str, ...], real: Any, fake: Any, seed: int) -> Scores:
    """Of those kinds, in the order of the registry."""
    return {
        name: value
        for measure in measures.MEASURES.values()
        if measure.of in kinds
        for name, value in measure.compare(real, fake, seed).items()
    }
