"""Scores of images, on a scale made from real ones."""

import warnings
from typing import Any

from ganvas import progress
from ganvas.data.datasets import Split
from ganvas.errors import GanvasError
from ganvas.evaluation import classifier, scores, trust
from ganvas.evaluation.extractors import Extractor
from ganvas.evaluation.measures import RealPixels
from ganvas.evaluation.metrics.memorisation import nearest_distance
from ganvas.notebook import given
from ganvas.notebook.given import FEWEST, Images, Labels


class Scorer:
    """Scores images by a small classifier that it trains on real ones, as the pipeline does.

    Its scores compare with each other and with the floor, what real training images score; with
    those of another scorer or of a paper they do not.
    """

    def __init__(self, train: Split, test: Split, *, device: str = "auto", **changes: Any) -> None:
        """`train` and `test` are pairs of images and labels from 0, as in `ganvas.dataset`.

        `changes` stand in for values of `classifier` in params.yaml: `epochs=14` for small data.
        Raises `GanvasError` on what cannot be.
        """
        params = given.params()
        settings = params.classifier.merged(changes, "classifier")
        train, test = given.split(train, "train"), given.split(test, "test")
        if train.images.shape[1:] != test.images.shape[1:]:
            of_train, of_test = (tuple(split.images.shape[1:]) for split in (train, test))
            raise GanvasError(f"test: images {of_test}, those of train are {of_train}")
        assert train.labels is not None and test.labels is not None
        classes = int(train.labels.max()) + 1
        if test.labels.max() >= classes:
            raise GanvasError(
                f"test: labels up to {test.labels.max()}, those of train up to {classes - 1}; a "
                "class without training images cannot be learnt"
            )
        self._test, self._seed = test, params.seed
        with given.computing(device) as there:
            epochs = classifier.train(settings, train, classes, there)
            *_, (network, _) = progress.each(epochs, "classifier", settings.epochs, "epochs")
            self._extractor = Extractor("classifier", network, there, sha256="")
            self._real = self._extractor.extract(test.images)
            pretended = train.first(params.evaluate.images)
            assert pretended.labels is not None
            fake, labels = self._extractor.extract(pretended.images), pretended.labels
            floor = scores.floor("classifier", self._real, fake, (test.labels, labels), self._seed)
        # Memorisation is measured from the test images' distance: theirs is 0 by definition.
        self.floor = floor | {"memorisation": 0.0}
        distance = nearest_distance(test.pixels(), train.pixels())
        self._pixels = RealPixels(train.pixels(), distance)
        self.accuracy: float = floor["class_accuracy"]  # share of the test images
        for warning in trust.warnings({"test_accuracy": self.accuracy}):
            warnings.warn(warning, stacklevel=2)

    def score(self, images: Images, labels: Labels | None = None) -> "Scores":
        """Every measure of 100 or more images, of the shape of the real ones, beside its floor.

        `labels`, integers (N,), are the classes that they were asked to be of, where they were:
        `scorer.score(model.draw(1000), model.labels(1000))`. Raises `GanvasError` on images that
        cannot be scored.
        """
        pixels = given.images(images, "images", fewest=FEWEST)
        real = self._test.pixels().shape[1:]
        if pixels.shape[1:] != real:
            raise GanvasError(
                f"images: shape {pixels.shape[1:]}, the real ones are {real}; score images of that "
                "size"
            )
        asked = None
        if labels is not None and self._test.labels is not None:
            asked = self._test.labels, given.labels(labels, len(pixels))
        with given.computing(self._extractor.device.type):
            found = scores.score(
                pixels,
                [self._extractor],
                {"classifier": self._real},
                self._pixels,
                self._seed,
                asked,
            )
        measured = found["classifier"] | found["pixels"]
        return Scores(measured, {name: self.floor[name] for name in measured})


class Scores(dict[str, Any]):
    """The measures by name; `floor` has the same, between real training and real test images."""

    def __init__(self, measured: dict[str, Any], floor: dict[str, Any]) -> None:
        super().__init__(measured)
        self.floor = floor

    def __repr__(self) -> str:
        """A table of all that are a number."""
        lines = [f"{'measure':<24}{'value':>12}{'floor':>12}"]
        for name, value in self.items():
            if isinstance(value, float):
                lines.append(f"{name:<24}{value:>12.4g}{self.floor[name]:>12.4g}")
        return "\n".join(lines)
