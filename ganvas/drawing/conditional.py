"""Images of one class from a generator that knows no classes: its images, filtered."""

import numpy as np
import torch
from torch import nn

from ganvas import seeds
from ganvas.drawing import sampling
from ganvas.errors import GanvasError
from ganvas.evaluation import features
from ganvas.evaluation.classifier import Classifier

# When a class is given up: after so many images, less than this share of them belongs to it.
PATIENCE = 10_000
RAREST = 0.01


def images(
    generator: nn.Module,
    classifier: Classifier,
    wanted: int,
    count: int,
    latent_dim: int,
    seed: int,
) -> np.ndarray:
    """The first `count` images that the classifier calls `wanted`, uint8 (count, H, W).

    They are taken, in order, from the sequence that `sampling.images` begins; so the first n are
    the same for every count >= n. Draws at most the larger of `PATIENCE` and count / `RAREST`
    images and a batch. Raises `GanvasError` when the generator makes too few of the class.
    """
    stream = seeds.generator(seed, "samples")
    device = next(classifier.parameters()).device
    kept: list[np.ndarray] = []
    found = drawn = 0
    while found < count:
        if drawn >= PATIENCE and found < RAREST * drawn:
            raise GanvasError(
                f"class {wanted}: {found:,} of {drawn:,} images drawn belong to it, too few to go "
                "on; this generator hardly makes it, ask for another class or none"
            )
        z = torch.randn(sampling.BATCH, latent_dim, generator=stream)
        batch = sampling.draw(generator, z).squeeze(1).numpy()
        scores = features.extract(classifier, batch, device).probabilities
        kept.append(batch[scores.argmax(1).numpy() == wanted])
        found, drawn = found + len(kept[-1]), drawn + len(batch)
    return np.concatenate(kept)[:count]
