"""Mode collapse: which classes does the generator make, and how often?"""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from ganvas.errors import GanvasError
from ganvas.evaluation.metrics import arrays
from ganvas.evaluation.metrics.arrays import Array


class Modes(TypedDict):
    """What `modes` returns."""

    covered: int
    kl: float
    histogram: NDArray[np.int64]


def modes(probabilities: Array, real_class_histogram: Array) -> Modes:
    """Classes among generated images, by the classifier's first choice (N, K).

    covered: number of classes with at least one image, 0 to K. kl: KL(generated || real) of the
    two class histograms in nats; 0 when the shares are equal, log K when one of K equally
    frequent classes is left. histogram: images per class, int64 (K,). As for stacked MNIST in Lin
    et al. 2018, "PacGAN", section 4. One misread image is enough to cover a class, so read
    `covered` together with `kl`. `real_class_histogram` (K,) holds counts or shares.
    The order of the images changes nothing.

    Raises `GanvasError` on rows that are no distributions, on another number of classes, and when
    a class is generated that no real image has: the divergence would be infinite.
    """
    histogram = class_histogram(probabilities)
    real = arrays.numbers(real_class_histogram, "real class histogram", dimensions=1)
    if real.shape != histogram.shape or real.min() < 0 or real.sum() == 0:
        raise GanvasError(
            f"modes: the real histogram must hold {len(histogram)} counts, not all 0, "
            f"got shape {real.shape}"
        )
    unknown = np.flatnonzero((histogram > 0) & (real == 0))
    if unknown.size:
        raise GanvasError(
            f"modes: no real image is in class {unknown[0]}, but {histogram[unknown[0]]} generated "
            "ones are: more real images are needed"
        )
    shares, real_shares = histogram / histogram.sum(), real / real.sum()
    return {
        "covered": int((histogram > 0).sum()),
        # Of two equal histograms rounding may leave -1e-17, and a divergence is not negative.
        "kl": max(float(rel_entr(shares, real_shares).sum()), 0.0),
        "histogram": histogram,
    }


def class_histogram(probabilities: Array) -> NDArray[np.int64]:
    """Images per class (K,), each counted where its probability (N, K) is highest."""
    rows = arrays.probabilities(probabilities)
    return np.bincount(rows.argmax(axis=1), minlength=rows.shape[1])
