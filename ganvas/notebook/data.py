"""Data sets from where they are published."""

from pathlib import Path
from typing import NamedTuple

import pooch
import torch

from ganvas.data import normalize, published
from ganvas.data.datasets import Split
from ganvas.notebook import given


class DataSet(NamedTuple):
    """Each split is `images` uint8 (N, 1, H, W), 0 to 255, and `labels` int64 (N,)."""

    train: Split
    validation: Split
    test: Split


def dataset(name: str) -> DataSet:
    """A data set of params.yaml (digits, mnist, fashion_mnist), split as the pipeline splits it.

    It is fetched once, into the user's cache, every file checked against its sha256; digits come
    with scikit-learn. Raises `GanvasError` where there is none of that name, or no way to it.
    """
    params = given.params()
    params.check_names(name)
    folder = Path(pooch.os_cache("ganvas"), name)
    published.fetch(name, folder)
    held_out = params.datasets[name].validation_images
    arrays = normalize.splits(name, folder, params.image_size, held_out)
    return DataSet(
        **{
            split: Split(*(torch.tensor(part[key]) for key in Split._fields))
            for split, part in arrays.items()
        }
    )
