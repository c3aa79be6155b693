"""Images against the ones that they should be: L1, PSNR and SSIM, each the mean over the images."""

from collections.abc import Iterator

import numpy as np
from skimage.metrics import structural_similarity

from ganvas.errors import GanvasError
from ganvas.evaluation.metrics import arrays
from ganvas.evaluation.metrics.arrays import Array

LEVELS = 255
# An image without an error would have no end of PSNR. It counts as one that rounding to 8 bits may
# hide: half a level in every pixel, 54.2 dB.
LEAST_SQUARE = 0.25
WINDOW = 11  # pixels a side: what SSIM's Gaussian, cut at 3.5 deviations, sees


def l1(images: Array, truth: Array) -> float:
    """Mean absolute difference of values, from 0, equal, to 1, black for white everywhere.

    Images are uint8 (N, H, W), or (N, H, W, 3) in colour, each row beside its own truth. Raises
    `GanvasError` on other types or unequal shapes.
    """
    found, true = _pairs(images, truth)
    return float(np.mean([np.abs(a - b).mean() for a, b in _floats(found, true)]) / LEVELS)


def psnr(images: Array, truth: Array) -> float:
    """Peak signal-to-noise ratio, 10 log10(255² / mean squared error), in dB, up to 54.2.

    Of images as in `l1`.
    """
    found, true = _pairs(images, truth)
    squares = [np.square(a - b).mean() for a, b in _floats(found, true)]
    ratios = LEVELS**2 / np.maximum(squares, LEAST_SQUARE)
    return float(np.mean(10 * np.log10(ratios)))


def ssim(images: Array, truth: Array) -> float:
    """Structural similarity, from -1 to 1, equal: Wang et al. 2004, "Image Quality Assessment: From
    Error Visibility to Structural Similarity", equation 13, with the paper's Gaussian window.

    By scikit-image; in colour the mean over the channels. Of images as in
    `l1`; raises `GanvasError` on images smaller than the window, too.
    """
    found, true = _pairs(images, truth)
    if min(found.shape[1:3]) < WINDOW:
        raise GanvasError(
            f"SSIM: images of {found.shape[2]} x {found.shape[1]} pixels; its window takes {WINDOW}"
        )
    how = {
        **{"data_range": LEVELS, "channel_axis": 2 if found.ndim == 4 else None},
        **{"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
    }
    scores = [
        structural_similarity(a, b, **how)  # type: ignore[no-untyped-call]
        for a, b in zip(found, true, strict=True)
    ]
    return float(np.mean(scores))


def _pairs(images: Array, truth: Array) -> tuple[np.ndarray, np.ndarray]:
    for values, what in ((images, "images"), (truth, "true images")):
        arrays.pixels(values, what)  # checks them
    found, true = np.asarray(images), np.asarray(truth)
    if found.shape != true.shape:
        raise GanvasError(f"images {found.shape} beside true ones {true.shape}: give one for each")
    return found, true


def _floats(images: np.ndarray, truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs one after the other: all at once would be eight times as large."""
    return zip(
        (image.astype(np.float64) for image in images),
        (image.astype(np.float64) for image in truth),
        strict=True,
    )
