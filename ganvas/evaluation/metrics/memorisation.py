"""Memorisation: does the generator repeat its training images?"""

import numpy as np
import torch
from numpy.typing import NDArray

from ganvas.errors import GanvasError
from ganvas.evaluation.metrics import arrays
from ganvas.evaluation.metrics.arrays import Array, Floats

# Of the distance matrix, images x training images: 8 MB, little more than a cache.
TILE = (512, 4096)


def memorisation(fake_images: Array, train_images: Array, test_images: Array) -> float:
    """1 - (mean distance of generated images to their nearest training image) / (same of test).

    How much closer generated images lie to the training images than unseen real images do: 0 as
    close as unseen real images, 0.1 ten percent closer, 1 copies of training images; below 0
    they lie further away (poor images do). Distances are Euclidean, between pixels. The idea of
    comparing with held-out images is that of Meehan et al. 2020, "A Non-Parametric Test to Detect
    Data-Copying in Generative Models", which ranks the same distances; the ratio of means says by
    how much, and sees it when only a share of the images is copied.

    Images are uint8 (N, H, W), or (N, H, W, 3) in colour. The order changes nothing but the last
    digits. Raises `GanvasError` on other types or shapes, and when every test image is also a
    training image.
    """
    return memorisation_from_distances(
        nearest_distance(fake_images, train_images), nearest_distance(test_images, train_images)
    )


def memorisation_from_distances(fake_distance: float, test_distance: float) -> float:
    """The same from the two `nearest_distance`s: that of the test images serves every model."""
    if test_distance == 0:
        raise GanvasError("memorisation: every test image is among the training images")
    return 1 - fake_distance / test_distance


def nearest_distance(images: Array, train_images: Array) -> float:
    """Mean distance of images to their nearest training image, as of `nearest`."""
    return float(nearest(images, train_images, k=1)[1].mean())


def either_way(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W) or (N, H, W, 3), and behind them the same as in a mirror."""
    return np.concatenate([images, images[:, :, ::-1]])


def nearest(
    fake_images: Array, train_images: Array, k: int = 5
) -> tuple[NDArray[np.int64], Floats]:
    """Row numbers (N, k) of the nearest training images, nearest first, and their distances.

    Images are uint8 (N, H, W), or in colour (N, H, W, 3), or (N, C, H, W); distances (N, k),
    float64, are Euclidean in levels (0 to 255 (C H W)^(1/2)), from sums of integers. The search is
    exact too: values less 128 are integers so small that up to 32 x 32 grey pixels every sum in a
    float32 product stays below 2^24, where float32 is exact; larger images, and those in colour,
    are multiplied in float64. (Beyond 2^24 squared distances are rounded, to 1e-7 of themselves.)
    Equally near images come in the order of their row numbers. Raises `GanvasError` on other types,
    unequal sizes, or fewer than k training images.
    """
    fake = arrays.pixels(fake_images, "generated images")
    train = arrays.pixels(train_images, "training images")
    if fake.shape[1] != train.shape[1]:
        raise GanvasError(
            f"generated images have {fake.shape[1]} values, training images {train.shape[1]}"
        )
    if not 1 <= k <= len(train):
        raise GanvasError(f"nearest: {k} of {len(train)} training images cannot be found")
    rows = _nearest(fake, train, k)
    squares = np.empty(rows.shape, dtype=np.int64)
    for column in range(k):
        difference = fake.astype(np.int16) - train[rows[:, column]]
        squares[:, column] = np.square(difference, dtype=np.int32).sum(axis=1, dtype=np.int64)
    order = np.lexsort((rows, squares), axis=1)
    return np.take_along_axis(rows, order, 1), np.sqrt(np.take_along_axis(squares, order, 1))


def _nearest(images: NDArray[np.uint8], train: NDArray[np.uint8], k: int) -> NDArray[np.int64]:
    """Row numbers (N, k) of the nearest training images, in no order."""
    dtype = torch.float32 if images.shape[1] <= 1024 else torch.float64
    best = torch.full((len(images), k), torch.inf, dtype=dtype)
    rows = torch.zeros((len(images), k), dtype=torch.int64)
    for start in range(0, len(train), TILE[1]):
        # In floats a whole set would be eight times as large.
        tile = _centred(train[start : start + TILE[1]], dtype)
        norms = torch.einsum("nd,nd->n", tile, tile)
        for first in range(0, len(images), TILE[0]):
            block = slice(first, first + TILE[0])
            # ||x - y||^2 less ||x||^2, which is the same for every training image.
            distances = _centred(images[block], dtype) @ tile.T
            distances = torch.sub(norms, distances, alpha=2, out=distances)
            near = distances.topk(min(k, distances.shape[1]), dim=1, largest=False)
            candidates = torch.cat([best[block], near.values], dim=1)
            candidate_rows = torch.cat([rows[block], near.indices + start], dim=1)
            chosen = candidates.topk(k, dim=1, largest=False)
            best[block] = chosen.values
            rows[block] = candidate_rows.gather(1, chosen.indices)
    return rows.numpy()


def _centred(pixels: NDArray[np.uint8], dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(pixels).to(dtype).sub_(128)
