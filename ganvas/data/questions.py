"""What a translation is asked: images of a split, each with the answer where it is known."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganvas import seeds
from ganvas.errors import GanvasError


class Questions(NamedTuple):
    """N images to translate, and what is known of what they should become.

    `inputs` are uint8 (N, C, H, W), `truth` as many, and as large, each one's answer; the rest is
    int64 (N,): of domains which one an input is of, `origins`, and is to be translated to,
    `targets`; `labels` are the classes that the answers should be. What is not known, or not there,
    is None.
    """

    inputs: Tensor
    truth: Tensor | None
    labels: Tensor | None
    origins: Tensor | None = None
    targets: Tensor | None = None


def ask(split: Mapping[str, Tensor], count: int, seed: int, domains: int) -> Questions | None:
    """`count` questions of a split, as `ganvas.data.datasets.tensors` reads it, or all there are.

    Of pairs the first ones; of `domains`, as many as the data set has, some of all images with all
    domains but their own, drawn by the seed: the first n are the same for every count. None of
    images that are no such.
    """
    if "inputs" in split:
        labels = split["labels"][:count] if "labels" in split else None
        return Questions(split["inputs"][:count], split["images"][:count], labels)
    if "domains" not in split:
        return None
    images, of = split["images"], split["domains"]
    others = domains - 1
    stream = seeds.generator(seed, "questions")
    chosen = torch.randperm(len(images) * others, generator=stream)[:count]
    rows, targets = chosen // others, chosen % others
    origins = of[rows]
    targets = targets + (targets >= origins).long()
    if "sources" not in split:  # so the domains are all the classes that there are
        return Questions(images[rows], None, targets, origins, targets)
    sources = split["sources"].numpy()
    answers = torch.stack(
        [torch.from_numpy(answer(sources, of.numpy(), to)) for to in range(domains)]
    )
    found = answers[targets, rows]
    labels = split["labels"][found] if "labels" in split else targets
    return Questions(images[rows], images[found], labels, origins, targets)


def answer(sources: np.ndarray, domains: np.ndarray, target: int | np.ndarray) -> np.ndarray:
    """The rows, int64 (M,), in which the same sources stand in domain `target`.

    `sources` and `domains` int64 (M,) are a split's; `target` is one for all or int64 (M,). Raises
    `GanvasError` where a source is not in that domain, as in `train`.
    """
    rows = np.full((sources.max(initial=0) + 1, domains.max(initial=0) + 1), -1)
    rows[sources, domains] = np.arange(len(sources))
    known = np.clip(target, 0, rows.shape[1] - 1)
    found: np.ndarray = np.where(known == target, rows[sources, known], -1)
    if (found < 0).any():
        raise GanvasError(
            f"answer: {(found < 0).sum():,} of {len(found):,} sources are not in the domain asked "
            "for; take the validation or test split, where each is in all"
        )
    return found
