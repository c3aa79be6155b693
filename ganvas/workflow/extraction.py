"""The extractors that a data set's settings name."""

import torch

from ganvas.errors import GanvasError
from ganvas.evaluation import extractors
from ganvas.evaluation.extractors import Extractor
from ganvas.workflow import paths
from ganvas.workflow.instances import DataSet


def load(data: DataSet, name: str, device: torch.device) -> Extractor:
    """One of those that params.yaml names; `train.processes` share its work."""
    if name == "inception":
        found = extractors.of_papers(paths.INCEPTION, device)
    elif name == data.extractor_weights.stem:
        found = extractors.of_data_set(data.extractor_weights, device)
    else:
        raise GanvasError(
            f"datasets.{data.name}.extractors: {name!r}, but its own is "
            f"{data.extractor_weights.stem!r}, by whether its images have classes; name that"
        )
    return found._replace(processes=data.params.train.processes)
