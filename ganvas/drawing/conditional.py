"""Images of one class: asked of a generator that is told classes, else picked out of its images."""

import numpy as np
import torch

from ganvas import layout, networks, seeds
from ganvas.drawing import sampling
from ganvas.errors import GanvasError
from ganvas.evaluation import features
from ganvas.evaluation.classifier import Classifier
from ganvas.networks import Generator

# When a class is given up: after so many images, less than this share of them belongs to it.
PATIENCE = 10_000
RAREST = 0.01


def check(generator: Generator, wanted: int) -> None:
    """Raise `GanvasError` where the generator is told no classes, or not that one."""
    classes = len(generator.class_counts)
    if not classes:
        raise GanvasError(
            f"class {wanted}: this generator is told no classes; name a model that is, as cgan and "
            "cdcgan are"
        )
    if wanted not in generator.classes:
        reason = "no training image was of it" if wanted in range(classes) else "not there"
        raise GanvasError(
            f"class {wanted}: {reason}; allowed: {', '.join(map(str, generator.classes))}"
        )


def images(
    generator: Generator, classifier: Classifier, wanted: int, count: int, seed: int
) -> np.ndarray:
    """`count` images of class `wanted`, uint8 (count, H, W), or (count, H, W, 3) in colour.

    The first n are the same for every count >= n. A generator that is told classes is asked for it.
    Of any other they are the first that the classifier calls `wanted`, in order, of the sequence
    that `sampling.images` begins; at most the larger of `PATIENCE` and count / `RAREST` images and
    a batch are drawn. Raises `GanvasError` when such a generator makes too few of the class.
    """
    if generator.class_counts:
        check(generator, wanted)
        return sampling.images(generator, count, seed, torch.full((count,), wanted))
    stream = seeds.generator(seed, "samples")
    device = next(classifier.parameters()).device
    kept: list[torch.Tensor] = []
    found = drawn = 0
    while found < count:
        if drawn >= PATIENCE and found < RAREST * drawn:
            raise GanvasError(
                f"class {wanted}: {found:,} of {drawn:,} images drawn belong to it, too few to go "
                "on; this generator hardly makes it, ask for another class or none"
            )
        z = networks.latent(generator, sampling.BATCH, generator=stream)
        batch = sampling.draw(generator, z)
        scores = features.extract(classifier, batch, device).probabilities
        kept.append(batch[scores.argmax(1) == wanted])
        found, drawn = found + len(kept[-1]), drawn + len(batch)
    return layout.for_files(torch.cat(kept)[:count].numpy())
