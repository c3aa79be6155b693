"""The extractors that a data set's settings name."""

import torch

from ganvas.evaluation import extractors
from ganvas.evaluation.extractors import Extractor
from ganvas.workflow import paths
from ganvas.workflow.instances import DataSet


def load(data: DataSet, name: str, device: torch.device) -> Extractor:
    """One of those that params.yaml names."""
    if name == "inception":
        return extractors.of_papers(paths.INCEPTION, device)
    width = data.classifier.features
    return extractors.of_data_set(data.classifier_weights, data.params.image_size, width, device)
