"""Images on the scale of a data set: by its extractors, against its real images."""

import json
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ganvas import devices, layout
from ganvas.data import datasets, questions
from ganvas.data.questions import Questions
from ganvas.errors import GanvasError
from ganvas.evaluation import features, trust
from ganvas.evaluation.measures import RealPixels
from ganvas.evaluation.metrics.memorisation import either_way, nearest_distance
from ganvas.evaluation.scores import Domains, Scores, Translated
from ganvas.evaluation.scores import score as score_images
from ganvas.workflow import extraction
from ganvas.workflow.instances import DataSet


def score(
    images: np.ndarray,
    data: DataSet,
    asked: np.ndarray | None = None,
    mirrored: bool = False,
    returned: np.ndarray | None = None,
) -> Scores:
    """Every measure of images uint8 (N, H, W) or (N, H, W, 3), beside the floor of each.

    `asked` are the classes that a generator was told, int64 (N,). Where it was shown training
    images `mirrored` too, either way they may be repeated. `warnings` are there where an extractor
    is not to be trusted. Where the data are to be translated the images must be the answers to its
    test questions; `returned` are they, translated back.
    """
    names = data.extractors
    floors, classifier = data.results / "floor.json", data.results / "classifier.json"
    references = {name: data.reference(name) for name in names}
    needed = (floors, classifier, data.normalized, *references.values())
    for path in needed:
        if not path.exists():
            raise GanvasError(
                f"{path}: missing; make it with `dvc repro {data.stage('reference')}`"
            )
    floor = json.loads(floors.read_text())
    whole = datasets.tensors(data.normalized, "test")
    train, test = datasets.load(data.normalized, "train"), datasets.Split.of(whole)
    most = data.params.evaluate.images
    asking = questions.ask(whole, most, data.params.seed, len(data.domain_names))
    shown, distance = train.pixels(), floor["test_distance"]
    if mirrored:
        shown = either_way(shown)
        unseen = test.first(most) if asking else test
        distance = nearest_distance(unseen.pixels(), shown)
    labels = None
    if asked is not None and test.labels is not None:
        labels = test.labels, torch.from_numpy(asked)
    domains, translated = held_against(data, whole, asking, returned)
    if asking and len(asking.inputs) != len(images):
        raise GanvasError(
            f"{data.name}: {len(images):,} images, but a model of it is asked "
            f"{len(asking.inputs):,} questions; only its stages' answers to them can be scored"
        )
    device = devices.choose(data.params.device)
    scores = score_images(
        images,
        (extraction.load(data, name, device) for name in names),
        {name: features.load(path, "test") for name, path in references.items()},
        RealPixels(shown, distance),
        data.params.seed,
        labels,
        domains,
        translated,
    )
    scores["floor"] = {name: floor[name] for name in floor if name in scores}
    own = json.loads(classifier.read_text()) if names != ["inception"] else {}
    warnings = trust.warnings(own)
    return scores | ({"warnings": warnings} if warnings else {})


def held_against(
    data: DataSet,
    test: Mapping[str, Tensor],
    asked: Questions | None,
    returned: np.ndarray | None = None,
) -> tuple[Domains | None, Translated | None]:
    """What answers to questions of the test split are compared with; nothing without questions."""
    if asked is None:
        return None, None
    domains = None
    if asked.targets is not None:
        of = len(data.domain_names), data.classes_of_a_domain
        domains = Domains(test["domains"], asked.targets, *of)
    truth = None if asked.truth is None else layout.for_files(asked.truth.numpy())
    return domains, Translated(truth, layout.for_files(asked.inputs.numpy()), returned)
