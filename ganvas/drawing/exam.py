"""What a model is scored by: images of noise, or its answers to questions that it was asked."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganvas import layout, pictures
from ganvas.data import datasets
from ganvas.data.questions import Questions
from ganvas.drawing import sampling, translating


class Drawn(NamedTuple):
    """Images as they lie in files, uint8 (N, H, W) or (N, H, W, 3), and what they were to be."""

    images: np.ndarray
    classes: np.ndarray | None  # int64 (N,), of a generator that was told them, or of the questions
    returned: np.ndarray | None = None  # the images translated back to the domains they came from


def draw(
    generator: Any,
    questions: Questions | None,
    count: int,
    seed: int,
    back: bool = False,
    processes: int = 1,
) -> Drawn:
    """The answers of a generator that translates, else `count` images of one that makes some.

    With `back` the answers are translated back, too, where a way leads there. Many are shared by so
    many processes.
    """
    if questions is None:
        asked = sampling.asked(generator, count, seed)
        classes = None if asked is None else asked.numpy()
        return Drawn(sampling.images(generator, count, seed, processes=processes), classes)
    translate = partial(translating.translate, generator, seed=seed, processes=processes)
    answers = translate(questions.inputs, questions.targets)
    returned = None
    if back and questions.origins is not None:
        returned = translate(answers, questions.origins)
    return Drawn(_files(answers), _numbers(questions.labels), _files(returned))


def sheets(
    generator: Any, questions: Questions | None, drawn: Drawn, side: int, steps: int, seed: int
) -> dict[str, Image.Image]:
    """Pictures by the names of their files: a grid, `side` images wide, and of a generator that
    draws from noise, or is told classes, what `steps` lead from one latent point to another."""
    if questions is not None:
        back = None if drawn.returned is None else datasets.tensor(drawn.returned)
        answers = datasets.tensor(drawn.images)
        return {"grid.png": translating.sheet(questions, answers, back)}
    shown = drawn.images[: side**2]
    if drawn.classes is not None:
        shown = sampling.of_each_class(generator, side, seed)
    strip = sampling.interpolation(generator, steps, seed)
    return {
        "grid.png": pictures.grid(shown, side),
        "interpolation.png": pictures.grid(strip, steps),
    }


def _files(images: Tensor | None) -> Any:
    return None if images is None else layout.for_files(images.numpy())


def _numbers(values: torch.Tensor | None) -> np.ndarray | None:
    return None if values is None else values.numpy()
