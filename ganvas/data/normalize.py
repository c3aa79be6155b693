"""From a data set as published to arrays of one shape: uint8 images and int64 labels."""

import gzip
import json
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ganvas import files
from ganvas.data.sources import SOURCES
from ganvas.errors import GanvasError

DIGITS = "digits.safetensors"
Splits = dict[str, dict[str, np.ndarray]]  # by split: `images`, and `labels` where there are some
# What the labels of a published data set count.
CLASSES = {
    "digits": [*"0123456789"],
    "mnist": [*"0123456789"],
    "fashion_mnist": [
        *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ],
}


def splits(dataset: str, raw: Path, image_size: int, validation_images: int) -> Splits:
    """The splits `train`, `validation` and `test` of the files in `raw`.

    Each is `images` uint8 (N, 1, image_size, image_size), 0 to 255, and `labels` int64 (N,).
    The validation split is the last `validation_images` of the published training split.
    Raises `GanvasError` on a file that is not what the data set's catalogue says.
    """
    train, test = _digits(raw / DIGITS) if dataset == "digits" else _mnist(raw)
    source = SOURCES[dataset]
    found = {len(train[0]), len(train[1])}, {len(test[0]), len(test[1])}
    if found != ({source.train_images}, {source.test_images}):
        raise GanvasError(
            f"{raw}: not those published, by their number; dvc repro --force download"
        )
    cut = len(train[0]) - validation_images
    parts = {
        "train": (train[0][:cut], train[1][:cut]),
        "validation": (train[0][cut:], train[1][cut:]),
        "test": test,
    }
    return {
        split: {"images": _resize(images, image_size)[:, None], "labels": labels.astype(np.int64)}
        for split, (images, labels) in parts.items()
    }


def label_domains(splits: Splits, domains: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Label images of several domains by domain and class, in place; the new classes' names.

    What tells these apart says of an image both to which domain it belongs, label // K, and of
    which of the K classes it is, label % K; K is 1 where there are none.
    """
    for arrays in splits.values():
        labels = arrays.get("labels", np.zeros_like(arrays["domains"]))
        arrays["labels"] = arrays["domains"] * max(len(classes), 1) + labels
    return [f"{domain} {name}".strip() for domain in domains for name in classes or [""]]


def export_digits(path: Path) -> None:
    """Write scikit-learn's digits: `images` uint8 (1797, 8, 8), 0 to 16, and `labels` int64."""
    from sklearn.datasets import load_digits  # slow to import, only needed here

    digits = load_digits()
    write(path, {"images": digits.images.astype(np.uint8), "labels": digits.target})


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A safetensors file of arrays uint8 or int64, to the byte that of `safetensors.numpy.save`.

    Which copies all of them twice: here gigabytes are written from where they lie. Without
    PyTorch, which takes longer to import than this.
    """
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))  # so all are aligned
    header, start = {}, 0
    for name in names:
        kind = {"uint8": "U8", "int64": "I64"}[arrays[name].dtype.name]
        end = start + arrays[name].nbytes
        header[name] = {"dtype": kind, "shape": arrays[name].shape, "data_offsets": (start, end)}
        start = end
    told = json.dumps(header, separators=(",", ":")).encode()
    told += b" " * (-len(told) % 8)
    with files.writing(path) as file:
        file.write(struct.pack("<Q", len(told)) + told)
        for name in names:
            file.write(np.ascontiguousarray(arrays[name]).data)


def _mnist(raw: Path) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    train, test = (
        (
            read_idx(raw / f"{part}-images-idx3-ubyte.gz"),
            read_idx(raw / f"{part}-labels-idx1-ubyte.gz"),
        )
        for part in ("train", "t10k")
    )
    return train, test


def read_idx(path: Path) -> np.ndarray:
    """A gzipped IDX file of unsigned bytes (format: LeCun's MNIST page) as a uint8 array."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise GanvasError(f"{path}: cannot be read ({error}); delete it, dvc repro again") from None
    try:
        return parse_idx(content)
    except ValueError as error:
        raise GanvasError(f"{path}: {error}; delete it, dvc repro again") from None


def parse_idx(content: bytes) -> np.ndarray:
    """What an IDX file, not compressed, holds: uint8. Raises `ValueError` where it is none."""
    # Magic number: two zero bytes, the type (8: unsigned byte), the number of dimensions.
    if len(content) < 4 or content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        raise ValueError("not an IDX file of bytes")
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start], ">u4").tolist()
    if len(content) - start != math.prod(shape):
        raise ValueError("not as long as it says")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _digits(path: Path) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import train_test_split  # slow to import, only needed here

    try:
        tensors = load_file(path)
        images, labels = tensors["images"], tensors["labels"]
    except (OSError, SafetensorError, KeyError) as error:
        raise GanvasError(f"{path}: cannot be read ({error}); delete it, dvc repro again") from None
    # scikit-learn's order is by writer; a stratified random split makes both parts alike.
    train, test = train_test_split(
        np.arange(len(images)),
        test_size=SOURCES["digits"].test_images,
        stratify=labels,
        random_state=0,
    )
    grey = np.round(images * (255 / 16)).astype(np.uint8)  # published as 0 to 16
    return (grey[train], labels[train]), (grey[test], labels[test])


def _resize(images: np.ndarray, image_size: int) -> np.ndarray:
    if images.shape[1:] == (image_size, image_size):
        return images
    return np.stack(
        [
            np.asarray(
                Image.fromarray(image).resize((image_size, image_size), Image.Resampling.BICUBIC)
            )
            for image in images
        ]
    )
