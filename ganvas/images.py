"""Images from elsewhere, checked before they are scored: .npy, .npz or a folder of PNGs."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ganvas.errors import GanvasError

FEWEST = 100  # fewer say nothing about a distribution


def read(path: Path, image_size: int) -> np.ndarray:
    """Grey images as uint8 (N, image_size, image_size), 0 to 255.

    Raises `GanvasError` on anything else: another type, range, shape, colour, or too few.
    """
    if not path.exists():
        raise GanvasError(
            f"{path}: no such file or folder; give a .npy, a .npz or a folder of PNGs"
        )
    images = _folder(path) if path.is_dir() else _array(path)
    if images.ndim == 4 and 1 in (images.shape[1], images.shape[-1]):
        images = images.squeeze(1 if images.shape[1] == 1 else -1)
    if images.ndim == 4 and 3 in (images.shape[1], images.shape[-1]):
        raise GanvasError(f"{path}: colour images of shape {images.shape}; convert them to grey")
    if images.dtype != np.uint8:
        low, high = (images.min(), images.max()) if images.size else (0, 0)
        raise GanvasError(
            f"{path}: {images.dtype} from {low:.3g} to {high:.3g}; give uint8 from 0 to 255"
        )
    if images.ndim != 3 or images.shape[1:] != (image_size, image_size):
        raise GanvasError(
            f"{path}: shape {images.shape}; give (N, {image_size}, {image_size}) grey images"
        )
    if len(images) < FEWEST:
        raise GanvasError(f"{path}: {len(images)} images; give at least {FEWEST}")
    if images.max() <= 1:
        raise GanvasError(f"{path}: values 0 and 1 only; multiply by 255 before rounding to uint8")
    return images


def _array(path: Path) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            if len(loaded.files) == 1:
                return np.asarray(loaded[loaded.files[0]])
            raise GanvasError(f"{path}: holds {len(loaded.files)} arrays; give one of images")
    except (OSError, ValueError, EOFError):
        raise GanvasError(
            f"{path}: not a .npy or .npz file of numbers; give one, or a folder of PNGs"
        ) from None


def _folder(path: Path) -> np.ndarray:
    files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    if not files:
        raise GanvasError(f"{path}: an empty folder; give one with PNGs")
    images = []
    for file in files:
        try:
            with Image.open(file) as image:
                if image.mode not in ("L", "1"):
                    raise GanvasError(f"{file}: a {image.mode} image; convert it to grey (mode L)")
                images.append(np.asarray(image.convert("L")))
        except (UnidentifiedImageError, OSError):
            raise GanvasError(f"{file}: no image can be read; remove it or mend it") from None
        if images[-1].shape != images[0].shape:
            raise GanvasError(
                f"{file}: {images[-1].shape} pixels, {files[0].name} has {images[0].shape}; "
                "give images of one size"
            )
    return np.stack(images)
