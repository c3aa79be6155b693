"""Data sets from where they are published."""

from pathlib import Path
from typing import NamedTuple

import pooch
import torch

from ganvas.data import folder, normalize, published
from ganvas.data.datasets import Split
from ganvas.notebook import given


class DataSet(NamedTuple):
    """Each split is `images` uint8 (N, C, H, W), 0 to 255, and `labels` int64 (N,), or None."""

    train: Split
    validation: Split
    test: Split


def dataset(name: str) -> DataSet:
    """A data set of params.yaml (digits, mnist, fashion_mnist, or of images of your own), split as
    the pipeline splits it.

    A published one is fetched once, into the user's cache, every file checked against its sha256;
    digits come with scikit-learn. Raises `GanvasError` where there is none of that name, or no way
    to it.
    """
    params = given.params()
    params.check_names(name)
    settings, cache = params.datasets[name], Path(pooch.os_cache("ganvas"), name)
    if settings.folder is None:
        published.fetch(name, cache)
        held_out = settings.validation_images or 0
        splits = normalize.splits(name, cache, settings.image_size, held_out)
    else:
        found = folder.read(Path(settings.folder), settings.form, **settings.reading)
        print(*found.report.lines(), sep="\n")
        splits = found.splits
    return DataSet(
        **{
            split: Split(**{key: torch.tensor(values) for key, values in part.items()})
            for split, part in splits.items()
        }
    )
