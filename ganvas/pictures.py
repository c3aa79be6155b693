"""Grids and animations of images: uint8 (N, H, W), or (N, H, W, 3) in colour."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ganvas import files

SMALL = 32  # pixels a side: what is no larger is shown twice as large


def enlargement(side: int) -> int:
    """How many times as large images of that side are shown, so that a person sees them well."""
    return 2 if side <= SMALL else 1


def grid(images: np.ndarray, columns: int, gap: int = 2, scale: int | None = None) -> Image.Image:
    """Images row by row, `gap` black pixels apart, enlarged `scale` times, or as is best seen."""
    count, height, width, *channels = images.shape
    rows, scale = -(-count // columns), scale or enlargement(height)
    size = (rows * (height + gap) + gap, columns * (width + gap) + gap)
    canvas = np.zeros((*size, *channels), np.uint8)
    for index, image in enumerate(images):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    picture = Image.fromarray(canvas)
    enlarged = (picture.width * scale, picture.height * scale)
    return picture.resize(enlarged, Image.Resampling.NEAREST)


def save_png(path: Path, picture: Image.Image) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True)
    files.write_bytes(path, buffer.getvalue())


def save_gif(path: Path, frames: Sequence[Image.Image], seconds: float = 0.6) -> None:
    """An animation that shows each frame for `seconds`, the last one three times as long.

    A frame in colour has the 256 colours that suit it best.
    """
    buffer = io.BytesIO()
    durations = [int(seconds * 1000)] * (len(frames) - 1) + [int(seconds * 3000)]
    first, *others = frames
    first.save(buffer, "gif", save_all=True, append_images=others, duration=durations, loop=0)
    files.write_bytes(path, buffer.getvalue())
