"""What the measures are computed from: an extractor's features and class probabilities.

An extractor is a module that maps images uint8 (B, C, H, W) to features (B, D) and logits (B, K).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ganvas import files
from ganvas.errors import GanvasError


class Features(NamedTuple):
    """`features` float32 (N, D) and `probabilities` float32 (N, K), whose rows add up to 1."""

    features: Tensor
    probabilities: Tensor

    def apart(self, domains: Tensor | None, count: int) -> "list[Features]":
        """Those of each of `count` domains, int64 (N,); all together where there are none."""
        if domains is None:
            return [self]
        found = (domains == domain for domain in range(count))
        return [Features(self.features[rows], self.probabilities[rows]) for rows in found]


@torch.inference_mode()
def extract(
    extractor: nn.Module, images: Tensor | np.ndarray, device: torch.device, batch_size: int = 250
) -> Features:
    """Features, on the CPU, of images uint8 (N, C, H, W), or as they lie in files (N, H, W) or
    (N, H, W, 3)."""
    images = torch.as_tensor(images)
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[1] not in (1, 3):
        images = images.permute(0, 3, 1, 2)
    features, probabilities = [], []
    for batch in images.split(batch_size):
        outputs, logits = extractor(batch.to(device))
        features.append(outputs.float().cpu())
        probabilities.append(logits.float().softmax(1).cpu())
    return Features(torch.cat(features), torch.cat(probabilities))


def save(path: Path, splits: dict[str, Features]) -> None:
    """Write the features of several splits into one safetensors file."""
    files.write_tensors(
        path,
        {
            f"{split}.{field}": tensor
            for split, values in splits.items()
            for field, tensor in values._asdict().items()
        },
    )


def load(path: Path, split: str) -> Features:
    """Read one split. Raises `GanvasError` where the file is not one of `save`."""
    try:
        with safe_open(path, framework="pt") as file:
            return Features(*(file.get_tensor(f"{split}.{field}") for field in Features._fields))
    except (OSError, SafetensorError) as error:
        raise GanvasError(f"{path}: cannot be read ({error}); run dvc repro") from None
