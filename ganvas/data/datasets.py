"""Normalized data sets on disk and in memory."""

from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ganvas.errors import GanvasError


class Split(NamedTuple):
    """`images` uint8 (N, 1, H, W), 0 to 255, and `labels` int64 (N,)."""

    images: Tensor
    labels: Tensor


def load(folder: Path, split: str) -> Split:
    """Read `train`, `validation` or `test`. Raises `GanvasError` where the file is not one."""
    path = folder / f"{split}.safetensors"
    try:
        return Split(**load_file(path))
    except (OSError, SafetensorError, TypeError) as error:
        raise GanvasError(f"{path}: cannot be read ({error}); run dvc repro normalize") from None
