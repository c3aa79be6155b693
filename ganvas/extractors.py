"""The networks whose features the measures compare."""

import hashlib
from pathlib import Path

import torch
from torch import nn

from ganvas import classifier
from ganvas.config import Params

BATCH = {"classifier": 250, "inception": 16}  # images: what was fastest on a processor


def load(
    name: str, params: Params, dataset: str, weights: Path, cache: Path, device: torch.device
) -> nn.Module:
    """The extractor `name`: `classifier` from `weights`, or `inception`, fetched into `cache`."""
    if name == "inception":
        from ganvas import inception  # imports torchvision, slow, only where it is asked for

        return inception.load(inception.weights(cache), device=device)
    settings = params.classifier_for(dataset)
    network = classifier.load(weights, params.image_size, settings.features)
    return network.to(memory_format=torch.channels_last).to(device)


def fingerprint(name: str, weights: Path) -> str:
    """The sha256 of the extractor's weights file."""
    if name == "inception":
        from ganvas import inception

        return inception.SHA256
    return hashlib.sha256(weights.read_bytes()).hexdigest()
