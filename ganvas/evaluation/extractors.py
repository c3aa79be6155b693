"""The networks whose features the measures compare."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ganvas.evaluation import classifier, contrastive, features
from ganvas.evaluation.features import Features
from ganvas.splitting import split

BATCH = {"inception": 16}  # images: what was fastest on a processor


class Extractor(NamedTuple):
    """A network on its device; `sha256` is its weights file's. Large sets are shared by so many
    processes."""

    name: str
    network: nn.Module
    device: torch.device
    sha256: str
    processes: int = 1

    def extract(self, images: Tensor | np.ndarray) -> Features:
        """Features, on the CPU, of images as `features.extract` takes them."""
        batches = [*zip(torch.as_tensor(images).split(BATCH.get(self.name, 250)))]
        parts = split(_extract, self.network, batches, self.processes)
        return Features(*map(torch.cat, zip(*parts, strict=True)))


def of_data_set(weights: Path, device: torch.device) -> Extractor:
    """The one that was trained on a data set; its file is called as it is."""
    load = contrastive.load if weights.stem == "contrastive" else classifier.load
    network = load(weights)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    network.to(memory_format=torch.channels_last).to(device)
    return Extractor(weights.stem, network, device, sha256)


def of_papers(cache: Path, device: torch.device) -> Extractor:
    """`inception`, fetched into `cache` where it is not there yet."""
    from ganvas.evaluation import inception  # imports torchvision, slow, only where it is asked for

    network = inception.load(inception.weights(cache), device=device)
    return Extractor("inception", network, device, inception.SHA256)


def _extract(network: nn.Module, images: Tensor) -> Features:
    """Of one batch."""
    return features.extract(network, images, next(network.parameters()).device, len(images))
