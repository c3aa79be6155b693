"""Every measure on one set of images: what the stages reference and evaluate walk."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ganvas.evaluation import measures
from ganvas.evaluation.extractors import Extractor
from ganvas.evaluation.features import Features
from ganvas.evaluation.metrics.classes import class_accuracy
from ganvas.evaluation.metrics.modes import class_histogram

Scores = dict[str, Any]  # a number by the measure's name; `histogram` is a list


class Domains(NamedTuple):
    """Of images of several domains, which one each real one is of, and the others were to be of.

    int64 (M,) and (N,); `total` is how many there are, `classes` how many each has.
    """

    real: Tensor
    fake: Tensor
    total: int
    classes: int


class Translated(NamedTuple):
    """What translated images are held against, each (N, H, W) or (N, H, W, 3), uint8.

    The answers that they should be, and with what came of `inputs` and back; None where unknown.
    """

    truth: np.ndarray | None
    inputs: np.ndarray
    returned: np.ndarray | None = None


def of_features(
    extractor: str,
    real: Features,
    fake: Features,
    seed: int,
    labels: tuple[Tensor, Tensor] | None = None,
    domains: Domains | None = None,
) -> Scores:
    """The measures that compare features; those of classes only from a network that knows classes.

    `labels`, where they are known: what the real images are and the others were asked to be, int64.
    Where there are `domains` a measure of features is the mean of those within each, a standard
    deviation that of this mean; `domain_fids` are the FIDs.
    """
    own = extractor == "classifier"  # Inception's 1,008 classes are no data set's here
    knows_classes = own or extractor == "inception"
    kinds = ("features", "probabilities") if knows_classes else ("features",)
    found = _walk(kinds, real, fake, seed, domains)
    if own:
        found |= _walk(("classes",), real, fake, seed)
        found["histogram"] = histogram(fake)
    if labels is not None:
        classes = domains.classes if domains else 0
        of_real, of_fake = (
            measures.Labelled(side, of, classes)
            for side, of in zip((real, fake), labels, strict=True)
        )
        # Where a domain is a class by itself, all of that is said of the domains.
        told: tuple[str, ...] = () if classes == 1 else ("features of classes",)
        if own:
            told += () if classes == 1 else ("answers",)
            told += ("domains",) if domains else ()
        for kind in told:
            found |= _walk((kind,), of_real, of_fake, seed)
    return found


def floor(
    extractor: str,
    test: Features,
    train: Features,
    labels: tuple[Tensor, Tensor] | None,
    seed: int,
    domains: Domains | None = None,
) -> Scores:
    """What a perfect generator would score: real training images in the place of generated ones.

    But for what the classifier says of a class: it has learnt the training images, so its shares of
    classes and its accuracy are those of the test images. `labels` are of both, test first, None
    where there are no classes.
    """
    found = of_features(extractor, test, train, seed, labels, domains)
    if extractor == "classifier" and labels is not None:
        found["histogram"] = histogram(test)
        if "class_accuracy" in found:
            found["class_accuracy"] = class_accuracy(test.probabilities, labels[0])
        if domains:
            unseen = measures.Labelled(test, labels[0], domains.classes)
            found |= _walk(("domains",), unseen, unseen, seed)
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
    domains: Domains | None = None,
    translated: Translated | None = None,
) -> Scores:
    """Every measure of images, by extractor, with what the numbers mean.

    Images are uint8 (N, H, W), or in colour (N, H, W, 3).
    `references` are the features of the real test images by extractor, `labels` and `domains` are
    those of `of_features`; images that translate are held against `translated`. Raises
    `GanvasError` on images that cannot be scored.
    """
    found: Scores = {"images": len(images), "reference": "test", "extractors": {}}
    for extractor in extractors:
        reference = references[extractor.name]
        found["reference_images"] = len(reference.features)
        found["extractors"][extractor.name] = extractor.sha256
        fake = extractor.extract(images)
        found[extractor.name] = of_features(extractor.name, reference, fake, seed, labels, domains)
    found["pixels"] = _walk(("pixels",), real, images, seed)
    if translated:
        found["pixels"] |= of_translated(images, translated, seed)
    return found


def of_translated(images: np.ndarray, translated: Translated, seed: int) -> Scores:
    """How near images, as in `score`, are to what they should be."""
    found: Scores = {}
    if translated.truth is not None:
        found |= _walk(("truth",), translated.truth, images, seed)
    if translated.returned is not None:
        found |= _walk(("cycle",), translated.inputs, translated.returned, seed)
    return found


def perfect(translated: Translated, seed: int, *, cycle: bool) -> Scores:
    """What the truth itself scores, and where ways lead back one on which nothing is lost."""
    back = translated._replace(returned=translated.inputs if cycle else None)
    images = translated.inputs if translated.truth is None else translated.truth
    return of_translated(images, back, seed)


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


def _walk(
    kinds: tuple[str, ...], real: Any, fake: Any, seed: int, domains: Domains | None = None
) -> Scores:
    """Of those kinds, in the order of the registry."""
    found: Scores = {}
    for measure in measures.MEASURES.values():
        if measure.of in kinds and measure.of == "features" and domains:
            found |= _within(measure, real, fake, seed, domains)
        elif measure.of in kinds:
            found |= measure.compare(real, fake, seed)
    return found


def _within(
    measure: measures.Measure, real: Features, fake: Features, seed: int, domains: Domains
) -> Scores:
    """The mean of a measure over the domains."""
    total = domains.total
    sides = zip(real.apart(domains.real, total), fake.apart(domains.fake, total), strict=True)
    each = [measure.compare(*side, seed) for side in sides]
    found: Scores = {}
    for name in each[0]:
        values = [of_domain[name] for of_domain in each]
        if name.endswith("_std"):
            found[name] = math.sqrt(sum(value**2 for value in values)) / len(values)
        else:
            found[name] = sum(values) / len(values)
    return found | ({"domain_fids": [of["fid"] for of in each]} if "fid" in found else {})
