"""Inception Score: are single images recognisable, and all of them together diverse?"""

import numpy as np
from scipy.special import xlogy

from ganvas.errors import GanvasError
from ganvas.evaluation.metrics import arrays
from ganvas.evaluation.metrics.arrays import Array, Floats


def inception_score(probabilities: Array, splits: int = 10, seed: int = 0) -> tuple[float, float]:
    """Mean and standard deviation over splits of exp(E KL(p(y|x) || p(y))), each in [1, K].

    Salimans et al. 2016, "Improved Techniques for Training GANs", section 4; reference
    implementation: torch-fidelity's `isc_features_to_metric`. `probabilities` (N, K) are softmax
    outputs. 1 means that all images look alike to the classifier, K that each is certain and the
    classes are equally frequent.

    Images are shuffled by `seed` before they are split, so a file sorted by class scores as a
    mixed one does. Another order then means other splits: the mean moves by less than the
    deviation. With splits=1 nothing depends on the order.
    Raises `GanvasError` on rows that are no distributions, or fewer images than splits.
    """
    rows = arrays.probabilities(probabilities)
    if not 1 <= splits <= len(rows):
        raise GanvasError(f"Inception Score: {len(rows)} images cannot be cut into {splits} splits")
    shuffled = rows[np.random.default_rng(seed).permutation(len(rows))]
    bounds = [split * len(rows) // splits for split in range(1, splits)]
    scores = [_score(part) for part in np.split(shuffled, bounds)]
    return float(np.mean(scores)), float(np.std(scores))


def _score(rows: Floats) -> float:
    marginal = rows.mean(axis=0)
    # E sum p (log p - log q): q is the mean of p, so the second term needs no loop over images.
    divergence = xlogy(rows, rows).sum(axis=1).mean() - xlogy(marginal, marginal).sum()
    return float(np.exp(max(divergence, 0.0)))
