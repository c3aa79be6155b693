"""How well a generator that is told classes keeps to them."""

import numpy as np
from numpy.typing import NDArray

from ganvas.errors import GanvasError
from ganvas.evaluation.metrics import arrays
from ganvas.evaluation.metrics.arrays import Array
from ganvas.evaluation.metrics.frechet import frechet_distance, statistics


def class_accuracy(probabilities: Array, asked: Array) -> float:
    """Share of the images that a classifier takes for the class asked for, from 0 to 1.

    Probabilities (N, K), classes (N,). As AC-GAN's (Odena 2017, arXiv:1610.09585, section 4.1).
    Raises `GanvasError` on rows that are no distributions, or another number of classes asked for.
    """
    rows = arrays.probabilities(probabilities)
    return float((rows.argmax(axis=1) == _labels(asked, len(rows), "asked for")).mean())


def domain_accuracy(probabilities: Array, asked: Array, classes: int) -> tuple[float, float]:
    """Share of the images in the domain asked for, and share that is of the right class, 0 to 1.

    What a classifier tells apart, (N, K), and what was asked for, (N,), are the `classes` of the
    first domain, then those of the second, and so on. The first is StarGAN's measure (Choi 2018,
    arXiv:1711.09020, section 5.4), the second says what is left of an image. Raises `GanvasError`
    as `class_accuracy`.
    """
    rows = arrays.probabilities(probabilities)
    found, wanted = rows.argmax(axis=1), _labels(asked, len(rows), "asked for")
    shares = found // classes == wanted // classes, found % classes == wanted % classes
    return float(shares[0].mean()), float(shares[1].mean())


def class_fids(
    real_features: Array, real_labels: Array, fake_features: Array, asked: Array
) -> list[float | None]:
    """The FID within each class from 0 on; None where either side has fewer than two of it.

    Features (N, D), classes (N,). Their mean is the intra-FID of Miyato and Koyama 2018
    (arXiv:1802.05637, section 5). Raises `GanvasError` on features or classes that do not fit.
    """
    real = arrays.features(real_features, "real features")
    fake = arrays.features(fake_features, "generated features")
    arrays.same_width(real, fake)
    of_real = _labels(real_labels, len(real), "of the real images")
    of_fake = _labels(asked, len(fake), "asked for")
    found: list[float | None] = []
    for label in range(int(max(of_real.max(), of_fake.max())) + 1):
        sides = real[of_real == label], fake[of_fake == label]
        if min(map(len, sides)) < 2:
            found.append(None)
        else:
            found.append(frechet_distance(*statistics(sides[0]), *statistics(sides[1])))
    return found


def _labels(values: Array, count: int, which: str) -> NDArray[np.int64]:
    labels = arrays.numbers(values, f"classes {which}", dimensions=1).astype(np.int64)
    if len(labels) != count or labels.min() < 0:
        raise GanvasError(
            f"classes {which}: {count} numbers from 0 on are needed, got {len(labels)}, the least "
            f"{labels.min() if len(labels) else 'none'}"
        )
    return labels
