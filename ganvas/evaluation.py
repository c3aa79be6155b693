"""Every measure on one set of generated images: what evaluate, reference and select walk."""

from ganvas import metrics
from ganvas.features import Features


def scores(extractor: str, real: Features, fake: Features, seed: int) -> dict[str, float]:
    """The measures by name, from one extractor's features of real and generated images."""
    measures = dict(metrics.OF_FEATURES)
    if extractor == "classifier":  # its classes are the data set's own
        measures |= metrics.OF_CLASSES
    return {
        name: value
        for measure in measures.values()
        for name, value in measure(real, fake, seed).items()
    }
