"""Measures of generated images: one file each, pure functions, float64; here their registry.

`MEASURES` is what the stages reference and evaluate walk. An entry says what it is computed of and
takes the real side, the generated side and a seed; it returns numbers under stable names. To
add a measure, write its file and one entry below. The floor of a measure is the same call with real
training images in the place of the generated ones.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from torch import Tensor

from ganvas.evaluation.features import Features
from ganvas.evaluation.metrics.arrays import Array
from ganvas.evaluation.metrics.classes import class_accuracy, class_fids, domain_accuracy
from ganvas.evaluation.metrics.frechet import (
    frechet_distance,
    frechet_distance_deviation,
    frechet_distance_infinity,
    statistics,
)
from ganvas.evaluation.metrics.inception_score import inception_score
from ganvas.evaluation.metrics.kernel import kernel_distance
from ganvas.evaluation.metrics.manifold import manifold
from ganvas.evaluation.metrics.memorisation import memorisation_from_distances, nearest_distance
from ganvas.evaluation.metrics.modes import class_histogram, modes
from ganvas.evaluation.metrics.truth import WINDOW, l1, psnr, ssim


class Measure(NamedTuple):
    """`of`: features of any extractor, probabilities of one that knows classes, classes where they
    are the data set's own, or pixels.

    Images of known classes, `Labelled`, are compared by features of each class, and answers, where
    the extractor's classes are the data set's own; where these are of several domains, by domains.
    Translated images are compared with the truth, and those of a cycle with what they came from.
    """

    of: Literal[
        "features",
        "probabilities",
        "classes",
        "pixels",
        "features of classes",
        "answers",
        "domains",
        "truth",
        "cycle",
    ]
    compare: Callable[[Any, Any, int], dict[str, Any]]


class RealPixels(NamedTuple):
    """Real images to hold generated ones against."""

    train: Array  # uint8 (M, H, W) or (M, H, W, 3): what the generator was trained on
    test_distance: float  # nearest_distance(test, train): the same for every model, so made once


class Labelled(NamedTuple):
    """Features of images whose classes are known."""

    features: Features
    labels: Tensor  # int64 (N,): what a real image is, or a generated one was asked to be
    classes: int = 0  # that each domain has: of the first, of the second, …


def _frechet(real: Features, fake: Features, seed: int) -> dict[str, float]:
    mu, sigma = statistics(real.features)
    return {
        "fid": frechet_distance(mu, sigma, *statistics(fake.features)),
        "fid_std": frechet_distance_deviation(mu, sigma, fake.features, seed=seed),
        "fid_infinity": frechet_distance_infinity(real.features, fake.features, seed),
    }


def _inception_score(real: Features, fake: Features, seed: int) -> dict[str, float]:
    mean, deviation = inception_score(fake.probabilities, seed=seed)
    return {"inception_score": mean, "inception_score_std": deviation}


def _kernel(real: Features, fake: Features, seed: int) -> dict[str, float]:
    # KID has no bias at any size, so a small data set is compared in smaller subsets; half of it
    # at most, since subsets that are all the same would have no deviation.
    size = min(1000, len(real.features) // 2, len(fake.features) // 2)
    mean, deviation = kernel_distance(real.features, fake.features, subset_size=size, seed=seed)
    return {"kid": mean, "kid_std": deviation}


def _manifold(real: Features, fake: Features, seed: int) -> dict[str, float]:
    return manifold(real.features, fake.features)


def _modes(real: Features, fake: Features, seed: int) -> dict[str, float]:
    known = class_histogram(real.probabilities)
    if (class_histogram(fake.probabilities)[known == 0] > 0).any():
        return {}  # a class of which no real image was held out: nothing to compare it with
    found = modes(fake.probabilities, known)
    return {"modes_covered": float(found["covered"]), "modes_kl": found["kl"]}


def _class_fid(real: Labelled, fake: Labelled, seed: int) -> dict[str, Any]:
    found = class_fids(real.features.features, real.labels, fake.features.features, fake.labels)
    known = [fid for fid in found if fid is not None]
    return {"class_fid": sum(known) / len(known), "class_fids": found} if known else {}


def _class_accuracy(real: Labelled, fake: Labelled, seed: int) -> dict[str, float]:
    return {"class_accuracy": class_accuracy(fake.features.probabilities, fake.labels)}


def _domains(real: Labelled, fake: Labelled, seed: int) -> dict[str, float]:
    of = fake.features.probabilities, fake.labels, fake.classes
    domain, kept = domain_accuracy(*of)
    return {"domain_accuracy": domain} | ({"class_kept": kept} if fake.classes > 1 else {})


def _truth(real: Array, fake: Array, seed: int) -> dict[str, float]:
    found = {"l1": l1(fake, real), "psnr": psnr(fake, real)}
    if min(real.shape[1:3]) >= WINDOW:  # smaller images have no SSIM
        found["ssim"] = ssim(fake, real)
    return found


def _cycle(real: Array, fake: Array, seed: int) -> dict[str, float]:
    return {"cycle_l1": l1(fake, real)}


def _memorisation(real: RealPixels, fake: Array, seed: int) -> dict[str, float]:
    distance = nearest_distance(fake, real.train)
    return {"memorisation": memorisation_from_distances(distance, real.test_distance)}


MEASURES = {
    "frechet": Measure("features", _frechet),
    "inception_score": Measure("probabilities", _inception_score),
    "kernel": Measure("features", _kernel),
    "manifold": Measure("features", _manifold),
    "modes": Measure("classes", _modes),
    "class_accuracy": Measure("answers", _class_accuracy),
    "domain_accuracy": Measure("domains", _domains),
    "class_fid": Measure("features of classes", _class_fid),
    "memorisation": Measure("pixels", _memorisation),
    "truth": Measure("truth", _truth),
    "cycle": Measure("cycle", _cycle),
}
