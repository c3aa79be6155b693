"""Arrays that hold images and their labels: a .npz or .npy, IDX files."""

import gzip
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from ganvas.data import decoding
from ganvas.data.naming import SPLITS, few
from ganvas.data.normalize import parse_idx
from ganvas.errors import GanvasError

# What others call images and labels among several arrays, as a word of the name or as the whole.
IMAGES = ("images", "image", "samples", "x", "data", "arr_0")
LABELS = ("labels", "label", "targets", "y", "arr_1")
ENDINGS = (".npz", ".npy")
IDX = re.compile(r"idx\d-ubyte(\.gz)?$", re.IGNORECASE)


class Images(NamedTuple):
    """`pixels` uint8 (N, H, W) or (N, H, W, 3 or 4), `labels` integers (N,) if there are any.

    `split` is None where the name says none.
    """

    name: str
    split: str | None
    pixels: np.ndarray
    labels: np.ndarray | None


def load(path: Path, labelled: bool) -> list[Images]:
    """The images of a .npz or .npy. Nothing is unpickled.

    A single array is of images. Of several, names say what they are: x_train, test_labels, images.
    With `labelled`, labels are read where there are some. Raises `GanvasError` on what is none of
    this.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _sorted_out(path, {"images": loaded})
        with loaded:
            names: list[str] = loaded.files
            if len(names) == 1:
                return _sorted_out(path, {"images": loaded[names[0]]})
            kinds = ("images", "labels") if labelled else ("images",)
            arrays = {name: loaded[name] for name in names if _role(name)[0] in kinds}
    except GanvasError:
        raise
    except Exception as error:  # NumPy answers a damaged file with almost any exception
        raise GanvasError(
            f"{path}: not a .npy or .npz of numbers ({decoding.reason(error)}); write it with "
            "np.savez"
        ) from None
    if not any(_role(name)[0] == "images" for name in arrays):
        raise GanvasError(
            f"{path}: holds {few(names) or 'nothing'}; name the images {IMAGES[0]}, or "
            "train_images and test_images, and what they are train_labels …"
        )
    return _sorted_out(path, arrays)


def read_idx(path: Path, files: Mapping[str, Callable[[], bytes]], labelled: bool) -> list[Images]:
    """The images of IDX files: name -> what reads it. `path` is for what is said of them.

    How many dimensions one has tells what it holds, its name of which split, as in MNIST. Raises
    `GanvasError` on a damaged file.
    """
    found: dict[str, np.ndarray] = {}
    for name, content in files.items():
        try:
            packed = name.lower().endswith(".gz")
            array = parse_idx(gzip.decompress(content()) if packed else content())
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise GanvasError(f"{path}: {name}: {decoding.reason(error)}; fetch it anew") from None
        kind = "labels" if array.ndim == 1 else "images"
        split = _role(PurePosixPath(name).name)[1]
        known = f"{split}_{kind}" if split else kind
        if known in found:
            raise GanvasError(f"{path}: {few(files)}: {known} more than once; leave one of them")
        if kind == "images" or labelled:
            found[known] = array
    return _sorted_out(path, found)


def _sorted_out(path: Path, arrays: Mapping[str, np.ndarray]) -> list[Images]:
    """Images with their labels, by the arrays' names."""
    images: dict[str | None, Images] = {}
    labels: dict[str | None, np.ndarray] = {}
    for name, array in arrays.items():
        kind, split = _role(name)
        if split in (images if kind == "images" else labels):
            raise GanvasError(f"{path}: {few(arrays)}: {kind} more than once; leave one of them")
        if kind == "images":
            images[split] = Images(name, split, _as_pillow_takes(array, f"{path}: {name}"), None)
        else:
            labels[split] = array.reshape(-1) if array.size == len(array) else array
    if "train" not in images and (len(images) > 1 or not images.keys() <= {None}):
        raise GanvasError(f"{path}: {few(arrays)}: no images of a split 'train'; rename them")
    if not labels:
        return list(images.values())
    for split, (name, _, pixels, _) in images.items():
        of = labels.get(split)
        if of is None or of.shape != (len(pixels),) or of.dtype.kind not in "iu":
            raise GanvasError(
                f"{path}: labels of {name}: {'none' if of is None else f'{of.dtype} {of.shape}'}; "
                f"give whole numbers ({len(pixels)},), or read it without classes"
            )
    return [of._replace(labels=labels[split]) for split, of in images.items()]


def _role(name: str) -> tuple[str | None, str | None]:
    """Whether an array is of images or labels, by its name, and of which split."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    split = next((SPLITS[word] for word in words if word in SPLITS), None)
    for kind, known in (("images", IMAGES), ("labels", LABELS)):
        if name.lower() in known or set(words) & set(known):
            return kind, split
    return None, split


def _as_pillow_takes(array: np.ndarray, what: str) -> np.ndarray:
    shape = array.shape
    if array.ndim == 4 and shape[-1] not in (1, 3, 4):
        array = np.moveaxis(array, 1, -1)
    if array.ndim == 4 and array.shape[-1] == 1:
        array = array[..., 0]
    colour = array.ndim == 4 and array.shape[-1] in (3, 4)
    if array.dtype != np.uint8 or not (array.ndim == 3 or colour) or not array.size:
        raise GanvasError(
            f"{what}: {array.dtype} {shape}; give uint8 from 0 to 255, (N, H, W) or (N, H, W, 3)"
        )
    return array
