"""Images on disk in the form that a file's name asks for: a grid, an animation, numbers, PNGs."""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from ganvas import files, pictures
from ganvas.errors import GanvasError

ENDINGS = {
    ".png": "a grid",
    ".gif": "an animation",
    ".npy": "uint8 (N, H, W), or (N, H, W, 3) in colour",
    "": "a folder of PNGs",
}
STEPS = 16  # images of a walk from one latent point to the next: a grid's row
SECONDS = 0.5  # that an image is shown
SECONDS_OF_A_WALK = 0.06


def ending(path: Path) -> str:
    """Which of `ENDINGS` the path asks for. Raises `GanvasError` where none of them."""
    found = "" if path.is_dir() else path.suffix.lower()
    if found not in ENDINGS:
        allowed = ", ".join(f"{key or 'no ending'} ({what})" for key, what in ENDINGS.items())
        raise GanvasError(f"{path}: {found} is not allowed; allowed: {allowed}")
    return found


def write(
    path: Path, images: np.ndarray, columns: int | None = None, *, walk: bool = False
) -> None:
    """Write images uint8 (N, H, W) or (N, H, W, 3) as the ending of `path` asks for.

    A grid has that many `columns`, else as many as rows. A `walk` has rows of `STEPS`; animated it
    is fast, and goes back to its first image. Raises `GanvasError` where the path cannot be
    written, or is a folder that holds other files.
    """
    kind = ending(path)
    if kind == ".png":
        columns = columns or (STEPS if walk else math.ceil(math.sqrt(len(images))))
        columns = min(columns, len(images))
        pictures.save_png(path, pictures.grid(images, columns))
    elif kind == ".gif":
        # The last frame is shown longest: a walk rests where it began.
        shown = np.concatenate([images, images[:1]]) if walk else images
        scale = 2 * pictures.enlargement(images.shape[1])
        frames = [pictures.grid(image[None], 1, gap=0, scale=scale) for image in shown]
        pictures.save_gif(path, frames, SECONDS_OF_A_WALK if walk else SECONDS)
    elif kind == ".npy":
        files.write_array(path, images)
    else:
        _write_folder(path, images)


def _write_folder(folder: Path, images: np.ndarray) -> None:
    names = [f"{number:05}.png" for number in range(len(images))]
    others = {each.name for each in folder.iterdir()} - set(names) if folder.is_dir() else set()
    if others:
        # Who reads the folder would take them for images of this generator.
        raise GanvasError(
            f"{folder}: holds {min(others)}"
            + f" and {len(others) - 1} more" * (len(others) > 1)
            + " beside these images; empty it or name another folder"
        )
    for name, image in zip(names, images, strict=True):
        pictures.save_png(folder / name, Image.fromarray(image))
