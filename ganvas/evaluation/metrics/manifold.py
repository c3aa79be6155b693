"""Precision, recall, density and coverage: is what was made real, and is all of it made?"""

import numpy as np
import torch

from ganvas.errors import GanvasError
from ganvas.evaluation.metrics import arrays
from ganvas.evaluation.metrics.arrays import Array, Floats

# Rows of a distance matrix held at once: 512 x 10,000 float64 are 41 MB.
BLOCK = 512
FLOAT32, FLOAT64 = (float(np.finfo(kind).eps) for kind in (np.float32, np.float64))
UNITS = 8  # of rounding, within which two distances are equal


def manifold(real_features: Array, fake_features: Array, k: int = 5) -> dict[str, float]:
    """{precision, recall, density, coverage} of features (M, D) and (N, D), by nearest neighbours.

    Each image owns a ball that reaches to its k-th nearest neighbour in its own set.
    precision: share of generated images inside some real ball; recall: share of real images
    inside some generated ball (Kynkäänniemi et al. 2019, eq. 2-3). density: real balls that hold a
    generated image, on average, over k, may exceed 1; coverage: share of real images whose ball
    holds a generated image (Naeem et al. 2020, eq. 4-5). Reference implementation: the `prdc`
    package, whose strict "<" is kept: so a set of identical images has balls of radius 0, and
    nothing lies inside them.

    What lies on a ball's edge is outside, and so is what the features' own rounding, that of
    float32, cannot tell from that: within 8 x 1.2e-7 |x| of the edge, |x| the norm of the ball's
    centre from the mean of the real features. Copies of one image, which are among its neighbours'
    nearest and so exactly on an edge, are then outside on every processor; otherwise the last bits
    of a matrix product would decide. Where nothing is so near to an edge the numbers are `prdc`'s.

    Distances are computed block by block, in float64, from ||x||^2 + ||y||^2 - 2 x.y. The order of
    the images changes nothing. Raises `GanvasError` when a set has no more than k images.
    """
    x = arrays.features(real_features, "real features")
    y = arrays.features(fake_features, "generated features")
    arrays.same_width(x, y)
    if k < 1 or min(len(x), len(y)) <= k:
        raise GanvasError(
            f"manifold: k = {k} nearest neighbours need more than {max(k, 0)} images on each side, "
            f"got {len(x)} real and {len(y)} generated"
        )
    # Distances do not depend on the origin, but their rounding does.
    centre = x.mean(axis=0)
    real, fake = torch.from_numpy(x - centre), torch.from_numpy(y - centre)
    if not torch.isfinite((real * real).sum() + (fake * fake).sum()):
        raise GanvasError("manifold: the features are too large (their squares overflow)")
    real_radii = _squared_radii(real, k, _rounding(real, x))
    fake_radii = _squared_radii(fake, k, _rounding(fake, y))

    balls_around = torch.zeros(len(fake), dtype=torch.int64)  # real balls that hold each fake
    recalled = covered = 0
    for start in range(0, len(real), BLOCK):
        distances = _squared_distances(real[start : start + BLOCK], fake)
        inside_real = distances < real_radii[start : start + BLOCK, None]
        balls_around += inside_real.sum(dim=0)
        covered += int(inside_real.any(dim=1).sum())
        recalled += int((distances < fake_radii).any(dim=1).sum())
    return {
        "precision": float((balls_around > 0).double().mean()),
        "recall": recalled / len(real),
        "density": float(balls_around.double().mean()) / k,
        "coverage": covered / len(real),
    }


def _rounding(centred: torch.Tensor, given: Floats) -> torch.Tensor:
    """By how much each row (N,) may be off: as float32, and in float64 by taking the mean away."""
    norms, given_norms = centred.norm(dim=1), torch.from_numpy(given).norm(dim=1)
    off: torch.Tensor = FLOAT32 * norms + FLOAT64 * given_norms
    return UNITS * off


def _squared_radii(x: torch.Tensor, k: int, rounding: torch.Tensor) -> torch.Tensor:
    """Squared distance (N,) of each row to its k-th nearest other row, less what is rounding."""
    squares = torch.empty(len(x), dtype=x.dtype)
    for start in range(0, len(x), BLOCK):
        distances = _squared_distances(x[start : start + BLOCK], x)
        # k + 1: the nearest of all is the row itself, at distance 0.
        nearest = distances.topk(k + 1, dim=1, largest=False, sorted=False).values
        squares[start : start + BLOCK] = nearest.amax(dim=1)
    radii = squares.clamp(min=0).sqrt()
    # What is near the edge has no larger norm than centre and radius together.
    products = UNITS * x.shape[1] * FLOAT64 * (x.norm(dim=1) + radii).square()
    return squares.sub(2 * radii * rounding + products)


def _squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(len(x), len(y)); rounding may leave the smallest a little below 0."""
    x_norms, y_norms = (x * x).sum(dim=1), (y * y).sum(dim=1)
    return torch.addmm(y_norms, x, y.T, alpha=-2).add_(x_norms[:, None])
