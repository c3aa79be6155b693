"""Images on the scale of a data set: by its extractors, against its real images."""

import json

import numpy as np

from ganvas import devices
from ganvas.data import datasets
from ganvas.errors import GanvasError
from ganvas.evaluation import features
from ganvas.evaluation.measures import RealPixels
from ganvas.evaluation.scores import Scores
from ganvas.evaluation.scores import score as score_images
from ganvas.workflow import extraction
from ganvas.workflow.instances import DataSet


def score(images: np.ndarray, data: DataSet) -> Scores:
    """Every measure of images uint8 (N, H, W), beside the floor of each."""
    names = data.settings.extractors
    floors = data.results / "floor.json"
    references = {name: data.reference(name) for name in names}
    for path in (floors, data.classifier_weights, data.normalized, *references.values()):
        if not path.exists():
            raise GanvasError(f"{path}: missing; make it with `dvc repro reference@{data.name}`")
    floor = json.loads(floors.read_text())
    train = datasets.load(data.normalized, "train").images.numpy()
    device = devices.choose(data.params.device)
    scores = score_images(
        images,
        (extraction.load(data, name, device) for name in names),
        {name: features.load(path, "test") for name, path in references.items()},
        RealPixels(train, floor["test_distance"]),
        data.params.seed,
    )
    return scores | {"floor": {name: floor[name] for name in floor if name in scores}}
