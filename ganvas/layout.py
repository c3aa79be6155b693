"""Where the channels of images stand: before rows and columns in networks, behind them in files.

There grey images have no axis for them: that of one channel would say nothing.
"""

import numpy as np


def for_files(images: np.ndarray) -> np.ndarray:
    """Images (N, 1, H, W) as (N, H, W), or (N, 3, H, W) as (N, H, W, 3)."""
    if images.shape[1] == 1:
        return images[:, 0]
    return np.ascontiguousarray(np.moveaxis(images, 1, -1))


def for_networks(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W) as (N, 1, H, W), or (N, H, W, 3) as (N, 3, H, W)."""
    if images.ndim == 3:
        return images[:, None]
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))
