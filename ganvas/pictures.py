"""Grids and animations of grey images."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ganvas import files


def grid(images: np.ndarray, columns: int, gap: int = 2, scale: int = 1) -> Image.Image:
    """Images uint8 (N, H, W), row by row, `gap` black pixels apart, enlarged `scale` times."""
    count, height, width = images.shape
    rows = -(-count // columns)
    canvas = np.zeros((rows * (height + gap) + gap, columns * (width + gap) + gap), np.uint8)
    for index, image in enumerate(images):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    picture = Image.fromarray(canvas)
    size = (picture.width * scale, picture.height * scale)
    return picture.resize(size, Image.Resampling.NEAREST)


def save_png(path: Path, picture: Image.Image) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True)
    files.write_bytes(path, buffer.getvalue())


def save_gif(path: Path, frames: Sequence[Image.Image], seconds: float = 0.6) -> None:
    """An animation that shows each frame for `seconds`, the last one three times as long."""
    buffer = io.BytesIO()
    durations = [int(seconds * 1000)] * (len(frames) - 1) + [int(seconds * 3000)]
    first, *others = frames
    first.save(buffer, "gif", save_all=True, append_images=others, duration=durations, loop=0)
    files.write_bytes(path, buffer.getvalue())
