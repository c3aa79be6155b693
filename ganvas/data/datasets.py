"""Normalized data sets on disk and in memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ganvas import layout
from ganvas.errors import GanvasError


class Split(NamedTuple):
    """`images` uint8 (N, C, H, W), 0 to 255, and `labels` int64 (N,), None without classes."""

    images: Tensor
    labels: Tensor | None = None

    @classmethod
    def of(cls, found: Mapping[str, Tensor]) -> Self:
        """Images and labels of what `tensors` has read."""
        return cls(**{name: found[name] for name in cls._fields if name in found})

    def tensors(self) -> dict[str, Tensor]:
        """Those that there are, by name: what an engine is given."""
        return {name: values for name, values in self._asdict().items() if values is not None}

    def pixels(self) -> np.ndarray:
        """The images as they lie in files: uint8 (N, H, W), those in colour (N, H, W, 3)."""
        return layout.for_files(self.images.numpy())

    def first(self, count: int | None) -> "Split":
        """As many of its images, or all, with their labels."""
        return Split(**{name: values[:count] for name, values in self.tensors().items()})


def tensor(pixels: np.ndarray) -> Tensor:
    """Images as `Split.pixels` gives them, as uint8 (N, C, H, W)."""
    return torch.tensor(layout.for_networks(pixels))


def load(folder: Path, split: str) -> Split:
    """Images and labels of `train`, `validation` or `test`.

    Raises `GanvasError` as `tensors`, which reads them.
    """
    return Split.of(tensors(folder, split))


def tensors(folder: Path, split: str) -> dict[str, Tensor]:
    """Read `train`, `validation` or `test`: `images`, and all that lies beside them.

    That may be `labels`, of pairs `inputs`, uint8 (N, C, H, W), and `domains` and `sources`, int64
    (N,). Raises `GanvasError` where the file is not one.
    """
    path = folder / f"{split}.safetensors"
    try:
        found = load_file(path)
        found["images"]  # there is always one
    except (OSError, SafetensorError, KeyError) as error:
        raise GanvasError(f"{path}: cannot be read ({error}); run dvc repro") from None
    return found
