"""Images from elsewhere, checked before they are scored: .npy, .npz or a folder of PNGs."""

from pathlib import Path

import numpy as np
from PIL import Image

from ganvas.errors import GanvasError

FEWEST = 100  # fewer say nothing about a distribution


def read(path: Path, image_size: int) -> np.ndarray:
    """Grey images as uint8 (N, image_size, image_size), 0 to 255.

    Three equal channels are grey: many programs save grey images so. Raises `GanvasError` on
    anything else: another type, range, shape, colour, or too few.
    """
    if not path.exists():
        raise GanvasError(
            f"{path}: no such file or folder; give a .npy, a .npz or a folder of PNGs"
        )
    images = _folder(path) if path.is_dir() else _array(path)
    shape = images.shape
    if images.dtype != np.uint8:
        numbers = images.size and images.dtype.kind in "iuf"
        span = f" from {images.min():.3g} to {images.max():.3g}" if numbers else ""
        raise GanvasError(f"{path}: {images.dtype}{span}; give uint8 from 0 to 255")
    if images.ndim == 4 and shape[-1] not in (1, 3):
        images = np.moveaxis(images, 1, -1)
    if images.ndim == 4 and images.shape[-1] in (1, 3):
        images = _grey(images, path)
    if images.ndim != 3 or images.shape[1:] != (image_size, image_size):
        raise GanvasError(
            f"{path}: shape {shape}; give (N, {image_size}, {image_size}) grey images"
        )
    if len(images) < FEWEST:
        raise GanvasError(f"{path}: {len(images)} images; give at least {FEWEST}")
    levels = set(np.unique(images).tolist())
    if levels == {0} or (1 in levels and levels <= {0, 1, 255}):
        found = ", ".join(map(str, sorted(levels)))
        raise GanvasError(
            f"{path}: no values but {found}, as of floats up to 1 cut to uint8; scale them to 0 to "
            "255 before"
        )
    return images


def _array(path: Path) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            arrays = list(loaded.values())
    except Exception as error:  # NumPy answers a damaged file with almost any exception
        raise GanvasError(
            f"{path}: not a .npy or .npz file of numbers ({type(error).__name__}); give one, or a "
            "folder of PNGs"
        ) from None
    if len(arrays) != 1:
        raise GanvasError(f"{path}: holds {len(arrays)} arrays; give one of images")
    return np.asarray(arrays[0])


def _folder(path: Path) -> np.ndarray:
    files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    if not files:
        raise GanvasError(f"{path}: an empty folder; give one with PNGs")
    images: list[np.ndarray] = []
    for file in files:
        try:
            with Image.open(file) as image:
                mode, pixels = image.mode, np.asarray(image.convert("RGB"))
        except Exception as error:  # and so does Pillow
            raise GanvasError(
                f"{file}: no image can be read ({type(error).__name__}); remove it or mend it"
            ) from None
        if mode not in ("1", "L", "P", "RGB"):  # more than 8 bits, or transparent
            raise GanvasError(f"{file}: an image of mode {mode}; convert it to grey (mode L)")
        images.append(_grey(pixels, file))
        if images[-1].shape != images[0].shape:
            raise GanvasError(
                f"{file}: {images[-1].shape} pixels, {files[0].name} has {images[0].shape}; "
                "give images of one size"
            )
    return np.stack(images)


def _grey(pixels: np.ndarray, where: Path) -> np.ndarray:
    """One of the channels, the last axis, if all are equal."""
    if (pixels != pixels[..., :1]).any():
        raise GanvasError(f"{where}: in colour; convert to grey")
    return pixels[..., 0]
