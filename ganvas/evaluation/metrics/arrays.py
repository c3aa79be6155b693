"""What every measure accepts: NumPy arrays or tensors, checked once, in the precision it needs."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganvas import layout
from ganvas.errors import GanvasError

Array = np.ndarray | torch.Tensor
Floats = NDArray[np.float64]


def features(values: Array, name: str) -> Floats:
    """(N, D) finite numbers as float64, N >= 2; else `GanvasError` that names them."""
    matrix = numbers(values, name, dimensions=2)
    if matrix.shape[0] < 2 or matrix.shape[1] < 1:
        raise GanvasError(
            f"{name}: needs the features of at least 2 images, got shape {matrix.shape}"
        )
    return matrix


def same_width(real: Floats, fake: Floats) -> None:
    """Raise `GanvasError` unless both sets were made by extractors of the same width."""
    if real.shape[1] != fake.shape[1]:
        raise GanvasError(
            f"real features have {real.shape[1]} columns, generated ones {fake.shape[1]}: "
            "both must come from the same extractor"
        )


def probabilities(values: Array) -> Floats:
    """(N, K) rows that are distributions, as float64; else `GanvasError`."""
    matrix = numbers(values, "class probabilities", dimensions=2)
    if not matrix.size:
        raise GanvasError(f"class probabilities: no images, got shape {matrix.shape}")
    # 1e-3: float32 sums of 1,008 classes are off by 1e-5; logits are off by far more.
    if matrix.min() < 0 or np.abs(matrix.sum(axis=1) - 1).max() > 1e-3:
        raise GanvasError("class probabilities: every row must be >= 0 and sum to 1 (not logits)")
    return matrix


def pixels(values: Array, name: str) -> NDArray[np.uint8]:
    """Images (N, H, W), (N, H, W, 3), or (N, C, H, W), as uint8 (N, C*H*W); else `GanvasError`."""
    images = _numpy(values)
    if images.dtype != np.uint8:
        raise GanvasError(f"{name}: needs uint8 from 0 to 255, got {images.dtype}")
    if images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3):
        images = layout.for_networks(images)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.size:
        raise GanvasError(f"{name}: needs images (N, H, W) or (N, H, W, 3), got {images.shape}")
    return np.ascontiguousarray(images.reshape(len(images), -1))


def numbers(values: Array, name: str, dimensions: int) -> Floats:
    """Finite real numbers of so many dimensions as float64; else `GanvasError`."""
    array = _numpy(values)
    if array.dtype.kind not in "fiu" or array.ndim != dimensions:
        raise GanvasError(
            f"{name}: needs {dimensions}-dimensional real numbers, "
            f"got {array.dtype} of shape {array.shape}"
        )
    array = array.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        raise GanvasError(f"{name}: {np.sum(~np.isfinite(array))} values are not finite")
    return array


def _numpy(values: Array) -> NDArray[Any]:
    if not isinstance(values, torch.Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    # NumPy has no bfloat16.
    return (values.double() if values.dtype == torch.bfloat16 else values).numpy()
