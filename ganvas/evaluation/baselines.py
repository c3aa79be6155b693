"""Answers to questions that no model has given: what a translation must be better than."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ganvas import layout
from ganvas.data.questions import Questions
from ganvas.evaluation.metrics.memorisation import nearest


def answers(questions: Questions, train: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """By baseline an answer to each question, uint8 (N, H, W), or (N, H, W, 3) in colour.

    `identity`, the input as it is; `mean`, the mean training image of what is asked for; of pairs
    `nearest`, too, the answer to the training input whose pixels are nearest. `train` is the
    training split, as `ganvas.data.datasets.tensors` reads it.
    """
    images, inputs = train["images"], questions.inputs
    channels = images.shape[1]
    found = {"identity": inputs.expand(-1, channels, -1, -1)}
    if questions.targets is None:
        found["mean"] = _mean(images).expand(len(inputs), -1, -1, -1)
        given = layout.for_files(inputs.numpy()), layout.for_files(train["inputs"].numpy())
        rows, _ = nearest(*given, k=1)
        found["nearest"] = images[rows[:, 0]]
    else:
        domains = range(int(train["domains"].max()) + 1)
        means = torch.stack([_mean(images[train["domains"] == domain]) for domain in domains])
        found["mean"] = means[questions.targets]
    return {name: layout.for_files(each.numpy()) for name, each in found.items()}


def _mean(images: Tensor) -> Tensor:
    """The mean image, uint8 (C, H, W)."""
    total = torch.zeros(images.shape[1:], dtype=torch.float64)
    for part in images.split(1000):  # all of them as float64 would be eight times as large
        total += part.double().sum(0)
    return (total / len(images)).round().to(torch.uint8)
