"""The networks whose features the measures compare."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ganvas.evaluation import classifier, features
from ganvas.evaluation.features import Features

BATCH = {"classifier": 250, "inception": 16}  # images: what was fastest on a processor


class Extractor(NamedTuple):
    """A network on its device; `sha256` is its weights file's."""

    name: str
    network: nn.Module
    device: torch.device
    sha256: str

    def extract(self, images: Tensor | np.ndarray) -> Features:
        """Features, on the CPU, of images uint8 (N, 1, H, W) or (N, H, W)."""
        return features.extract(self.network, images, self.device, BATCH[self.name])


def of_data_set(weights: Path, image_size: int, width: int, device: torch.device) -> Extractor:
    """`classifier`, from the weights that were trained on a data set; `width` features."""
    network = classifier.load(weights, image_size, width)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    network.to(memory_format=torch.channels_last).to(device)
    return Extractor("classifier", network, device, sha256)


def of_papers(cache: Path, device: torch.device) -> Extractor:
    """`inception`, fetched into `cache` where it is not there yet."""
    from ganvas.evaluation import inception  # imports torchvision, slow, only where it is asked for

    network = inception.load(inception.weights(cache), device=device)
    return Extractor("inception", network, device, inception.SHA256)
