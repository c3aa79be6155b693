"""Images on the scale of a data set: by its extractors, against its real images."""

import json

import numpy as np
import torch

from ganvas import devices
from ganvas.data import datasets
from ganvas.errors import GanvasError
from ganvas.evaluation import features, trust
from ganvas.evaluation.measures import RealPixels
from ganvas.evaluation.metrics.memorisation import either_way, nearest_distance
from ganvas.evaluation.scores import Scores
from ganvas.evaluation.scores import score as score_images
from ganvas.workflow import extraction
from ganvas.workflow.instances import DataSet


def score(
    images: np.ndarray,
    data: DataSet,
    asked: np.ndarray | None = None,
    mirrored: bool = False,
) -> Scores:
    """Every measure of images uint8 (N, H, W) or (N, H, W, 3), beside the floor of each.

    `asked` are the classes that a generator was told, int64 (N,). Where it was shown training
    images `mirrored` too, either way they may be repeated. `warnings` are there where an extractor
    is not to be trusted.
    """
    names = data.extractors
    floors, classifier = data.results / "floor.json", data.results / "classifier.json"
    references = {name: data.reference(name) for name in names}
    needed = (floors, classifier, data.normalized, *references.values())
    for path in needed:
        if not path.exists():
            raise GanvasError(f"{path}: missing; make it with `dvc repro reference@{data.name}`")
    floor = json.loads(floors.read_text())
    train, test = (datasets.load(data.normalized, split) for split in ("train", "test"))
    shown, distance = train.pixels(), floor["test_distance"]
    if mirrored:
        shown = either_way(shown)
        distance = nearest_distance(test.pixels(), shown)
    labels = None
    if asked is not None and test.labels is not None:
        labels = test.labels, torch.from_numpy(asked)
    device = devices.choose(data.params.device)
    scores = score_images(
        images,
        (extraction.load(data, name, device) for name in names),
        {name: features.load(path, "test") for name, path in references.items()},
        RealPixels(shown, distance),
        data.params.seed,
        labels,
    )
    scores["floor"] = {name: floor[name] for name in floor if name in scores}
    own = json.loads(classifier.read_text()) if names != ["inception"] else {}
    warnings = trust.warnings(own)
    return scores | ({"warnings": warnings} if warnings else {})
