"""Whether the discriminator has learnt its training images by heart.

Its outputs on training images and on held-out images part then, and held-out images fare more and
more as generated ones do: Karras 2020 (ADA, arXiv:2006.06676), section 2 and figure 1.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganvas import seeds

if TYPE_CHECKING:
    from ganvas.training.engine import Engine

OUTPUTS = ("train_logit", "validation_logit", "generated_logit")  # columns of history.csv
IMAGES = 256  # of each kind, at most
# Where images that it has not seen are nearer to generated ones than to those that it has.
LEARNT = 0.5
LATE, ROWS = 10, 3  # of the last tenth of a training, that many rows of its history at least


class Probe:
    """The same training and held-out images all along, as many of each, drawn by the seed."""

    def __init__(
        self, engine: "Engine", train: Mapping[str, Tensor], validation: Mapping[str, Tensor]
    ) -> None:
        """`validation` are images that `engine`, which learns from `train`, is not shown."""
        self.engine = engine
        train, validation = map(engine.method.examples, (train, validation))
        learnt, held_out = (
            torch.arange(len(next(iter(data.values())))) for data in (train, validation)
        )
        if "labels" in train and "labels" in validation:  # a network knows no other classes
            held_out = held_out[torch.isin(validation["labels"], train["labels"])]
        self._count = min(IMAGES, len(learnt), len(held_out))
        self.held_out = self._drawn(validation, held_out, "validation")
        self._real = [self._drawn(train, learnt, "train"), self.held_out]

    def measure(self) -> list[float]:
        """The discriminator's mean on images of each of `OUTPUTS`; changes nothing."""
        engine = self.engine
        stream = seeds.generator(engine.seed, "probe", device=engine.device)
        with engine.judging():
            outputs = engine.method.judge(engine, self._real, stream)
        means: list[float] = torch.stack([output.mean() for output in outputs]).tolist()
        return means

    def _drawn(self, data: Mapping[str, Tensor], rows: Tensor, name: str) -> dict[str, Tensor]:
        stream = seeds.generator(self.engine.seed, "probe", name)
        chosen = rows[torch.randperm(len(rows), generator=stream)[: self._count]]
        return {key: values[chosen].to(self.engine.device) for key, values in data.items()}


def share(outputs: Sequence[float]) -> float:
    """How far held-out images lie on the way from training images to generated ones, of `OUTPUTS`.

    r_v of Karras 2020, equation 1: 0 where the discriminator has learnt no image by heart, 1 where
    an image that it has not seen might as well be generated. NaN where it rates training images no
    higher than generated ones, and so tells nothing.
    """
    train, validation, generated = outputs
    return (train - validation) / (train - generated) if train > generated else math.nan


def warnings(rows: Sequence[Sequence[float]], augmented: bool = True) -> list[str]:
    """What the `OUTPUTS`, of all rows of a history, say about how a training ended.

    `augmented` says whether the recipe has a key for augmentations.
    """
    late = torch.tensor(rows[-max(ROWS, len(rows) // LATE) :], dtype=torch.float64)
    found = share(late.mean(0).tolist())
    if not found >= LEARNT:  # nor where it is not a number
        return []
    advice = "Train for fewer epochs"
    if augmented:
        advice = "Set augment: [translation, cutout], which takes more epochs, or train for fewer"
    return [
        "the discriminator has learnt training images by heart: by its outputs real images that it "
        f"has not seen lie {100 * found:.0f} % of the way from training images to generated ones. "
        f"{advice}, lower lr_discriminator, add images"
    ]
